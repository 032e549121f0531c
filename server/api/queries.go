package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

func me(r *reg, ctx context.Context, who registry.Caller, _ *none) (wire.Myself, error) {
	return r.Me(ctx, who)
}

func waiting(r *reg, ctx context.Context, who registry.Caller, _ *none) ([]wire.Waiting, error) {
	return r.Waiting(ctx, who)
}

type identitiesOf struct {
	Workload string `query:"workload" doc:"A workload; without it, all."`
}

func identities(r *reg, ctx context.Context, who registry.Caller, p *identitiesOf) ([]wire.KeptIdentity, error) {
	return r.Identities(ctx, who, p.Workload)
}

type inventoryOf struct {
	Text        string `query:"text" doc:"Looked for in names, owners, purposes, releases and models."`
	Finding     string `query:"finding" doc:"The code of a finding, a risk such as NHI7, or any."`
	Owner       string `query:"owner"`
	Environment string `query:"environment" doc:"Where a release in force names the workload."`
	After       string `query:"after" doc:"The cursor that the page before gave as next."`
	Limit       int    `query:"limit" minimum:"0" doc:"The most items to answer with; 0 or more than 200 is 200."`
}

func inventory(r *reg, ctx context.Context, who registry.Caller, p *inventoryOf) (wire.Inventory, error) {
	return r.Inventory(ctx, who, wire.InventoryQuery{Text: p.Text, Finding: p.Finding, Owner: p.Owner, Environment: p.Environment, From: p.After, Limit: p.Limit})
}

type targetsOf struct {
	Team string `query:"team" doc:"A team, or * for those of everybody's affairs; without it, all."`
}

func targets(r *reg, ctx context.Context, who registry.Caller, p *targetsOf) ([]wire.TargetStatus, error) {
	return r.Targets(ctx, who, p.Team)
}

// list pages through the statements of one kind.
func list(kind record.Kind) mount {
	return page(func(r *reg, ctx context.Context, who registry.Caller, p *Span) (wire.Page, error) {
		return r.List(ctx, who, kind, p.Before, p.Limit)
	})
}

type entriesOf struct {
	Span
	Kind string `query:"kind" required:"true" doc:"A kind's URI, or its word with '-' for spaces, such as training-run."`
}

func entries(r *reg, ctx context.Context, who registry.Caller, p *entriesOf) (wire.Page, error) {
	for _, k := range record.Kinds() {
		if p.Kind == string(k) || p.Kind == strings.ReplaceAll(k.String(), " ", "-") {
			return r.List(ctx, who, k, p.Before, p.Limit)
		}
	}
	return wire.Page{}, Refusal(wire.Invalid, "%q is not a kind of statement", p.Kind)
}

type releasesOf struct {
	Span
	Model string `query:"model" doc:"team/model; without it, all models."`
}

func releases(r *reg, ctx context.Context, who registry.Caller, p *releasesOf) (wire.Page, error) {
	return r.Releases(ctx, who, p.Model, p.Before, p.Limit)
}

type envelopesOf struct {
	Line string `query:"line" doc:"team/model/team:usecase/environment; without it, all lines."`
}

func envelopes(r *reg, ctx context.Context, who registry.Caller, p *envelopesOf) ([]record.Recorded[record.Envelope], error) {
	return r.Envelopes(ctx, who, p.Line)
}

type statedBy struct {
	Span
	Principal string `query:"principal" required:"true"`
}

func by(r *reg, ctx context.Context, who registry.Caller, p *statedBy) (wire.Page, error) {
	return r.By(ctx, who, p.Principal, p.Before, p.Limit)
}

type diffFrom struct {
	Identified
	From string `query:"from" doc:"The older release; without it, the one that was live in the line before."`
}

func diff(r *reg, ctx context.Context, who registry.Caller, p *diffFrom) (wire.Diff, error) {
	return r.DiffReleases(ctx, who, p.From, p.ID)
}

type decision struct {
	Environment string        `query:"environment" required:"true"`
	Artifact    record.Digest `query:"artifact" required:"true"`
	Release     string        `query:"release" doc:"Whether it may run as this release; without it, as any."`
}

func decide(r *reg, ctx context.Context, _ registry.Caller, p *decision) (wire.Decision, error) {
	return r.DecideFor(ctx, p.Environment, p.Artifact, p.Release), nil
}

type grantedTo struct {
	Workload    string        `query:"workload" doc:"Whose; without it, the caller's own."`
	Environment string        `query:"environment" doc:"Where, for a workload that acts under several releases."`
	Release     string        `query:"release" doc:"Under which release, for a workload that acts under several."`
	Have        record.Digest `query:"have" doc:"The digest of the grants that the caller has, which are left out then."`
}

func granted(r *reg, ctx context.Context, who registry.Caller, p *grantedTo) (wire.Granted, error) {
	return r.Granted(ctx, who, wire.Ask{Workload: p.Workload, Environment: p.Environment, Release: p.Release}, p.Have)
}

type moment struct {
	At time.Time `query:"at" doc:"A time as RFC 3339; without it, now."`
}

func live(r *reg, ctx context.Context, who registry.Caller, p *moment) ([]wire.LiveRelease, error) {
	return r.Live(ctx, who, p.At)
}

type usedSince struct {
	Identified
	Since time.Time `query:"since" doc:"A time as RFC 3339; without it, since the release was proposed."`
}

func used(r *reg, ctx context.Context, who registry.Caller, p *usedSince) (wire.Used, error) {
	return r.Used(ctx, who, p.ID, p.Since)
}

type touched struct {
	Of    string `query:"of" required:"true" doc:"A digest, team/name@version, the URI of data, or the name of a node: dataset:, run:, model:, commit:, principal:, vendor:, source:, secret:."`
	After string `query:"after" doc:"The cursor that the page before gave as next."`
	Limit int    `query:"limit" minimum:"0" doc:"The most things to answer with; 0 or more than 200 is 200."`
}

func impact(r *reg, ctx context.Context, who registry.Caller, p *touched) (wire.Impact, error) {
	return r.Impact(ctx, who, p.Of, p.After, p.Limit)
}

type around struct {
	Node  string `query:"node" required:"true" doc:"A release's ID, a digest, team/name@version, the URI of data, or the id of a node."`
	Way   string `query:"way" doc:"from: what it was made from; into: what was made from it; both without it."`
	Depth int    `query:"depth" minimum:"0" doc:"The most edges from the start, up to 100; 0 is 20."`
	Nodes int    `query:"nodes" minimum:"0" doc:"The most nodes each way, up to 2,000; 0 is 200."`
}

func graph(r *reg, ctx context.Context, who registry.Caller, p *around) (wire.Graph, error) {
	return r.Graph(ctx, who, p.Node, registry.Asked{Way: p.Way, Depth: p.Depth, Nodes: p.Nodes})
}

type position struct {
	Index int64 `query:"index" required:"true" minimum:"0"`
}

func proof(r *reg, ctx context.Context, _ registry.Caller, p *position) (wire.Proof, error) {
	got, err := r.Proof(ctx, p.Index)
	if err != nil {
		return wire.Proof{}, err
	}
	out := wire.Proof{Index: got.Index, Hashes: make([][]byte, len(got.Hashes)), Checkpoint: string(got.Checkpoint)}
	for i, h := range got.Hashes {
		out.Hashes[i] = h[:]
	}
	return out, nil
}

type sizes struct {
	Older int64 `query:"older" required:"true" minimum:"1"`
	Newer int64 `query:"newer" required:"true" minimum:"1"`
}

func consistency(r *reg, ctx context.Context, _ registry.Caller, p *sizes) (wire.Consistency, error) {
	got, err := r.Consistency(ctx, p.Older, p.Newer)
	if err != nil {
		return wire.Consistency{}, err
	}
	out := wire.Consistency{Older: p.Older, Newer: p.Newer, Hashes: make([][]byte, len(got))}
	for i, h := range got {
		out.Hashes[i] = h[:]
	}
	return out, nil
}

func status(r *reg, ctx context.Context, _ registry.Caller, _ *none) (wire.LogStatus, error) {
	return r.LogStatus(ctx)
}

// file is an answer that is not JSON of this API.
type file struct {
	Type        string `header:"Content-Type" hidden:"true"`
	Disposition string `header:"Content-Disposition" hidden:"true"`
	Body        func(huma.Context)
}

// ofType documents an answer of bytes.
func ofType(op huma.Operation, media string) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: http.StatusText(http.StatusOK),
		Content:     map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	return op
}

// bundle answers with the bundle in its one form.
func bundle(f *face, op huma.Operation) {
	handle(f, ofType(op, verify.MediaType), func(ctx context.Context, q *request, in *Identified) (*file, error) {
		b, err := f.reg.Bundle(ctx, q.caller(), in.ID)
		if err != nil {
			return nil, err
		}
		raw, err := b.Marshal()
		if err != nil {
			return nil, err
		}
		return &file{verify.MediaType, `attachment; filename="` + b.Release + `.bundle.json"`, func(c huma.Context) {
			// The status is sent: an error now means that the caller has gone.
			_, _ = c.BodyWriter().Write(raw)
		}}, nil
	})
}
