package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// sends has the robot send events.
func (h *house) sends(events ...string) {
	h.Helper()
	h.sendsAs(robot, "", events...)
}

func (h *house) sendsAs(who registry.Caller, team string, events ...string) {
	h.Helper()
	var parsed []openlineage.Event
	for _, e := range events {
		parsed = append(parsed, must[openlineage.Event](h)(openlineage.Parse([]byte(e))))
	}
	if err := h.reg.SendLineage(h.ctx, who, team, parsed); err != nil {
		h.Fatal(err)
	}
}

// reads is the event of a run that read files of the bucket lab.
func reads(run string, keys ...string) string {
	var inputs []string
	for _, k := range keys {
		inputs = append(inputs, fmt.Sprintf(`{"namespace":"s3a://lab","name":"/%s"}`, k))
	}
	return fmt.Sprintf(`{"eventType":"COMPLETE","eventTime":"2026-05-01T09:00:00Z","run":{"runId":%q},"job":{"namespace":"flow","name":"train"},"inputs":[%s]}`, run, strings.Join(inputs, ","))
}

// What a run read by its pipeline's lineage, and did not name, stands between it
// and a release until a dataset with that source is registered and approved.
func TestWhatARunReadIsNamedUntilItIsApproved(t *testing.T) {
	h := open(t)
	const external = "0199f0c0-1112-7c11-9f41-0b8f5a6fe002"
	h.evaluate(h.trainBy(robot, "1", true, func(r *record.Run) { r.External = external }), 950)
	h.sends(reads(external, "1", "more/2026.csv"))
	const gap = "a dataset with the source s3://lab/more/2026.csv, which the run lab/run-1 read according to its pipeline's lineage"
	_, err := h.propose("1", record.Authority{})
	h.refused(err, wire.Refused, gap)

	more := record.Dataset{Team: "lab", Name: "more", Version: "1", Digest: digest("more"), Source: "s3://lab/more/2026.csv", Classification: "internal", Owner: "bob"}
	must[record.Recorded[record.Dataset]](t)(h.reg.RegisterDataset(h.ctx, ann, more))
	_, err = h.propose("1", record.Authority{})
	h.refused(err, wire.Refused, "lab/more@1", "approv")
	h.approveData(more.Digest)
	c := must[wire.Case](t)(h.propose("1", record.Authority{}))
	if g := h.gate(c.Verdict, "lineage/datasets"); g.Result != record.Pass || !strings.Contains(g.Reason, "2 datasets") {
		t.Errorf("the gate is %+v", g)
	}
	for role, who := range map[record.RoleName]registry.Caller{record.ModelOwner: olga, record.Risk: rita, record.Security: sam} {
		must[wire.Case](t)(h.approve(who, role, c))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	h.allowed("1")
	// The verdict rests on the events, so the bundle brings them, and an auditor
	// reaches it again.
	if r := h.verified(c.ID, h.clock.now()); !r.OK {
		t.Errorf("the bundle says no: %q", r.Reasons)
	}
	// What is said after the release was proposed stops nothing that runs.
	h.sends(reads(external, "1", "late.csv"))
	h.allowed("1")
}

func TestARunIsHeldToItsOwnTeamsEventsAlone(t *testing.T) {
	h := open(t)
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	must[record.Recorded[record.Role]](t)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "robot", Role: record.Contributor, Team: "other"}))
	h.evaluate(h.train("1", true), 950)
	// Robot may now send for two teams.
	err := h.reg.SendLineage(h.ctx, robot, "", []openlineage.Event{must[openlineage.Event](t)(openlineage.Parse([]byte(reads("run-1", "1"))))})
	h.refused(err, wire.Invalid, "?team=NAME")
	h.sendsAs(robot, "other", reads("run-1", "foreign.csv"))
	h.sendsAs(robot, "lab", reads("another-run", "unknown.csv"), reads("run-1", "1"))
	must[wire.Case](t)(h.propose("1", record.Authority{}))
}

// Events of many senders at once are all kept, once, and the graph is the same
// after the ledger is opened again.
func TestLineageSurvivesManyAtOnceAndARestart(t *testing.T) {
	h := open(t)
	var all sync.WaitGroup
	for sender := range 8 {
		all.Go(func() {
			for i := range 50 {
				// Every event comes from two senders.
				n := sender/2*50 + i
				e, err := openlineage.Parse([]byte(reads(fmt.Sprintf("run-%d", n), fmt.Sprintf("file-%d", n%7))))
				if err == nil {
					err = h.reg.SendLineage(h.ctx, robot, "lab", []openlineage.Event{e})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	before := must[wire.Lineage](t)(h.reg.LineageOf(h.ctx, ann, "job:flow:train", 2))
	if len(before.Graph) != 8 || len(before.Graph[0].InEdges) != 7 {
		t.Fatalf("the graph has %d nodes: %+v", len(before.Graph), before.Graph[0])
	}
	events, times := 0, map[record.Digest]int{}
	for at := int64(0); ; {
		p := must[wire.Page](t)(h.reg.List(h.ctx, ann, record.KindLineageEvents, at, 0))
		for _, e := range p.Entries {
			for _, l := range must[record.Body](t)(record.Replay(e.Kind, e.Record)).(record.LineageEvents).Events {
				events++
				times[l.Digest]++
			}
		}
		if at = p.Next; at == 0 {
			break
		}
	}
	if events != 200 || len(times) != 200 {
		t.Errorf("%d events are stated, %d different ones; want 200", events, len(times))
	}
	h.again()
	after := must[wire.Lineage](t)(h.reg.LineageOf(h.ctx, ann, "job:flow:train", 2))
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the restart changed the graph:\n%s", diff)
	}
}
