package api

import (
	"context"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// The commands whose request is not the registry's own arguments.

func withdrawKey(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Stop) (record.Recorded[record.PrincipalKey], error) {
	if in.Lift {
		return record.Recorded[record.PrincipalKey]{}, Refusal(wire.Invalid, "a key is withdrawn for good; make a new one")
	}
	return r.WithdrawKey(ctx, who, id, in.Reason)
}

func publishPolicy(r *reg, ctx context.Context, who registry.Caller, in wire.PolicyFile) (wire.Published, error) {
	return r.PublishPolicy(ctx, who, []byte(in.Text), in.Reason)
}

func tryPolicy(r *reg, ctx context.Context, who registry.Caller, in wire.PolicyFile) (wire.Trial, error) {
	return r.TryPolicy(ctx, who, []byte(in.Text))
}

func approve(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Word) (wire.Case, error) {
	if in.Release != "" && in.Release != id {
		return wire.Case{}, Refusal(wire.Invalid, "the body speaks of the release %s, the path of %s", in.Release, id)
	}
	in.Release = id
	return r.Approve(ctx, who, in)
}

func approveEnvelope(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Word) (wire.EnvelopeCase, error) {
	if in.Envelope != "" && in.Envelope != id {
		return wire.EnvelopeCase{}, Refusal(wire.Invalid, "the body speaks of the envelope %s, the path of %s", in.Envelope, id)
	}
	in.Envelope = id
	return r.ApproveEnvelope(ctx, who, in)
}

func withdrawEnvelope(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Stop) (wire.EnvelopeCase, error) {
	if in.Lift {
		return wire.EnvelopeCase{}, Refusal(wire.Invalid, "an envelope is withdrawn for good; propose another one")
	}
	return r.WithdrawEnvelope(ctx, who, id, in.Reason)
}

func rollback(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Return) (wire.Promoted, error) {
	return r.Rollback(ctx, who, id, in.To, in.Reason)
}

func suspend(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Stop) (wire.Case, error) {
	return r.Suspend(ctx, who, id, in.Reason, in.Lift)
}

func retire(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Stop) (wire.Case, error) {
	if in.Lift {
		return wire.Case{}, Refusal(wire.Invalid, "a retirement is for good and cannot be lifted")
	}
	return r.Retire(ctx, who, id, in.Reason)
}

func waive(r *reg, ctx context.Context, who registry.Caller, id string, in wire.ExceptionRequest) (wire.Case, error) {
	return r.Waive(ctx, who, id, in.Gate, in.Reason, lasting(in))
}

func breakGlass(r *reg, ctx context.Context, who registry.Caller, id string, in wire.ExceptionRequest) (wire.Promoted, error) {
	if in.Gate != "" {
		return wire.Promoted{}, Refusal(wire.Invalid, "gate is of a waiver; a broken glass names what it passes over as gates, and to set aside the gate %s alone, ask for a waiver", in.Gate)
	}
	return r.BreakGlass(ctx, who, id, registry.Glass{Gates: in.Gates, Grants: in.Grants, Reason: in.Reason, Lasting: lasting(in)})
}

// lasting is how long an exception is asked for. What would overflow is longer
// than any that is given.
func lasting(in wire.ExceptionRequest) time.Duration {
	const century = 100 * 366 * 24 * 60 * 60
	return time.Duration(max(-1, min(in.Seconds, century))) * time.Second
}

func comment(r *reg, ctx context.Context, who registry.Caller, id string, in wire.Remark) (record.Recorded[record.Comment], error) {
	return r.Comment(ctx, who, id, in.Text)
}

func review(r *reg, ctx context.Context, who registry.Caller, id string, in wire.ReviewRequest) (record.Recorded[record.Review], error) {
	return r.ReviewException(ctx, who, id, in.Outcome, in.Reason)
}

func testTarget(r *reg, ctx context.Context, who registry.Caller, id string) (wire.TargetTest, error) {
	return r.TestTarget(ctx, who, id, "")
}
