package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// OfTeam is the thing of a team that a path names; like [Identified] it is
// exported for huma.
type OfTeam struct {
	Team string `path:"team"`
	Name string `path:"name"`
}

type postedToTeam[B any] struct {
	OfTeam
	Body B
}

// changeOf is a command on one thing of a team, with a body.
func changeOf[B, T any](command func(reg *registry.Registry, ctx context.Context, who registry.Caller, team, name string, body B) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *postedToTeam[B]) (*answered[T], error) {
			return answer(command(f.reg, ctx, q.caller(), in.Team, in.Name, in.Body))
		})
	}
}

type teamAsked struct {
	Team string `query:"team" doc:"A team; without it, all."`
}

func secrets(r *reg, ctx context.Context, who registry.Caller, p *teamAsked) ([]wire.SecretStatus, error) {
	return r.Secrets(ctx, who, p.Team)
}

func gateways(r *reg, ctx context.Context, who registry.Caller, p *teamAsked) ([]wire.KeptGateway, error) {
	return r.Gateways(ctx, who, p.Team)
}

func secret(r *reg, ctx context.Context, who registry.Caller, p *OfTeam) (wire.SecretStatus, error) {
	return r.Secret(ctx, who, p.Team, p.Name)
}

func withdrawSecret(r *reg, ctx context.Context, who registry.Caller, team, name string, in wire.Stop) (record.Recorded[record.Secret], error) {
	if in.Lift {
		return record.Recorded[record.Secret]{}, Refusal(wire.Invalid, "a secret is withdrawn for good; set it anew")
	}
	return r.WithdrawSecret(ctx, who, team, name, in.Reason)
}
