package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func TestAdministratorsEnrolAndBindInTheConsole(t *testing.T) {
	h := settle(t)
	admin, vic := h.as("administrator"), h.as("vic")
	admin.page("/people", 200, "Enrol somebody")
	admin.page("/people/enrol", 200, "You may enrol principals because you hold the role administrator for all teams", "Shown as")
	if text := vic.page("/people/enrol", 200, "vic may not enrol principals", "imprimatur principal bind vic"); strings.Contains(text, "Shown as") {
		t.Errorf("a viewer is shown the form:\n%s", text)
	}
	vic.send("/people/enrol", url.Values{"name": {"ann"}}, 403, "vic may not enrol principals")
	admin.send("/people/enrol", url.Values{"name": {"Not A Name"}, "display": {"<b>Nora</b>"}}, 422, "name")
	admin.send("/people/enrol", url.Values{"name": {"ann"}}, 409, "ann is enrolled already")
	if status, to := admin.post("/people/enrol", url.Values{"name": {"nora"}, "display": {"Nora"}, "emails": {"nora@lab.example, n@lab.example"}}); status != 303 || to != "/principals/nora/roles" {
		t.Fatalf("enrolling answers %d to %q", status, to)
	}
	admin.page("/principals/nora/roles", 200, "No role stands", "You may bind roles", "all teams")
	for _, in := range []url.Values{
		{"role": {"risk"}, "team": {"*"}, "expires": {"2999-01-02T03:04"}},
		{"role": {"model-owner"}, "team": {"*"}, "model": {"lab/net"}},
	} {
		if status, to := admin.post("/principals/nora/roles", in); status != 303 || to != "/principals/nora/roles" {
			t.Errorf("binding %v answers %d to %q", in, status, to)
		}
	}
	admin.send("/principals/nora/roles", url.Values{"role": {"risk"}, "team": {"none"}}, 404, "none")
	admin.send("/principals/nora/roles", url.Values{"role": {"risk"}, "team": {"*"}, "expires": {"soon"}}, 422, "no date and time")
	admin.send("/principals/robot/roles", url.Values{"role": {"risk"}, "team": {"*"}}, 422, "robot is a workload")
	vic.send("/principals/nora/roles", url.Values{"role": {"viewer"}, "team": {"lab"}}, 403, "vic may not bind roles")
	admin.page("/principals/nora", 200, "Nora", "nora@lab.example, n@lab.example", "risk all teams 2999-01-02", "model-owner the model lab/net", "Invite them")
	vic.send("/principals/nora/roles/take", url.Values{"binding": {"risk *"}}, 403, "vic may not bind roles")
	vic.send("/principals/nora/roles/take", url.Values{"binding": {"viewer lab"}}, 403, "vic may not bind roles")
	for _, status := range []int{303, 409} {
		if got, _ := admin.post("/principals/nora/roles/take", url.Values{"binding": {"risk *"}}); got != status {
			t.Errorf("taking it away answers %d, want %d", got, status)
		}
	}
	roles := must[wire.Enrolled](t)(h.admin.Principal(h.ctx, "nora")).Roles
	if len(roles) != 1 || roles[0].Role != record.ModelOwner || roles[0].Where() != "lab/net" {
		t.Errorf("nora holds %+v", roles)
	}
}

func TestAdministratorsInviteInTheConsole(t *testing.T) {
	h := settle(t)
	admin, vic := h.as("administrator"), h.as("vic")
	admin.page("/principals/sam/invite", 200, "works once, for 72 hours", "You may invite people", "Make the link")
	admin.page("/principals/robot/invite", 200, "robot is a workload and does not sign in")
	admin.page("/principals/nobody/invite", 404, "nobody")
	if text := vic.page("/principals/sam/invite", 200, "vic may not invite people"); strings.Contains(text, "Make the link") {
		t.Errorf("a viewer is shown the form:\n%s", text)
	}
	vic.send("/principals/sam/invite", nil, 403, "vic may not invite people")
	size := h.count(record.KindCredential)
	text := admin.send("/principals/sam/invite", nil, 200, "it is not shown again")
	at := strings.Index(text, h.url+"/welcome/")
	if at < 0 || h.count(record.KindCredential) != size+1 {
		t.Fatalf("the page shows no link:\n%s", text)
	}
	link, _, _ := strings.Cut(text[at+len(h.url):], " ")
	sam := h.browser()
	if status, _ := sam.post(link, nil); status != http.StatusSeeOther || sam.who() != "sam by invitation" {
		t.Errorf("the link answers %d and signs in %q", status, sam.who())
	}
	if other := h.browser(); other.see(link, 401) == "" {
		t.Error("the link is not refused in words")
	}
	for _, e := range must[wire.Page](t)(h.admin.List(h.ctx, record.KindCredential, 0, 0)).Entries {
		if strings.Contains(string(e.Record), strings.TrimPrefix(link, "/welcome/")) {
			t.Errorf("the link stands in the ledger: %s", e.Record)
		}
	}
}

func TestAdministratorsSeePeopleOffInTheConsole(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	admin, vic, olga := h.as("administrator"), h.as("vic"), h.as("olga")
	path := "/principals/olga/offboard"
	if text := vic.page(path, 200, "vic may not see people off"); strings.Contains(text, "What they own") {
		t.Errorf("a viewer is shown what olga owns:\n%s", text)
	}
	vic.send(path, url.Values{"to": {"ann"}, "sure": {"yes"}}, 403, "vic may not see people off")
	if text := admin.page(path, 200, "lab/net", "lab/triage", "model-owner team lab", "Who takes over", c.ID); strings.Contains(text, "What will happen") {
		t.Errorf("without an heir the form is there:\n%s", text)
	}
	admin.page(path+"?to=robot", 200, "cannot take over what olga owns", "Who takes over")
	admin.page("/principals/administrator/offboard", 200, "may not see themselves off")
	size := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size
	admin.page(path+"?to=ann", 200, "ann owns what olga owned: 2 things.", "1 role and 1 token end", "may run no longer", "You may see people off")
	admin.send(path, url.Values{"to": {"ann"}}, 422, "nobody was seen off: say that you have read what ends with olga", "ann owns what olga owned")
	admin.send(path, url.Values{"to": {"robot"}, "sure": {"yes"}}, 422, "cannot take over")
	admin.send(path, url.Values{"sure": {"yes"}}, 409, "olga still owns 2 things")
	if got := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size; got != size {
		t.Errorf("looking and being refused stated %d things", got-size)
	}
	if status, to := admin.post(path, url.Values{"to": {"ann"}, "sure": {"yes"}}); status != 303 || to != "/principals/olga" {
		t.Fatalf("seeing off answers %d to %q", status, to)
	}
	admin.page("/principals/olga", 200, "disabled", "No role stands")
	if olga.who() != "" {
		t.Error("olga is signed in still")
	}
	owned := must[[]wire.Entry](t)(h.reg.Owned(h.ctx, administrator, "ann"))
	if !slices.ContainsFunc(owned, func(e wire.Entry) bool { return strings.Contains(e.Subject, "lab/net") }) {
		t.Errorf("ann owns %+v", owned)
	}
}
