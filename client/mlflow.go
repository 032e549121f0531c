package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/wire"
)

// MLflow makes one call of MLflow's Model Registry protocol in a team's registry,
// such as "model-versions/create", and reads the answer into out. It is sent
// once: the protocol has no keys by which a repetition is known.
func (c *Client) MLflow(ctx context.Context, team, operation string, in, out any) error {
	body, err := json.Marshal(in, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("writing the request %s: %w", operation, err)
	}
	raw, err := c.send(ctx, http.MethodPost, c.base+"/t/"+url.PathEscape(team)+"/api/2.0/mlflow/"+operation, "", body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("reading the answer of %s to %s: %w", c.base, operation, err)
	}
	return nil
}

// mlflowCodes are MLflow's error codes, as our own.
var mlflowCodes = map[string]wire.Code{
	"PERMISSION_DENIED": wire.Refused, "RESOURCE_ALREADY_EXISTS": wire.Conflict, "RESOURCE_CONFLICT": wire.Conflict,
	"RESOURCE_DOES_NOT_EXIST": wire.Unknown, "ENDPOINT_NOT_FOUND": wire.Unknown, "UNAUTHENTICATED": wire.SignIn,
	"INVALID_PARAMETER_VALUE": wire.Invalid, "BAD_REQUEST": wire.Invalid,
}

// mlflowProblem reads a refusal of MLflow's protocol.
func mlflowProblem(status int, raw []byte) *Problem {
	var said struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &said) != nil || said.Message == "" || mlflowCodes[said.Code] == "" {
		return nil
	}
	return &Problem{wire.Problem{Type: "about:blank", Title: said.Code, Status: status, Code: mlflowCodes[said.Code], Detail: said.Message}}
}
