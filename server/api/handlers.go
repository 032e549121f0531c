package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// mount registers a handler under an operation.
type mount func(*face, huma.Operation)

// The inputs and outputs of the generic handlers, in huma's form.
type (
	none          struct{}
	posted[B any] struct {
		Body B
	}
	postedTo[B any] struct {
		ID   string `path:"id"`
		Body B
	}
	answered[T any] struct {
		Body T
	}
	paged struct {
		Body wire.Page
		Link string `header:"Link" doc:"The next page, with the relation next; absent at the end."`
	}
)

// Identified is the thing that a path names. Like [Span] it is exported for
// huma, which passes over unexported fields even where they are embedded.
type Identified struct {
	ID string `path:"id"`
}

// Span is the part of a list that is asked for.
type Span struct {
	Before int64 `query:"before" minimum:"0" doc:"The cursor of a page: entries with a lower index. 0 begins with the newest."`
	Limit  int   `query:"limit" minimum:"0" doc:"The most entries to answer with; 0 or more than 200 is 200."`
}

// handle registers fn, whose error becomes a problem.
func handle[I, O any](f *face, op huma.Operation, fn func(context.Context, *request, *I) (*O, error)) {
	huma.Register(f.huma, op, func(ctx context.Context, in *I) (*O, error) {
		q := requestOf(ctx)
		out, err := fn(ctx, q, in)
		if err != nil {
			return nil, problemOf(ctx, f.log, q.id, err)
		}
		return out, nil
	})
}

func answer[T any](v T, err error) (*answered[T], error) {
	if err != nil {
		return nil, err
	}
	return &answered[T]{v}, nil
}

// create is a command whose only input is a body.
func create[B, T any](command func(*registry.Registry, context.Context, registry.Caller, B) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *posted[B]) (*answered[T], error) {
			return answer(command(f.reg, ctx, q.caller(), in.Body))
		})
	}
}

// change is a command on one thing, with a body.
func change[B, T any](command func(reg *registry.Registry, ctx context.Context, who registry.Caller, id string, body B) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *postedTo[B]) (*answered[T], error) {
			return answer(command(f.reg, ctx, q.caller(), in.ID, in.Body))
		})
	}
}

// on is a query of one thing, or a command on it that takes nothing else.
func on[T any](fn func(reg *registry.Registry, ctx context.Context, who registry.Caller, id string) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *Identified) (*answered[T], error) {
			if err := q.noBody(); err != nil {
				return nil, err
			}
			return answer(fn(f.reg, ctx, q.caller(), in.ID))
		})
	}
}

// ask is a query with parameters P.
func ask[P, T any](query func(reg *registry.Registry, ctx context.Context, who registry.Caller, p *P) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *P) (*answered[T], error) {
			return answer(query(f.reg, ctx, q.caller(), in))
		})
	}
}

// page is a query with parameters P that answers in pages.
func page[P any](query func(reg *registry.Registry, ctx context.Context, who registry.Caller, p *P) (wire.Page, error)) mount {
	return func(f *face, op huma.Operation) {
		handle(f, op, func(ctx context.Context, q *request, in *P) (*paged, error) {
			p, err := query(f.reg, ctx, q.caller(), in)
			if err != nil {
				return nil, err
			}
			return &paged{Body: p, Link: q.next(p.Next)}, nil
		})
	}
}
