package record

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the predicate type of a statement, an in-toto TypeURI.
type Kind string

// The kinds of statement. Training runs and verdicts use the vetted predicates
// of SLSA (Provenance v1 and Verification Summary v1); all else is our own.
const (
	KindPrincipal    Kind = "https://imprimatur.dev/principal/v1"
	KindPrincipalKey Kind = "https://imprimatur.dev/principal-key/v1"
	KindCredential   Kind = "https://imprimatur.dev/credential/v1"
	KindRole         Kind = "https://imprimatur.dev/role/v1"
	KindToken        Kind = "https://imprimatur.dev/token/v1"
	KindTeam         Kind = "https://imprimatur.dev/team/v1"
	KindEnvironment  Kind = "https://imprimatur.dev/environment/v1"
	KindDataset      Kind = "https://imprimatur.dev/dataset/v1"
	KindDataApproval Kind = "https://imprimatur.dev/data-approval/v1"
	KindRun          Kind = "https://slsa.dev/provenance/v1"
	KindModel        Kind = "https://imprimatur.dev/model/v1"
	KindModelVersion Kind = "https://imprimatur.dev/model-version/v1"
	KindUseCase      Kind = "https://imprimatur.dev/use-case/v1"
	KindEvaluation   Kind = "https://imprimatur.dev/evaluation/v1"
	KindPolicy       Kind = "https://imprimatur.dev/policy/v1"
	KindRelease      Kind = "https://imprimatur.dev/release/v1"
	KindApproval     Kind = "https://imprimatur.dev/approval/v1"
	KindException    Kind = "https://imprimatur.dev/exception/v1"
	KindReview       Kind = "https://imprimatur.dev/exception-review/v1"
	KindVerdict      Kind = "https://slsa.dev/verification_summary/v1"
	KindPromotion    Kind = "https://imprimatur.dev/promotion/v1"
	KindSuspension   Kind = "https://imprimatur.dev/suspension/v1"
	KindRetirement   Kind = "https://imprimatur.dev/retirement/v1"
	KindEnvelope     Kind = "https://imprimatur.dev/envelope/v1"
	KindWithdrawal   Kind = "https://imprimatur.dev/envelope-withdrawal/v1"
	KindSignal       Kind = "https://imprimatur.dev/signal/v1"
	KindOverlap      Kind = "https://imprimatur.dev/overlap/v1"
	KindDrill        Kind = "https://imprimatur.dev/drill/v1"
	KindComment      Kind = "https://imprimatur.dev/comment/v1"
	KindTarget       Kind = "https://imprimatur.dev/target/v1"
	KindDecisions    Kind = "https://imprimatur.dev/decisions/v1"
	KindIdentity     Kind = "https://imprimatur.dev/identity/v1"
	KindRevocation   Kind = "https://imprimatur.dev/access-revocation/v1"
	KindDelegation   Kind = "https://imprimatur.dev/delegation/v1"
	KindSecret       Kind = "https://imprimatur.dev/secret/v1"
	KindVendor       Kind = "https://imprimatur.dev/vendor/v1"
	KindAssurance    Kind = "https://imprimatur.dev/assurance/v1"
	KindProbe        Kind = "https://imprimatur.dev/probe/v1"
	KindGateway      Kind = "https://imprimatur.dev/gateway/v1"
	KindWindow       Kind = "https://imprimatur.dev/window/v1"

	KindRegisteredModel   Kind = "https://imprimatur.dev/registered-model/v1"
	KindRegisteredVersion Kind = "https://imprimatur.dev/registered-version/v1"
	KindLineageEvents     Kind = "https://imprimatur.dev/lineage-events/v1"
)

// bodies maps each kind to its Go type; it is the whole list of what can be stated.
var bodies = map[Kind]reflect.Type{
	KindPrincipal:    reflect.TypeFor[Principal](),
	KindPrincipalKey: reflect.TypeFor[PrincipalKey](),
	KindCredential:   reflect.TypeFor[Credential](),
	KindRole:         reflect.TypeFor[Role](),
	KindToken:        reflect.TypeFor[Token](),
	KindTeam:         reflect.TypeFor[Team](),
	KindEnvironment:  reflect.TypeFor[Environment](),
	KindDataset:      reflect.TypeFor[Dataset](),
	KindDataApproval: reflect.TypeFor[DataApproval](),
	KindRun:          reflect.TypeFor[Run](),
	KindModel:        reflect.TypeFor[Model](),
	KindModelVersion: reflect.TypeFor[ModelVersion](),
	KindUseCase:      reflect.TypeFor[UseCase](),
	KindEvaluation:   reflect.TypeFor[Evaluation](),
	KindPolicy:       reflect.TypeFor[Policy](),
	KindRelease:      reflect.TypeFor[Release](),
	KindApproval:     reflect.TypeFor[Approval](),
	KindException:    reflect.TypeFor[Exception](),
	KindReview:       reflect.TypeFor[Review](),
	KindVerdict:      reflect.TypeFor[Verdict](),
	KindPromotion:    reflect.TypeFor[Promotion](),
	KindSuspension:   reflect.TypeFor[Suspension](),
	KindRetirement:   reflect.TypeFor[Retirement](),
	KindEnvelope:     reflect.TypeFor[Envelope](),
	KindWithdrawal:   reflect.TypeFor[EnvelopeWithdrawal](),
	KindSignal:       reflect.TypeFor[Signal](),
	KindOverlap:      reflect.TypeFor[Overlap](),
	KindDrill:        reflect.TypeFor[Drill](),
	KindComment:      reflect.TypeFor[Comment](),
	KindTarget:       reflect.TypeFor[Target](),
	KindDecisions:    reflect.TypeFor[Decisions](),
	KindIdentity:     reflect.TypeFor[Identity](),
	KindRevocation:   reflect.TypeFor[Revocation](),
	KindDelegation:   reflect.TypeFor[Delegation](),
	KindSecret:       reflect.TypeFor[Secret](),
	KindVendor:       reflect.TypeFor[ModelVendor](),
	KindAssurance:    reflect.TypeFor[Assurance](),
	KindProbe:        reflect.TypeFor[Probe](),
	KindGateway:      reflect.TypeFor[Gateway](),
	KindWindow:       reflect.TypeFor[Window](),

	KindRegisteredModel:   reflect.TypeFor[RegisteredModel](),
	KindRegisteredVersion: reflect.TypeFor[RegisteredVersion](),
	KindLineageEvents:     reflect.TypeFor[LineageEvents](),
}

var words = map[Kind]string{
	KindPrincipal: "principal", KindPrincipalKey: "principal key", KindCredential: "credential", KindRole: "role", KindToken: "token", KindTeam: "team",
	KindEnvironment: "environment", KindDataset: "dataset", KindDataApproval: "data approval",
	KindRun: "training run", KindModel: "model", KindModelVersion: "model version",
	KindUseCase: "use case", KindEvaluation: "evaluation", KindPolicy: "policy",
	KindRelease: "release", KindApproval: "approval", KindException: "exception",
	KindReview: "exception review", KindVerdict: "verdict", KindPromotion: "promotion",
	KindSuspension: "suspension", KindRetirement: "retirement", KindEnvelope: "envelope", KindWithdrawal: "withdrawal of an envelope",
	KindSignal: "signal", KindOverlap: "overlap", KindComment: "comment", KindDrill: "drill", KindTarget: "target", KindDecisions: "set of decisions",
	KindIdentity: "platform identity", KindRevocation: "revocation of access", KindDelegation: "delegation",
	KindSecret: "secret", KindWindow: "window of observations", KindGateway: "gateway", KindVendor: "vendor", KindAssurance: "assurance document", KindProbe: "probe",
	KindRegisteredModel: "registered model", KindRegisteredVersion: "registered version", KindLineageEvents: "set of lineage events",
}

// String returns the word for the kind, as people use it.
func (k Kind) String() string {
	if w, ok := words[k]; ok {
		return w
	}
	return string(k)
}

// Kinds returns every kind that can be stated, in no particular order.
func Kinds() []Kind {
	ks := make([]Kind, 0, len(bodies))
	for k := range bodies {
		ks = append(ks, k)
	}
	return ks
}

// Body is a record: one noun of the vocabulary in the form in which it is stated.
type Body interface {
	// Kind is the record's predicate type.
	Kind() Kind
	// Validate reports every fault of the record, as an *InvalidError.
	Validate() error
	// Keys are the places under which the record is found, without the
	// general ones that [Statement.Keys] adds. Self is the record's digest.
	Keys(self Digest) []string
	// Subject is what the statement is about: its name, and the digest of its
	// bytes. An empty digest stands for the record's own digest.
	Subject() (name string, digest Digest)
}

// Statement says that a principal stated a record at a time.
type Statement struct {
	// Actor is the authenticated principal, never a caller-supplied string.
	Actor string
	// Time is when the statement was made, UTC, to the millisecond.
	Time time.Time
	// Request is the caller's Idempotency-Key followed by '#' and a fingerprint
	// of what was asked, or empty.
	Request string
	// Raw is the record exactly as stated: canonical JSON, unknown fields included.
	Raw jsontext.Value
	// Body is the typed view of Raw.
	Body Body
}

// New makes a statement of a record after validating it. The time is cut to
// the millisecond.
func New(actor string, at time.Time, body Body) (Statement, error) {
	if err := body.Validate(); err != nil {
		return Statement{}, err
	}
	raw, err := CanonicalOf(body)
	if err != nil {
		return Statement{}, fmt.Errorf("writing the %s: %w", body.Kind(), err)
	}
	return Statement{Actor: actor, Time: Millis(at), Raw: raw, Body: body}, nil
}

// Parse reads a record as it first comes in: unknown fields are refused and
// the record must be valid.
func Parse(kind Kind, raw []byte) (Body, error) {
	body, err := unmarshal(kind, raw, true)
	if err != nil {
		return nil, err
	}
	return body, body.Validate()
}

// Replay reads a record from the ledger: unknown fields are passed over (the
// raw bytes keep them) and validity is not asked again, since rules that came
// later do not unmake what was stated.
func Replay(kind Kind, raw []byte) (Body, error) { return unmarshal(kind, raw, false) }

func unmarshal(kind Kind, raw []byte, strict bool) (Body, error) {
	typ, ok := bodies[kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of statement %q", string(kind))
	}
	ptr := reflect.New(typ)
	var err error
	if strict {
		err = unmarshalStrict(raw, ptr.Interface())
	} else {
		err = json.Unmarshal(raw, ptr.Interface())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", kind, err)
	}
	return ptr.Elem().Interface().(Body), nil
}

// Digest returns the digest of the record as stated.
func (s Statement) Digest() Digest { return DigestOf(s.Raw) }

// Subject returns the statement's subject with its digest filled in.
func (s Statement) Subject() (name string, digest Digest) {
	name, digest = s.Body.Subject()
	if digest == "" {
		digest = s.Digest()
	}
	return name, digest
}

// KeysVersion numbers what [Statement.Keys] returns: it is raised when the keys of
// statements that may be in a ledger change, so that servers make their projection
// anew.
const KeysVersion = 2

// Keys returns every key under which the statement is found: the record's own,
// its kind, its actor, and the idempotency key of the request that made it.
func (s Statement) Keys() []string {
	keys := append(s.Body.Keys(s.Digest()), KeyKind(s.Body.Kind()), KeyActor(s.Actor))
	if key, _, ok := strings.Cut(s.Request, "#"); ok {
		keys = append(keys, KeyRequest(s.Actor, key))
	}
	return keys
}

// KeyKind finds all statements of a kind.
func KeyKind(k Kind) string { return "kind/" + string(k) }

// KeyActor finds all that a principal stated.
func KeyActor(actor string) string { return "actor/" + actor }

// KeyRequest finds what a principal's request with an Idempotency-Key stated.
func KeyRequest(actor, key string) string { return "request/" + actor + "/" + key }

// Recorded is a record together with who stated it, when, and where it stands.
type Recorded[T Body] struct {
	Record T `json:"record"`
	// Digest is the record's own digest.
	Digest Digest `json:"digest"`
	// Actor is who stated it.
	Actor string `json:"actor"`
	// Time is when.
	Time time.Time `json:"time"`
	// Index is the position in the ledger, from 0.
	Index int64 `json:"index"`
	// Statement is the digest of the signed statement.
	Statement Digest `json:"statement"`
}
