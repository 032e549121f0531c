package server_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// TestNHI2TheAPITellsNoValueButToTheWorkload sets, mends and asks for a secret in
// every way, also brokenly, and looks for its value in all answers and the log.
func TestNHI2TheAPITellsNoValueButToTheWorkload(t *testing.T) {
	h := settle(t)
	value := "hunter2-correct-horse-battery-staple"
	coded := base64.StdEncoding.EncodeToString([]byte(value))
	h.evaluate(h.train("1"))
	in := proposal("1")
	in.Authority = record.Authority{Secrets: []record.Grant{{Resource: "crm-key", Actions: []string{"read"}}}, Workloads: []string{"robot"}}
	c := must[wire.Case](t)(h.people["ann"].ProposeRelease(h.ctx, in))
	for name, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](t)(h.approve(name, role, c))
	}
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	big := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(value), wire.MaxSecret/len(value)+1))
	huge := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(value), 2*wire.MaxSecret/len(value)))
	for _, row := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"sam", "POST", "", `{"team":"lab","name":"crm-key","value":"` + coded + `"}`, http.StatusOK},
		{"sam", "POST", "", `{"team":"lab","name":"crm-key","value":"` + coded + `"}`, http.StatusConflict},
		{"sam", "POST", "", `{"team":"lab","name":"other","value":"` + value + `"}`, http.StatusUnprocessableEntity},
		{"sam", "POST", "", `{"team":"lab","name":"other","value":{"` + value + `":1}}`, http.StatusUnprocessableEntity},
		{"sam", "POST", "", `{"team":"lab","name":"other","` + value + `":1}`, http.StatusUnprocessableEntity},
		{"sam", "POST", "", `{"team":"lab","name":"other","value":"` + coded, http.StatusUnprocessableEntity},
		{"sam", "POST", "", `{"team":"lab","name":"` + coded + `","value":"` + coded + `","vault":{"server":"x"}}`, http.StatusUnprocessableEntity},
		{"sam", "POST", "/lab/crm-key/rotate", `{"value":"` + big + `"}`, http.StatusUnprocessableEntity},
		{"sam", "POST", "/lab/crm-key/rotate", `{"value":"` + huge + `"}`, http.StatusRequestEntityTooLarge},
		{"sam", "POST", "/lab/crm-key/rotate", `{"value":"` + coded + `","overlapSeconds":60}`, http.StatusOK},
		{"ann", "POST", "/lab/crm-key/rotate", `{"value":"` + coded + `"}`, http.StatusForbidden},
		{"sam", "POST", "/lab/crm-key/use", `{}`, http.StatusForbidden},
		{"robot", "POST", "/lab/crm-key/use", `{"version":9}`, http.StatusForbidden},
		{"robot", "POST", "/lab/crm-key/use", `{"lease":"l-1"}`, http.StatusUnprocessableEntity},
		{"vic", "GET", "", "", http.StatusOK},
		{"vic", "GET", "/lab/crm-key", "", http.StatusOK},
	} {
		got := h.ask(row.who, row.method, "/api/v1/secrets"+row.path, row.body)
		said := string(must[[]byte](t)(io.ReadAll(got.Body)))
		if got.StatusCode != row.status {
			t.Errorf("%s %s by %s: %s %.200s", row.method, row.path, row.who, got.Status, said)
		}
		// A name that somebody writes where a name belongs is no value.
		if strings.Contains(said, value) && !strings.Contains(row.body, `"`+value+`":1`) || strings.Contains(said, coded) && !strings.Contains(row.body, `"name":"`+coded) {
			t.Errorf("%s %s by %s: the answer shows the value", row.method, row.path, row.who)
		}
	}
	lent := must[wire.LentSecret](t)(h.people["robot"].ReadSecret(h.ctx, "lab", "crm-key", wire.SecretAsk{}))
	if string(lent.Value) != value || lent.Lease.Version != 2 {
		t.Errorf("the workload was told another value: %+v", lent.Lease)
	}
	entries := h.ask("sam", "GET", "/api/v1/log/entries?kind=secret", "")
	said := string(must[[]byte](t)(io.ReadAll(entries.Body)))
	if !strings.Contains(said, "crm-key") || strings.Contains(said, value) || strings.Contains(said, coded) {
		t.Error("the ledger shows the value, or not the secret")
	}
	if strings.Contains(h.log.String(), value) || strings.Contains(h.log.String(), coded) {
		t.Error("the log shows the value")
	}
}
