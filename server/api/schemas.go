package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// The record's named types know nothing of schemas, so each has a stand-in here
// that gives its schema.
type (
	digestText   struct{}
	roleText     struct{}
	whoText      struct{}
	modelText    struct{}
	resourceText struct{}
	categoryText struct{}
	resultText   struct{}
	statusText   struct{}
	partText     struct{}
	kindText     struct{}
	relationText struct{}
	codeText     struct{}
	anything     struct{}
)

func text[T ~string](values ...T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

func (digestText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: "^sha256:[0-9a-f]{64}$", Description: "SHA-256"}
}

func (roleText) Schema(huma.Registry) *huma.Schema { return text(record.RoleNames...) }

func (whoText) Schema(huma.Registry) *huma.Schema { return text(record.Human, record.Workload) }

func (modelText) Schema(huma.Registry) *huma.Schema {
	return text(record.Trained, record.FineTuned, record.Vendor, record.Agent)
}

func (resourceText) Schema(huma.Registry) *huma.Schema {
	return text(record.ResourceDataset, record.ResourceModel)
}

func (categoryText) Schema(huma.Registry) *huma.Schema {
	return text(record.Accuracy, record.Safety, record.Drift, record.Misuse)
}

func (resultText) Schema(huma.Registry) *huma.Schema {
	return text(record.Pass, record.Fail, record.Inconclusive, record.Invalid, record.Missing, record.Waived)
}

func (statusText) Schema(huma.Registry) *huma.Schema {
	return text(record.Proposed, record.Live, record.Replaced, record.Suspended, record.Retired)
}

func (partText) Schema(huma.Registry) *huma.Schema { return text(record.Parts...) }

func (kindText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uri", Description: "The kind of statement: an in-toto predicate type."}
}

func (relationText) Schema(huma.Registry) *huma.Schema {
	return text(authority.Equal, authority.Narrower, authority.Wider, authority.Incomparable)
}

func (codeText) Schema(huma.Registry) *huma.Schema {
	return text(wire.Invalid, wire.Unknown, wire.Forbidden, wire.Conflict, wire.Refused, wire.SignIn, wire.Unavailable)
}

func (anything) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "The record as it was stated."}
}

// schemas is the registry of schemas with the stand-ins.
func schemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[record.Digest](), reflect.TypeFor[digestText]()},
		{reflect.TypeFor[record.RoleName](), reflect.TypeFor[roleText]()},
		{reflect.TypeFor[record.PrincipalKind](), reflect.TypeFor[whoText]()},
		{reflect.TypeFor[record.ModelKind](), reflect.TypeFor[modelText]()},
		{reflect.TypeFor[record.ResourceType](), reflect.TypeFor[resourceText]()},
		{reflect.TypeFor[record.Category](), reflect.TypeFor[categoryText]()},
		{reflect.TypeFor[record.Result](), reflect.TypeFor[resultText]()},
		{reflect.TypeFor[record.Status](), reflect.TypeFor[statusText]()},
		{reflect.TypeFor[record.Part](), reflect.TypeFor[partText]()},
		{reflect.TypeFor[record.Kind](), reflect.TypeFor[kindText]()},
		{reflect.TypeFor[authority.Relation](), reflect.TypeFor[relationText]()},
		{reflect.TypeFor[wire.Code](), reflect.TypeFor[codeText]()},
		{reflect.TypeFor[jsontext.Value](), reflect.TypeFor[anything]()},
	} {
		r.RegisterTypeAlias(pair[0], pair[1])
	}
	return r
}
