package api

import (
	"context"

	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func vendors(r *reg, ctx context.Context, who registry.Caller, p *teamAsked) ([]wire.VendorStatus, error) {
	return r.Vendors(ctx, who, p.Team)
}

func vendor(r *reg, ctx context.Context, who registry.Caller, p *OfTeam) (wire.VendorStatus, error) {
	return r.Vendor(ctx, who, p.Team, p.Name)
}
