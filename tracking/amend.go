package tracking

import (
	"context"
	"net/http"
	"strconv"
)

// SetAlias points an alias of MLflow's own registry to a version.
func (c *Client) SetAlias(ctx context.Context, model, alias string, version int) error {
	_, err := c.api(ctx, http.MethodPost, "mlflow/registered-models/alias", nil, map[string]string{"name": model, "alias": alias, "version": strconv.Itoa(version)})
	return err
}

// DeleteAlias takes an alias of MLflow's own registry away.
func (c *Client) DeleteAlias(ctx context.Context, model, alias string) error {
	_, err := c.api(ctx, http.MethodDelete, "mlflow/registered-models/alias", nil, map[string]string{"name": model, "alias": alias})
	return err
}

// Archive moves a version of MLflow's own registry out of its stage.
func (c *Client) Archive(ctx context.Context, model string, version int) error {
	_, err := c.api(ctx, http.MethodPost, "mlflow/model-versions/transition-stage", nil, map[string]any{
		"name": model, "version": strconv.Itoa(version), "stage": "Archived", "archive_existing_versions": false,
	})
	return err
}
