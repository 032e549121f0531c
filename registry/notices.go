package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/attest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Notices are mails to people: what waits for them, and what is about to lapse.
// Who gets one is found by looking at the whole ledger, after something was
// stated and once an hour. A notice's ID follows from the person, the thing and
// the date, and the store keeps the IDs of those that were sent: so each is sent
// once, over restarts and replicas.

const (
	// noticesReader is the reader of the ledger that notices are of.
	noticesReader = "notices"
	// noticesEvery is how often the whole is looked at though nothing was stated,
	// noticesAfter how long a statement may wait for others that come with it.
	noticesEvery = time.Hour
	noticesAfter = 2 * time.Second
	// noticesShare is how many times as long as a look took nobody looks again,
	// so that looking at a large ledger never keeps a processor busy.
	noticesShare = 20
	// rememberNotices is how long it is kept that a notice was sent.
	rememberNotices = 400 * 24 * time.Hour
)

// DefaultRemind is how long before something lapses people are reminded.
var DefaultRemind = []time.Duration{14 * 24 * time.Hour, 3 * 24 * time.Hour}

// notice is a mail to one person.
type notice struct {
	To      string         `json:"to"`
	Message notify.Message `json:"message"`
}

// notices sends notices until ctx ends.
func (o *outbox) notices(ctx context.Context) {
	var looked time.Time
	seen := int64(-1)
	for ctx.Err() == nil {
		began := time.Now()
		err := o.notify(ctx, &looked, &seen)
		if err != nil && ctx.Err() == nil {
			o.log.WarnContext(ctx, "notices could not be sent; trying again", "error", err)
		}
		timer := time.NewTimer(max(noticesAfter, noticesShare*time.Since(began)))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// notify looks at the ledger where there is reason to, and sends what is due.
func (o *outbox) notify(ctx context.Context, looked *time.Time, seen *int64) error {
	now := time.Now()
	size := o.size.Load()
	_, waiting, err := o.reg.store.NextDelivery(ctx, noticesReader)
	if err != nil {
		return err
	}
	stale := size != *seen || now.Sub(*looked) > noticesEvery
	if !stale && !waiting {
		return nil
	}
	row, mine, err := o.reg.store.Claim(ctx, noticesReader, o.holder, 0, now, leaseFor)
	if err != nil || !mine {
		return err
	}
	if stale {
		found, err := o.reg.noticesNow(ctx)
		if err != nil {
			return err
		}
		row.Next = size
		if err := o.reg.store.Settle(ctx, row, o.holder, time.Now().Add(leaseFor), store.Settlement{Add: found}); err != nil {
			return err
		}
		*looked, *seen = now, size
	}
	return o.sendNotices(ctx, row)
}

// sendNotices sends what is due, one after the other.
func (o *outbox) sendNotices(ctx context.Context, row store.Reader) error {
	for ctx.Err() == nil && !row.Rest.After(time.Now()) {
		d, ok, err := o.reg.store.NextDelivery(ctx, noticesReader)
		if err != nil || !ok || d.Due.After(time.Now()) {
			return err
		}
		var n notice
		if err := json.Unmarshal(d.Message, &n); err != nil {
			return err
		}
		out := o.sender.Send(ctx, notify.Destination{Form: record.FormMail, Address: n.To}, n.Message, time.Now())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		settled(&row, &d, out)
		if out.OK {
			d.State, d.Due = store.DeliverySent, time.Now().Add(rememberNotices)
		}
		if err := o.reg.store.Settle(ctx, row, o.holder, time.Now().Add(leaseFor), store.Settlement{Set: []store.Delivery{d}}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// noticesNow are the notices that there is reason for now; most were sent before.
func (r *Registry) noticesNow(ctx context.Context) (out []store.Delivery, err error) {
	err = r.read(ctx, Caller{}, func(t *tx) error {
		people, err := t.mailed()
		if err != nil || len(people) == 0 {
			return err
		}
		n := &noticing{tx: t, people: people}
		for _, id := range r.roll.newest(func(string) bool { return true }) {
			if err := n.line(id); err != nil {
				return err
			}
		}
		if err := errors.Join(n.tokens(), n.assurance()); err != nil {
			return err
		}
		out = n.found
		return nil
	})
	return out, err
}

// noticing gathers notices.
type noticing struct {
	*tx
	people []record.Person
	found  []store.Delivery
}

// mailed returns the people who get mail.
func (t *tx) mailed() (out []record.Person, err error) {
	newest, err := t.view.LastOfEach(record.KeyPrincipal(""))
	if err != nil {
		return nil, err
	}
	for _, e := range newest {
		s, err := attest.DecodeStatement(e.Payload)
		if err != nil {
			return nil, err
		}
		p, ok := s.Body.(record.Principal)
		if !ok || p.Type != record.Human || p.Quiet || len(p.Emails) == 0 || !record.IsMailAddress(p.Emails[0]) || !p.Stands(t.now) {
			continue
		}
		person, err := t.person(p.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, person)
	}
	return out, nil
}

// line notices what waits in a line, and what of its live release lapses soon.
func (n *noticing) line(newest string) error {
	c, err := n.examine(newest)
	if err != nil {
		return err
	}
	live := c
	if c.Live != "" && c.Live != newest {
		if live, err = n.examine(c.Live); err != nil {
			return err
		}
	}
	for _, p := range n.people {
		waits := append(n.waitingOn(c, p), n.reviews(c, p)...)
		if live != c {
			waits = append(waits, n.waitingOn(live, p)...)
		}
		for _, w := range waits {
			n.waits(p, w)
		}
	}
	if live.Status == record.Live && live.Stands {
		n.lapses(live)
	}
	return nil
}

func (n *noticing) waits(p record.Person, w wire.Waiting) {
	subject := fmt.Sprintf("%s %s (%s) in %s waits for you", w.Act, w.Release, w.Model, w.Environment)
	text := w.Why + "\n\n" + w.Do
	n.add(p, subject, text, w.Release, "waits", w.Act, w.Release, string(w.Role), w.Exception, w.Since.String())
}

// lapses notices the gates of a live release that pass now and will not soon:
// the one evaluator is asked about the day (rule 2), so whatever lapses is seen,
// and who can renew it is named as in any refusal.
func (n *noticing) lapses(c *examined) {
	for _, now := range c.Verdict.Gates {
		before, soon := n.remind(now.Until)
		if !soon || !now.Lets() || now.Mode == record.Advise {
			continue
		}
		for _, then := range c.policy.Evaluate(c.dossier, now.Until).Gates {
			if then.Name != now.Name || then.Lets() {
				continue
			}
			for _, p := range n.people {
				role, holds := holdsOne(p, then.Who, teamOf(c.Line), n.now)
				if !holds || strings.HasPrefix(now.Name, approvalGate) && n.barred(c, p, role) != "" {
					continue
				}
				subject := fmt.Sprintf("%s of %s lapses on %s", now.Name, c.ID, now.Until.Format("2 January 2006"))
				text := fmt.Sprintf("The release %s (%s) runs, and its gate %s lapses on %s. From then on it may not run.\n\n%s\nYou can renew it as %s:\n\n%s",
					c.ID, c.Line, now.Name, now.Until.Format("2 January 2006, 15:04 UTC"), now.Rule, role, then.Do)
				n.add(p, subject, text, c.ID, "lapses", c.ID, now.Name, now.Until.String(), before.String())
			}
		}
	}
}

// tokens notices the tokens that lapse soon: to whose they are or, of a
// workload, to its owner.
func (n *noticing) tokens() error {
	newest, err := n.view.LastOfEach(record.KeyToken(""))
	if err != nil {
		return err
	}
	entries, err := n.decode(newest)
	if err != nil {
		return err
	}
	for _, e := range entries {
		x, ok := e.Statement.Body.(record.Token)
		before, soon := n.remind(x.Expires)
		// One that was made for less than the time of the reminder needs none.
		if !ok || x.Revoked || !soon || x.Expires.Sub(e.Statement.Time) <= before {
			continue
		}
		whose, err := lineage.PersonOf(n, x.Principal)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(n.people, func(p record.Person) bool {
			return p.Principal.Name == x.Principal || p.Principal.Name == whose.Principal.Owner
		})
		if i < 0 {
			continue
		}
		day := x.Expires.Format("2 January 2006, 15:04 UTC")
		n.add(n.people[i], fmt.Sprintf("the token %s of %s lapses on %s", x.ID, x.Principal, day),
			fmt.Sprintf("The token %s of %s lapses on %s. Make another one before:\n\nimprimatur principal token %s", x.ID, x.Principal, day, x.Principal),
			"", "token", x.ID, x.Expires.String(), before.String())
	}
	return nil
}

// remind says whether something lapses within one of the times of reminders, and
// within which: the shortest.
func (n *noticing) remind(until time.Time) (before time.Duration, soon bool) {
	if until.IsZero() || !until.After(n.now) {
		return 0, false
	}
	for _, d := range n.reg.outbox.before {
		if !until.After(n.now.Add(d)) && (!soon || d < before) {
			before, soon = d, true
		}
	}
	return before, soon
}

// add makes a notice. The parts are what it is of.
func (n *noticing) add(p record.Person, subject, text, release string, parts ...string) {
	id := notify.DeliveryID(append([]string{n.reg.key.Name(), p.Principal.Name}, parts...)...)
	if url := n.reg.outbox.place.URL; url != "" && release != "" {
		text += "\n\n" + url + "/releases/" + release
	}
	raw, err := json.Marshal(notice{To: p.Principal.Emails[0], Message: notify.Message{ID: id, Subject: subject, Text: text}})
	if err != nil {
		return // text always marshals; a notice is no reason to end
	}
	now := time.Now()
	n.found = append(n.found, store.Delivery{ID: id, Reader: noticesReader, Entry: -1, Message: raw, State: store.DeliveryDue, Due: now, Made: now})
}

// settled writes what became of an attempt into the row and the delivery.
func settled(row *store.Reader, d *store.Delivery, out notify.Outcome) {
	now := time.Now()
	if out.OK {
		row.Sent, row.Last, row.Failures, row.Fault = row.Sent+1, now, 0, ""
		return
	}
	d.Attempts++
	d.Fault, row.Fault = out.Fault, out.Fault
	wait, again := notify.Backoff(d.Attempts)
	d.Due = now.Add(max(wait, out.After))
	if !again || !out.Again {
		d.State = store.DeliveryDead
	}
	switch {
	case out.Gone:
		// Nothing more is sent until somebody changes the target or replays.
		row.Failures, row.Rest = row.Failures+1, now.AddDate(100, 0, 0)
	case out.Rest:
		row.Failures++
		row.Rest = now.Add(max(out.After, notify.Pause(row.Failures)))
	}
}
