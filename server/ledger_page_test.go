package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func TestLedgerPageFiltersAndPages(t *testing.T) {
	h := settle(t)
	vic := h.as("vic")
	h.ready("1")
	last := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size - 1
	vic.page("/ledger", 200, "Ledger", fmt.Sprint(last), "approve as security: seen", "none yet: nobody outside signs")
	if text := vic.page("/ledger?kind=training-run", 200, "robot", "run-1"); strings.Contains(text, "approve as security") {
		t.Errorf("a list of runs shows approvals:\n%s", text)
	}
	if text := vic.page("/ledger?actor=robot", 200, "training run"); strings.Contains(text, "approve as security") {
		t.Errorf("a list of what robot stated shows others:\n%s", text)
	}
	vic.page("/ledger?actor=robot&kind=approval", 200, "No entry that you may read is like that.")
	vic.page("/ledger?until="+url.QueryEscape(now().Add(-24*time.Hour).Format(time.RFC3339)), 200, "No entry that you may read is like that.")
	vic.page("/ledger?since="+url.QueryEscape(now().Add(time.Hour).Format(time.RFC3339)), 200, "No entry that you may read is like that.")
	vic.page("/ledger?since="+url.QueryEscape(now().Add(-time.Hour).Format(time.RFC3339)), 200, "approve as security")
	vic.page("/ledger?before=2", 200, "administrator", "Newest")
	vic.page("/ledger?kind=nonsense", 422, "no kind of statement")
}

func TestEntryPageProvesTheEntry(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	vic := h.as("vic")
	for index := range c.Release.Index + 1 {
		if index == 2 {
			vic.page("/ledger/2", 403, "administrator") // a token of the administrator
			continue
		}
		path := fmt.Sprintf("/ledger/%d", index)
		entry, err := h.reg.Entry(h.ctx, registry.Caller{Name: registry.FirstAdministrator, Type: record.Human}, index)
		if err != nil {
			t.Fatal(err)
		}
		if entry.Kind == record.KindToken {
			continue
		}
		text := vic.page(path, 200, "the leaf leads by", "the checkpoint is signed by the ledger's key")
		if strings.Contains(text, "does not hold") || strings.Count(text, "holds ") < 4 {
			t.Errorf("entry %d is not proven:\n%s", index, text)
		}
	}
	answer := must[*http.Response](t)(vic.client.Get(h.url + fmt.Sprintf("/ledger/%d/proof", c.Release.Index)))
	got := body[struct {
		Payload    string `json:"payload"`
		Checkpoint string `json:"checkpoint"`
	}](h, answer)
	payload := must[[]byte](t)(base64.StdEncoding.DecodeString(got.Payload))
	if record.DigestOf(payload) != c.Release.Statement || !strings.HasPrefix(got.Checkpoint, h.reg.Origin()+"\n") {
		t.Errorf("the file is of another entry: %s", payload)
	}
	vic.page("/ledger/100000", 404, "the ledger has no entry 100000")
	vic.page("/ledger/-1", 404, "no number of an entry")
	vic.page("/ledger/x", 404, "no number of an entry")
}
