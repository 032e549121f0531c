package registry

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/lineage"
	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// spaceSecret is where the store keeps the sealed secrets of targets.
const spaceSecret = "target-secret"

// bothSign is how long an old secret signs beside its successor.
const bothSign = 24 * time.Hour

// AddTarget makes a target. What is stated from then on is told to it.
func (r *Registry) AddTarget(ctx context.Context, who Caller, in wire.TargetRequest) (wire.KeptTarget, error) {
	// A secret cannot be answered twice, so a repeat is a new target.
	who.Request = ""
	id := "t-" + randomHex(8)
	return r.keepTarget(ctx, who, func(t *tx) (record.Target, string, error) {
		x := record.Target{
			ID: id, Team: in.Team, Name: in.Name, Description: in.Description, Form: in.Form, URL: in.URL, Address: in.Address,
			Events: in.Events, Environments: in.Environments, Created: t.now, Updated: t.now,
		}
		if x.Team != record.AllTeams {
			if err := t.team(x.Team); err != nil {
				return x, "", err
			}
		}
		secret := in.Secret
		if x.Form == record.FormWebhook {
			secret = cmp.Or(secret, notify.NewSecret())
		}
		return x, secret, nil
	})
}

// ChangeTarget changes a target.
func (r *Registry) ChangeTarget(ctx context.Context, who Caller, id string, in wire.TargetChange) (wire.KeptTarget, error) {
	who.Request = ""
	return r.keepTarget(ctx, who, func(t *tx) (record.Target, string, error) {
		old, err := t.target(id)
		if err != nil {
			return record.Target{}, "", err
		}
		x := old.Record
		set(&x.Name, in.Name)
		set(&x.Description, in.Description)
		set(&x.URL, in.URL)
		set(&x.Address, in.Address)
		set(&x.Events, in.Events)
		set(&x.Environments, in.Environments)
		set(&x.Disabled, in.Disabled)
		x.Updated = later(t.now, x.Updated.Add(time.Millisecond))
		secret := ""
		set(&secret, in.Secret)
		if in.Rotate {
			if x.Form != record.FormWebhook {
				return x, "", refusef(wire.Invalid, "a secret is made for webhooks alone; give the new one of this target yourself")
			}
			secret = notify.NewSecret()
		}
		return x, secret, nil
	})
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// keepTarget states a target as fn builds it. A secret is sealed and kept before
// the statement names it, so that no crash leaves a name without its secret.
func (r *Registry) keepTarget(ctx context.Context, who Caller, fn func(*tx) (record.Target, string, error)) (wire.KeptTarget, error) {
	var shown string
	got, err := command[record.Target](ctx, r, who, func(t *tx) error {
		x, secret, err := fn(t)
		if err != nil {
			return err
		}
		if err := t.may(actTarget, x.Team); err != nil {
			return err
		}
		shown = ""
		if x.Form == record.FormWebhook {
			shown = secret
		}
		if err := r.reachable(&x, &secret); err != nil {
			return err
		}
		if secret != "" {
			if x.Secret != "" {
				x.Previous, x.PreviousUntil = x.Secret, record.Millis(t.now.Add(bothSign))
			}
			x.Secret = "s-" + randomHex(8)
			t.before = func() error { return r.sealTargetSecret(ctx, x.ID, x.Secret, secret) }
		}
		return t.state(x)
	})
	return wire.KeptTarget{Target: got, Secret: shown}, err
}

// reachable refuses what could never be sent to, and moves the address of a
// slack target to where secrets are.
func (r *Registry) reachable(x *record.Target, secret *string) error {
	switch {
	case x.Form == record.FormMail:
		if !r.outbox.sender.Mails() {
			return refusef(wire.Invalid, "this server sends no mail; start it with a mail server: imprimatur serve --smtp")
		}
		if *secret != "" {
			return refusef(wire.Invalid, "mail takes no secret; give the target none")
		}
		return nil
	case x.Form == record.FormWebhook && *secret != "":
		if err := notify.CheckSecret(*secret); err != nil {
			return refusef(wire.Invalid, "%w", err)
		}
	case x.Form == record.FormSlack && *secret != "":
		return refusef(wire.Invalid, "the secret of a slack target is its URL; give the URL alone")
	}
	u, err := r.outbox.guard.URL(x.URL)
	if err != nil {
		return refusef(wire.Invalid, "the target's URL is refused: %w; give another, or start the server so that it is allowed: imprimatur serve --allow-target", err)
	}
	if x.Form == record.FormSlack && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		*secret = x.URL
		x.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	return nil
}

func secretName(target, id string) string { return "target/" + target + "/" + id }

func (r *Registry) sealTargetSecret(ctx context.Context, target, id, secret string) error {
	sealed, err := r.key.SealSecret(secretName(target, id), []byte(secret))
	if err != nil {
		return err
	}
	return r.store.Keep(ctx, store.Aside{Space: spaceSecret, ID: id, Owner: target, Value: sealed}, time.Now())
}

// destination is a target with its secrets open, the newest first.
func (r *Registry) destination(ctx context.Context, x record.Target) (notify.Destination, error) {
	to := notify.Destination{Form: x.Form, URL: x.URL, Address: x.Address}
	ids := []string{x.Secret}
	if x.Previous != "" && record.Stands(time.Time{}, x.PreviousUntil, record.Millis(r.now())) && x.Form == record.FormWebhook {
		ids = append(ids, x.Previous)
	}
	for _, id := range ids {
		if id == "" {
			continue
		}
		kept, ok, err := r.store.Recall(ctx, spaceSecret, id, time.Now())
		if err != nil {
			return to, err
		}
		if !ok {
			return to, fmt.Errorf("the secret %s of the target %s is not kept here; give it a new one", id, x.ID)
		}
		secret, err := r.key.OpenSecret(secretName(x.ID, id), kept.Value)
		if err != nil {
			return to, err
		}
		to.Secrets = append(to.Secrets, string(secret))
	}
	return to, nil
}

// target returns a target that was not removed, for who may change it.
func (t *tx) target(id string) (record.Recorded[record.Target], error) {
	got, ok, err := lineage.Last[record.Target](t, record.KeyTarget(id))
	switch {
	case err != nil:
		return got, err
	case ok:
		err = t.may(actTarget, got.Record.Team)
	default:
		err = t.mayAnywhere(actTarget)
	}
	if err == nil && (!ok || got.Record.Deleted) {
		err = refusef(wire.Unknown, "no target %s is known here; imprimatur target list shows them", id)
	}
	return got, err
}

// RemoveTarget ends a target for good. What was not delivered is forgotten.
func (r *Registry) RemoveTarget(ctx context.Context, who Caller, id string) (record.Recorded[record.Target], error) {
	got, err := command[record.Target](ctx, r, who, func(t *tx) error {
		old, err := t.target(id)
		if err != nil {
			return err
		}
		x := old.Record
		x.Deleted, x.Updated = true, later(t.now, x.Updated.Add(time.Millisecond))
		return t.state(x)
	})
	if err != nil {
		return got, err
	}
	// The target is gone already; what is left of it does nothing.
	_ = r.store.Forget(ctx, spaceSecret, id)
	_ = r.store.DropReader(ctx, id)
	return got, nil
}

// Targets returns the targets of one team, or of all where it is empty, that the
// caller may change: by their names.
func (r *Registry) Targets(ctx context.Context, who Caller, team string) ([]wire.TargetStatus, error) {
	out := []wire.TargetStatus{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayAnywhere(actTarget); err != nil {
			return err
		}
		newest, err := t.view.LastOfEach(record.KeyTarget(""))
		if err != nil {
			return err
		}
		entries, err := t.decode(newest)
		if err != nil {
			return err
		}
		for _, e := range entries {
			x, ok := e.Statement.Body.(record.Target)
			if !ok || x.Deleted || team != "" && x.Team != team || t.may(actTarget, x.Team) != nil {
				continue
			}
			out = append(out, wire.TargetStatus{Target: recorded(e, x), Behind: t.view.Size()})
		}
		return nil
	})
	for i := range out {
		if err == nil {
			err = r.targetStatus(ctx, &out[i])
		}
	}
	slices.SortFunc(out, func(a, b wire.TargetStatus) int {
		return cmp.Or(cmp.Compare(a.Target.Record.Name, b.Target.Record.Name), cmp.Compare(a.Target.Record.ID, b.Target.Record.ID))
	})
	return out, err
}

// targetStatus fills in how far a target has come in a ledger of so many entries
// as Behind says.
func (r *Registry) targetStatus(ctx context.Context, out *wire.TargetStatus) error {
	size := out.Behind
	at, ok, err := r.store.ReaderOf(ctx, out.Target.Record.ID)
	if err != nil {
		return err
	}
	if !ok {
		at.Next = out.Target.Index + 1
	}
	out.Next, out.Behind, out.Sent, out.Last = at.Next, max(0, size-at.Next), at.Sent, at.Last
	out.Failures, out.Fault = at.Failures, at.Fault
	if at.Rest.After(time.Now()) {
		out.Rest = at.Rest
	}
	return nil
}

// Target returns a target with the deliveries that were not made.
func (r *Registry) Target(ctx context.Context, who Caller, id string) (wire.TargetStatus, error) {
	var out wire.TargetStatus
	err := r.read(ctx, who, func(t *tx) error {
		x, err := t.target(id)
		out = wire.TargetStatus{Target: x, Behind: t.view.Size()}
		return err
	})
	if err == nil {
		err = r.targetStatus(ctx, &out)
	}
	if err != nil {
		return wire.TargetStatus{}, err
	}
	kept, err := r.store.Deliveries(ctx, id, wire.MaxPage)
	for _, d := range kept {
		out.Deliveries = append(out.Deliveries, wire.Delivery{
			ID: d.ID, Entry: d.Entry, State: d.State, Attempts: d.Attempts, Due: d.Due, Fault: d.Fault, Made: d.Made,
		})
	}
	return out, err
}

// ReplayTarget makes what was given up due again: one delivery, or all.
func (r *Registry) ReplayTarget(ctx context.Context, who Caller, id string, in wire.Replay) (wire.Replayed, error) {
	if _, err := r.actingOn(ctx, who, id); err != nil {
		return wire.Replayed{}, err
	}
	n, err := r.store.Replay(ctx, id, in.Delivery, time.Now())
	if err == nil && n == 0 && in.Delivery != "" {
		return wire.Replayed{}, refusef(wire.Unknown, "the target %s has given up no delivery %s; imprimatur target show %s lists them", id, in.Delivery, id)
	}
	r.outbox.refresh(id)
	return wire.Replayed{Deliveries: n}, err
}

// actingOn returns a target for a caller who does something that is no
// statement: a test, a replay.
func (r *Registry) actingOn(ctx context.Context, who Caller, id string) (x record.Recorded[record.Target], err error) {
	if who.onlyReads() {
		return x, refusef(wire.Forbidden, "the token of %s is limited to read and may send nothing; sign in with a wider one", who.Name)
	}
	err = r.read(ctx, who, func(t *tx) error {
		x, err = t.target(id)
		return err
	})
	return x, err
}

// TestTarget sends one message to a target, which tells of nothing, and says what
// became of it. An MLflow webhook gets the example of an event, of its first one
// where none is named.
func (r *Registry) TestTarget(ctx context.Context, who Caller, id, event string) (wire.TargetTest, error) {
	x, err := r.actingOn(ctx, who, id)
	if err != nil {
		return wire.TargetTest{}, err
	}
	to, err := r.destination(ctx, x.Record)
	if err != nil {
		return wire.TargetTest{Fault: err.Error()}, nil
	}
	now := record.Millis(r.now())
	m := notify.About("msg_"+randomHex(16), r.outbox.place.Test(who.Name, x.Record.Name, now))
	if x.Record.Form == record.FormMLflow {
		event = cmp.Or(event, x.Record.Events[0])
		entity, action, _ := strings.Cut(event, ".")
		m.MLflow = &notify.MLflow{Entity: entity, Action: action, At: now, Data: notify.MLflowExample(event)}
		if m.MLflow.Data == nil {
			return wire.TargetTest{}, refusef(wire.Invalid, "MLflow's registry has no event %q; name one that the target is told of: %s", event, strings.Join(x.Record.Events, ", "))
		}
	}
	out := r.outbox.sender.Send(ctx, to, m, time.Now())
	return wire.TargetTest{OK: out.OK, Status: out.Status, Body: out.Body, Fault: out.Fault}, nil
}

// messageOf reads a message that is no statement's from its delivery.
func messageOf(raw []byte) (m notify.Message, err error) {
	err = json.Unmarshal(raw, &m)
	return m, err
}
