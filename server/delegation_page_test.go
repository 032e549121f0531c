package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func TestPeopleDelegateOnTheirOwnPage(t *testing.T) {
	h := settle(t)
	h.enrol(record.Principal{Name: "dora", Type: record.Human}, record.Viewer)
	c := h.proposed("1")
	rita, dora, vic := h.as("rita"), h.as("dora"), h.as("vic")
	const path, reason = "/principals/rita", `<img src=x onerror=alert(1)>"'</script>{{.}}`
	for _, who := range []*browser{dora, vic, h.as("administrator")} {
		if text := who.page(path, 200, "Nothing is delegated"); strings.Contains(text, "Delegate a role") {
			t.Errorf("somebody else is offered to delegate for rita:\n%s", text)
		}
	}
	until := now().Add(14 * 24 * time.Hour)
	form := url.Values{"holding": {"risk *"}, "to": {"dora"}, "until": {until.Format("2006-01-02T15:04")}, "reason": {reason}}
	with := func(name, value string) url.Values {
		changed := url.Values{}
		for k, v := range form {
			changed[k] = v
		}
		changed.Set(name, value)
		return changed
	}
	rita.page(path, 200, "Delegate a role", "risk for all teams")
	rita.send(path+"/delegations", with("to", reason), 422, reason, "Delegate a role")
	rita.send(path+"/delegations", with("until", "soon"), 422, "is no date and time")
	rita.send(path+"/delegations", with("holding", "security lab"), 403, "rita may not delegate the role security")
	vic.send(path+"/delegations", form, 403, "only rita may delegate what is theirs")
	rita.send(path+"/delegations", form, 303)
	for _, who := range []*browser{rita, vic} {
		who.page(path, 200, "risk", "all teams", "dora", "stands", reason)
		who.page("/principals/dora", 200, "rita", "stands", reason)
	}
	dora.page("/inbox", 200, "dora holds the role risk for rita (delegated until "+until.Format(time.DateOnly)+")")
	dora.page("/releases/"+c.ID, 200, "May fill it: dora for rita")
	dora.send("/releases/"+c.ID+"/decision", url.Values{"record": {string(c.Digests.Record)}, "role": {"risk"}, "decision": {"approve"}, "reason": {"read it"}}, 303)
	by := "dora for rita (delegated until " + until.Format(time.DateOnly) + ")"
	vic.page("/releases/"+c.ID, 200, by+" on "+c.ID, by+" as risk")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	vic.page("/live", 200, by+" (risk)")

	// Who lent it takes it back, and what was approved by it counts no more.
	end := url.Values{"delegation": {"dora risk *"}, "why": {"back early"}}
	vic.send(path+"/delegations/end", end, 403, "vic may not")
	rita.page(path, 200, "Take a delegation back", "risk for all teams, to dora")
	rita.send(path+"/delegations/end", url.Values{"delegation": {"dora risk *"}}, 422, "reason is empty")
	rita.send(path+"/delegations/end", end, 303)
	rita.send(path+"/delegations/end", end, 404, "is there to take back")
	rita.page(path, 200, "Nothing is delegated")
	vic.page("/releases/"+c.ID, 200, "does not stand now")
	// An administrator may, and has the form for it.
	rita.send(path+"/delegations", form, 303)
	root := h.as("administrator")
	root.page(path, 200, "Take a delegation back")
	root.send(path+"/delegations/end", end, 303)
}
