package server_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

// tour is one browser in the demo's clinic, in which people sign in one after
// the other.
type tour struct {
	*visited
	c   *clinic
	who string
}

var visitors = []string{"viewer", "auditor", "engineer", "model-owner", "data-steward", "risk-officer", "security-officer", "administrator"}

// becomes signs out whoever is signed in, and signs somebody else in by a token.
func (v *tour) becomes(name string) {
	v.house.Helper()
	v.leaves()
	v.signIn(name)
	v.who = name
}

func (v *tour) leaves() {
	v.house.Helper()
	if v.who != "" {
		v.Go(v.at.String() + "/")
		v.Follow("form[action='/sign-out'] button")
	}
	v.who = ""
}

// seen is what somebody sees in the main part of a page.
type seen struct {
	Title   string   `json:"title"`
	Text    string   `json:"text"`
	Buttons []string `json:"buttons"`
}

const mainPart = `JSON.stringify({title: document.querySelector("main h1").innerText, text: document.querySelector("main").innerText,
	buttons: [...document.querySelectorAll("main button")].filter(b => b.checkVisibility()).map(b => b.innerText)})`

func (v *tour) sees(path string) (s seen) {
	v.house.Helper()
	v.Go(v.at.String() + path)
	if err := json.Unmarshal([]byte(browsertest.Evaluate[string](v.Browser, mainPart)), &s); err != nil {
		v.house.Fatal(err)
	}
	return s
}

// shows keeps pictures of the page as it is, for a laptop and a phone, light and
// dark.
func (v *tour) shows(name string) {
	v.house.Helper()
	if os.Getenv("SCREENSHOTS") == "" {
		return
	}
	for _, scheme := range []string{"dark", "light"} {
		for _, width := range []int64{390, 1280} {
			v.Scheme(scheme)
			v.Size(width, 900)
			v.Screenshot(fmt.Sprintf("%s-%s-%d", name, scheme, width))
		}
	}
}

// set puts a value into a field whose keys depend on where a browser is.
func (v *tour) set(selector, value string) {
	v.house.Helper()
	browsertest.Evaluate[any](v.Browser, fmt.Sprintf("(document.querySelector(%q).value = %q, true)", selector, value))
}

// look is a page: what everybody sees on it, the buttons that everybody has, and
// those that only some have, by whom; what the others are told.
type look struct {
	path, says string
	all        []string
	may        map[string][]string
	others     string
}

// buttons are those that somebody has, sorted.
func (l *look) buttons(who string) []string {
	out := slices.Clone(l.all)
	for button, whose := range l.may {
		if slices.Contains(whose, who) {
			out = append(out, button)
		}
	}
	slices.Sort(out)
	return out
}

// console is every page of the console.
func (v *tour) console() []look {
	c := v.c
	deciders := []string{"engineer", "model-owner", "risk-officer", "security-officer"}
	owners := []string{"engineer", "model-owner"}
	steward, administrator := []string{"data-steward"}, []string{"administrator"}
	show := []string{"Show"}
	owner := registry.Caller{Name: "model-owner", Type: record.Human}
	foreseen := must[[]wire.Entry](v.house)(c.reg.ForeseeRollback(c.ctx, owner, c.live, ""))
	back := must[wire.Case](v.house)(c.reg.CheckRelease(c.ctx, owner, promotedBy(v.house, foreseen)))
	rel := back.Release.Record
	data, evaluation := string(rel.Data.Datasets[0]), record.EvaluationID(rel.Behaviour.Evaluations[0])
	set := must[wire.Named](v.house)(c.reg.Named(c.ctx, owner, wire.Browse{Prefix: record.KeyDataset(""), Begins: data})).Entries[0]
	body, _ := record.Replay(set.Kind, set.Record)
	ref := body.(record.Dataset).Ref()
	return []look{
		{path: "/", says: "What waits for you"},
		{path: "/inbox", says: "What waits for you"},
		{path: "/releases", says: "clinic/breast-mass", all: show},
		{path: "/releases/" + c.open, says: "What it was made from", all: []string{"Compare"}, may: map[string][]string{"Approve": deciders, "Request changes": deciders, "Comment": visitors[1:]}},
		{path: "/releases/" + c.open + "/promote", says: "Promote " + c.open},
		{path: "/envelopes", says: "There is no envelope that you may read."},
		{path: "/live", says: c.live, all: []string{"Show", "Go there"}},
		{path: "/live?at=2026-01-01T00:00:00", says: "Nothing ran in production at that time.", all: []string{"Show", "Go there"}},
		{path: "/live/" + c.live + "/rollback", says: "Roll back " + c.live, may: map[string][]string{"Roll back to " + back.ID: owners}, others: "may not promote releases for team clinic"},
		{path: "/live/" + c.live + "/suspend", says: "Suspend " + c.live, may: map[string][]string{"Suspend " + c.live: deciders}, others: "may not suspend releases for team clinic"},
		{path: "/search?q=breast", says: "clinic/breast-mass"},
		{path: "/models", says: "clinic/breast-mass", all: show},
		{path: "/models/clinic/breast-mass", says: "History"},
		{path: "/models/clinic/breast-mass?version=1", says: "History"},
		{path: "/versions", says: "clinic/breast-mass@2", all: show},
		{path: "/datasets", says: "clinic/holdout", all: show},
		{path: "/data/clinic/holdout", says: "Versions"},
		{path: "/datasets/" + data, says: "What stewards decided"},
		{path: "/datasets/" + data + "/decide?decision=allow", says: "Approve " + ref, may: map[string][]string{"Approve " + ref: steward}, others: "may not approve or withdraw data for team clinic"},
		{path: "/datasets/" + data + "/decide?decision=withdraw", says: "Withdraw " + ref, may: map[string][]string{"Withdraw " + ref: steward}, others: "may not approve or withdraw data for team clinic"},
		{path: "/runs", says: "clinic/train-1", all: show},
		{path: "/runs/clinic/train-1", says: "training-pipeline"},
		{path: "/use-cases", says: "clinic/second-reading", all: show},
		{path: "/use-cases/clinic/second-reading", says: "model-owner"},
		{path: "/evaluations/" + evaluation, says: "History"},
		{path: "/vendors", says: "No vendor's model is registered yet."},
		{path: "/people", says: "Enrol somebody", all: show},
		{path: "/people/enrol", says: "Enrol somebody", may: map[string][]string{"Enrol": administrator}, others: "may not enrol principals"},
		{path: "/workloads", says: "training-pipeline", all: show},
		{path: "/inventory", says: "who answers for each", all: show},
		{path: "/inventory?finding=any", says: "who answers for each", all: show},
		{path: "/principals/training-pipeline", says: "trains the clinic's models"},
		{path: "/principals/model-owner", says: "Invite them", may: map[string][]string{"Delegate it": {"model-owner"}}},
		{path: "/principals/viewer/roles", says: "viewer", may: map[string][]string{"Bind it": administrator, "Take it away": administrator}, others: "may not bind roles"},
		{path: "/principals/viewer/invite", says: "Invite viewer", may: map[string][]string{"Make the link": administrator}, others: "may not invite people"},
		{path: "/principals/viewer/offboard", says: "See viewer off", may: map[string][]string{"See viewer off": administrator}, others: "may not see people off"},
		{path: "/policies", says: "clinical", all: show},
		{path: "/policies/clinical", says: "Tier high"},
		{path: "/policy-draft", says: "Trying changes nothing", all: []string{"Try it on what is live"}},
		{path: "/ledger", says: "The ledger itself", all: show},
		{path: "/ledger/40", says: "the leaf leads by", all: []string{"Check it again in this browser"}},
		{path: "/api/", says: "POST /api/v1/releases"},
	}
}

// promotedBy is the release that is promoted among what was stated.
func promotedBy(t testing.TB, entries []wire.Entry) string {
	t.Helper()
	for _, e := range entries {
		if body, err := record.Replay(e.Kind, e.Record); err == nil {
			if p, ok := body.(record.Promotion); ok {
				return p.Release
			}
		}
	}
	t.Fatal("nothing is promoted")
	return ""
}

// TestEverybodyDrivesTheConsoleInABrowser has each kind of person look at every page, and
// then act on them as people do, from an invitation to a withdrawal.
func TestEverybodyDrivesTheConsoleInABrowser(t *testing.T) {
	c := told(t)
	v := &tour{visited: visit(t, c.house), c: c}
	v.Size(1280, 900)
	pages := v.console()
	for _, who := range visitors {
		v.becomes(who)
		for _, l := range pages {
			s := v.sees(l.path)
			slices.Sort(s.Buttons)
			if want := l.buttons(who); !slices.Equal(s.Buttons, want) {
				t.Errorf("%s at %s has the buttons %q, want %q", who, l.path, s.Buttons, want)
			}
			told := l.says
			if l.others != "" && len(l.buttons(who)) == len(l.all) {
				told = l.others
			}
			if !strings.Contains(s.Text, told) {
				t.Errorf("%s at %s is not told %q:\n%s", who, l.path, told, s.Text)
			}
			if who == "administrator" || who == "security-officer" {
				v.shows(who + strings.NewReplacer("/", "-", "?", "-", "=", "-", ":", "-").Replace(cmp.Or(strings.TrimPrefix(l.path, "/"), "home")))
			}
		}
	}
	for _, act := range []func(){v.administratorInvites, v.riskPublishes, v.othersDecide, v.riskSigns, v.ownerPromotesAndRollsBack, v.securityStopsIt, v.viewerLooksBack, v.stewardWithdraws, v.administratorSeesOff} {
		act()
	}
}
