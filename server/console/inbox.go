package console

import (
	"context"
	"fmt"
	"time"

	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// inboxBody is what waits for the caller.
type inboxBody struct {
	Items []InboxItem
	Empty Empty
}

// InboxItem is one thing that waits.
type InboxItem struct {
	Act     Badge
	Release string
	Href    string
	Model   string
	// Where says for what use and where it runs, and at which tier.
	Where string
	Live  bool
	// Since is when it began to wait, Waited how long ago that was.
	Since  time.Time
	Waited string
	Due    time.Time
	// Ask says what is asked of the reader, Why why, and why of them.
	Ask string
	Why string
	Do  string
}

var acts = map[string]Badge{
	wire.WaitsApprove: {"missing", "your word"},
	wire.WaitsSupply:  {"inconclusive", "evidence"},
	wire.WaitsPromote: {"live", "promotion"},
	wire.WaitsReview:  {"waived", "review"},
	wire.WaitsDrill:   {"inconclusive", "drill"},
}

var asks = map[string]string{
	wire.WaitsApprove: "Approve it or request changes, as %s.",
	wire.WaitsSupply:  "Supply what a gate lacks, as %s.",
	wire.WaitsPromote: "Promote it, as %s.",
	wire.WaitsReview:  "Review an exception that somebody else made, as %s.",
	wire.WaitsDrill:   "Try again whether what ran before could take over, as %s.",
}

// inbox shows what waits for the caller.
func (c *console) inbox(ctx context.Context, who registry.Caller, _ input) (*Page, error) {
	waiting, err := c.Registry.Waiting(ctx, who)
	if err != nil {
		return nil, err
	}
	body := inboxBody{Items: c.items(waiting), Empty: Empty{Sentence: "Nothing waits for you.", Link: Link{Text: "All releases", Href: "/releases"}}}
	return &Page{Template: "inbox", Title: "Inbox", Lead: "What waits for you: what runs first, then by falling risk, then the oldest.", Body: body}, nil
}

func (c *console) items(waiting []wire.Waiting) []InboxItem {
	var out []InboxItem
	for _, w := range waiting {
		item := InboxItem{
			Act: acts[w.Act], Release: w.Release, Href: "/releases/" + w.Release, Model: w.Model, Live: w.Live,
			Where: fmt.Sprintf("%s in %s, tier %s", w.UseCase, w.Environment, w.Tier),
			Since: w.Since, Waited: ago(c.now().Sub(w.Since)), Due: w.Due, Why: w.Why, Do: w.Do,
			Ask: fmt.Sprintf(asks[w.Act], w.Role),
		}
		if w.Envelope != "" {
			item.Release, item.Href = w.Envelope, envelopeHref(w.Envelope)
		}
		switch w.Act {
		case wire.WaitsApprove:
			item.Href += "#decide"
		case wire.WaitsReview:
			item.Href += "#exceptions"
		case wire.WaitsSupply:
			item.Href += "#gates"
		}
		out = append(out, item)
	}
	return out
}

// ago says a span as people do, in its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		one    string
		many   string
	}{{365 * day, "year", "years"}, {30 * day, "month", "months"}, {day, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}} {
		if d >= unit.length {
			return count(int(d/unit.length), unit.one, unit.many)
		}
	}
	return "less than a minute"
}
