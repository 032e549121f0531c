package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func releasePath(id, what string) string { return "/releases/" + url.PathEscape(id) + what }

// ProposeRelease freezes a model version into a release.
func (c *Client) ProposeRelease(ctx context.Context, in wire.Proposal) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, "/releases", nil, in)
}

// CheckRelease evaluates a release now.
func (c *Client) CheckRelease(ctx context.Context, id string) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodGet, releasePath(id, ""), nil, nil)
}

// DiffReleases compares two releases; an empty from means the one that was live
// in the line before to.
func (c *Client) DiffReleases(ctx context.Context, from, to string) (wire.Diff, error) {
	query := url.Values{}
	if from != "" {
		query.Set("from", from)
	}
	return do[wire.Diff](ctx, c, http.MethodGet, releasePath(to, "/diff"), query, nil)
}

// Approve records an approval, or a request for changes, of in.Release.
func (c *Client) Approve(ctx context.Context, in wire.Word) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, releasePath(in.Release, "/approvals"), nil, in)
}

// Promote makes a release the one that runs in its environment.
func (c *Client) Promote(ctx context.Context, id string) (wire.Promoted, error) {
	return do[wire.Promoted](ctx, c, http.MethodPost, releasePath(id, "/promote"), nil, nil)
}

// Rollback promotes an earlier release of the line in which id is live.
func (c *Client) Rollback(ctx context.Context, id string, in wire.Return) (wire.Promoted, error) {
	return do[wire.Promoted](ctx, c, http.MethodPost, releasePath(id, "/rollback"), nil, in)
}

// Drill tries whether a release could take over now.
func (c *Client) Drill(ctx context.Context, id string, in wire.DrillRequest) (record.Recorded[record.Drill], error) {
	return do[record.Recorded[record.Drill]](ctx, c, http.MethodPost, releasePath(id, "/drill"), nil, in)
}

// Suspend stops a release at once, or lifts a suspension.
func (c *Client) Suspend(ctx context.Context, id string, in wire.Stop) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, releasePath(id, "/suspend"), nil, in)
}

// Retire ends a release for good.
func (c *Client) Retire(ctx context.Context, id string, in wire.Stop) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, releasePath(id, "/retire"), nil, in)
}

// Waive sets aside one named gate of a release for a time.
func (c *Client) Waive(ctx context.Context, id string, in wire.ExceptionRequest) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, releasePath(id, "/waivers"), nil, in)
}

// BreakGlass promotes a release in spite of its verdict, for a time.
func (c *Client) BreakGlass(ctx context.Context, id string, in wire.ExceptionRequest) (wire.Promoted, error) {
	return do[wire.Promoted](ctx, c, http.MethodPost, releasePath(id, "/break-glass"), nil, in)
}

// Comment says something of a release; it fills no seat.
func (c *Client) Comment(ctx context.Context, id string, in wire.Remark) (record.Recorded[record.Comment], error) {
	return do[record.Recorded[record.Comment]](ctx, c, http.MethodPost, releasePath(id, "/comments"), nil, in)
}

// ReviewException records the look back at an exception.
func (c *Client) ReviewException(ctx context.Context, id string, in wire.ReviewRequest) (record.Recorded[record.Review], error) {
	return do[record.Recorded[record.Review]](ctx, c, http.MethodPost, "/exceptions/"+url.PathEscape(id)+"/review", nil, in)
}

// Releases pages through the releases of a model, newest first; an empty model
// means all. A before of 0 begins with the newest, a limit of 0 is the server's.
func (c *Client) Releases(ctx context.Context, model string, before int64, limit int) (wire.Page, error) {
	query := paging(before, limit)
	if model != "" {
		query.Set("model", model)
	}
	return do[wire.Page](ctx, c, http.MethodGet, "/releases", query, nil)
}

// History returns everything that was stated of a release's line, oldest first.
func (c *Client) History(ctx context.Context, id string) ([]wire.Entry, error) {
	return do[[]wire.Entry](ctx, c, http.MethodGet, releasePath(id, "/history"), nil, nil)
}

// Bundle returns the file by which a release verifies offline, as package
// verify reads it.
func (c *Client) Bundle(ctx context.Context, id string) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, "/api/v1"+releasePath(id, "/bundle"), nil, nil)
}

// Decide asks whether an artifact may run in an environment now.
func (c *Client) Decide(ctx context.Context, environment string, artifact record.Digest) (wire.Decision, error) {
	return c.DecideFor(ctx, environment, artifact, "")
}

// DecideFor is [Client.Decide] for one release, where one is named.
func (c *Client) DecideFor(ctx context.Context, environment string, artifact record.Digest, release string) (wire.Decision, error) {
	query := url.Values{"environment": {environment}, "artifact": {string(artifact)}}
	if release != "" {
		query.Set("release", release)
	}
	return do[wire.Decision](ctx, c, http.MethodGet, "/decide", query, nil)
}

// Authorize asks whether a workload may make a call now.
func (c *Client) Authorize(ctx context.Context, ask wire.Ask) (wire.Answer, error) {
	return do[wire.Answer](ctx, c, http.MethodPost, "/authorize", nil, ask)
}

// Settle says what an allowed call has used of its grant's budget.
func (c *Client) Settle(ctx context.Context, s wire.Settlement) error {
	_, err := do[wire.Settlement](ctx, c, http.MethodPost, "/authorize/settle", nil, s)
	return err
}

// Granted returns what a workload may do now; the grants are left out where
// they are those of the digest. An empty workload is the caller.
func (c *Client) Granted(ctx context.Context, of wire.Ask, have record.Digest) (wire.Granted, error) {
	query := url.Values{}
	for name, value := range map[string]string{"workload": of.Workload, "environment": of.Environment, "release": of.Release, "have": string(have)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return do[wire.Granted](ctx, c, http.MethodGet, "/authority", query, nil)
}

func paging(before int64, limit int) url.Values {
	query := url.Values{}
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// Used asks what was really called under a release, the zero time since it was
// proposed.
func (c *Client) Used(ctx context.Context, id string, since time.Time) (wire.Used, error) {
	query := url.Values{}
	if !since.IsZero() {
		query.Set("since", since.Format(time.RFC3339Nano))
	}
	return do[wire.Used](ctx, c, http.MethodGet, "/releases/"+url.PathEscape(id)+"/used", query, nil)
}

// DecisionLog returns the decision log with a digest: gzip of lines, each a
// wire.Decided.
func (c *Client) DecisionLog(ctx context.Context, digest record.Digest) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, "/api/v1/decisions/"+url.PathEscape(string(digest)), nil, nil)
}

// TellDecisions tells what a gateway has decided by itself, up to 1,000 lines.
func (c *Client) TellDecisions(ctx context.Context, lines []wire.Decided) (wire.Told, error) {
	return do[wire.Told](ctx, c, http.MethodPost, "/decisions", nil, lines)
}
