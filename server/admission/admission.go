// Package admission is the face by which Kubernetes asks whether an object may
// run: a ValidatingAdmissionWebhook, AdmissionReview of admission.k8s.io/v1.
//
//	POST /kubernetes/admit
//
// # What is governed
//
// A namespace that an environment names. What is created or changed there is
// admitted when every model that it names has a release that stands in the
// environment, in any of them where several name the namespace. Others are let
// through, with a warning where they run a model; so are namespaces that are
// exempt, which are not looked at. DELETE, CONNECT and the subresources that
// change nothing of a pod are let through. A kind that is not known here is
// refused: the rules of the webhook say which are sent.
//
// # How a model is found
//
// The whole object is walked, and each of these is held against the ledger:
//
//   - a location, in a member that names one (storageUri, uri, the reference of an
//     image volume, the variables and flags by which servers of models are told
//     what to load), or anywhere as a URI that only a model's store has (s3:, hf:,
//     oci: and the like), and whatever an init container fetches;
//   - the image of each container that is no helper.
//
// A location counts when the server read the bytes of a registered version there,
// to the letter. An image by digest, or a Hugging Face repository by commit, also
// counts as the source of the version that the release names. All else that is
// named is refused: a tag, an alias, a path, a place behind a secret.
//
// What could bring in a model and names none, such as a volume that others write
// or an image that is no model's, needs somebody's word for which release it
// serves: the annotation imprimatur.dev/release, or imprimatur.dev/artifact, on
// the pods. Where something is named too, that must be what it says. So does a
// pod of which nothing names a model, unless all its images are helpers'.
//
// # Answers
//
// No is 403 with every reason. Yes carries the marks of the releases as warnings.
// The audit annotations name releases, models and the environment. What
// cannot be decided is no. With Advise all is yes, and the reasons are warnings.
// An update that changes nothing of what was found is let through, with a
// warning, so that finalizers come off and labels change: what runs is ended by
// other means, and nothing new starts by it. A refusal is noted in the decision log,
// unless it was a trial (dryRun).
package admission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// Path is where a cluster asks.
const Path = "/kubernetes/admit"

const (
	// maxBody bounds the bytes of a review: an object of Kubernetes, twice.
	maxBody = 8 << 20
	// decideWithin is how long a server that has just started may take until it knows
	// its ledger; a cluster waits 10 s where it is not told otherwise.
	decideWithin = 5 * time.Second
	// maxWarning is what a cluster shows of one warning, in bytes.
	maxWarning = 250
)

// Options say what is not governed, and how images and locations are taken. The
// tags are for the command line.
type Options struct {
	// Exempt are namespaces in which everything may run.
	Exempt []string `placeholder:"NAMESPACE" help:"A namespace in which everything may run; may be repeated."`
	// Advise lets everything through and warns.
	Advise bool `help:"Refuse nothing: what would be refused is let through with a warning."`
	// Helpers begin the names of images that serve no model, such as sidecars.
	Helpers []string `name:"helper" placeholder:"PREFIX" help:"How the names of images begin that serve no model, such as sidecars; may be repeated."`
	// Runtimes begin the names of images that serve whatever model they are
	// given; they need not be pinned by digest.
	Runtimes []string `name:"runtime" placeholder:"PREFIX" help:"How the names of images begin that serve whatever model they are given; may be repeated."`
	// Stores begin locations whose bytes the server does not read, while who
	// writes there is trusted: an annotation is enough.
	Stores []string `name:"store" placeholder:"PREFIX" help:"How locations begin whose bytes the server does not read, while you trust who writes there: an annotation says what is there; may be repeated."`
	// NotModels begin locations at which there is no model.
	NotModels []string `name:"no-model" placeholder:"PREFIX" help:"How locations begin at which there is no model; may be repeated."`
}

type gate struct {
	*Options
	reg *registry.Registry
	log *slog.Logger
}

// Mount adds the path for callers who sign in with a token.
func Mount(mux *router.Mux, reg *registry.Registry, opts *Options, log *slog.Logger) {
	g := &gate{opts, reg, log}
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		// Whoever may ask whether a model runs may ask it in these words.
		if _, err := reg.Authenticate(r.Context(), api.Bearer(r)); err != nil {
			api.Refuse(w, r, log, err)
			return
		}
		g.serve(w, r)
	})
}

// New returns the path alone, for a listener that only clusters reach: they say
// who they are by a client's certificate, or not at all.
func New(reg *registry.Registry, opts *Options, log *slog.Logger) http.Handler {
	mux := router.New()
	mux.HandleFunc("POST "+Path, (&gate{opts, reg, log}).serve)
	return mux
}

// The members of an AdmissionReview that decide something.
type (
	review struct {
		APIVersion string    `json:"apiVersion"`
		Kind       string    `json:"kind"`
		Request    *request  `json:"request,omitzero"`
		Response   *response `json:"response,omitzero"`
	}
	groupKind struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	}
	request struct {
		UID         string    `json:"uid"`
		Kind        groupKind `json:"kind"`
		SubResource string    `json:"subResource"`
		Name        string    `json:"name"`
		Namespace   string    `json:"namespace"`
		Operation   string    `json:"operation"`
		UserInfo    struct {
			Username string `json:"username"`
		} `json:"userInfo"`
		Object    any  `json:"object"`
		OldObject any  `json:"oldObject"`
		DryRun    bool `json:"dryRun"`
	}
	response struct {
		UID              string            `json:"uid"`
		Allowed          bool              `json:"allowed"`
		Status           *status           `json:"status,omitzero"`
		Warnings         []string          `json:"warnings,omitzero"`
		AuditAnnotations map[string]string `json:"auditAnnotations,omitzero"`
	}
	status struct {
		Code    int    `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
)

func (k groupKind) String() string {
	if k.Group == "" {
		return k.Kind
	}
	return k.Kind + "." + k.Group
}

const (
	reviewVersion = "admission.k8s.io/v1"
	reviewKind    = "AdmissionReview"
)

// parse reads a review. What it does not know of it is passed over, since later
// clusters say more; a member that comes twice is refused.
func parse(raw []byte) (*request, error) {
	var in review
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("the body is no AdmissionReview: %w", err)
	}
	if in.APIVersion != reviewVersion || in.Kind != reviewKind {
		return nil, fmt.Errorf("the body is a %q of %q, not an %s of %s", in.Kind, in.APIVersion, reviewKind, reviewVersion)
	}
	if in.Request == nil || in.Request.UID == "" || in.Request.Kind.Kind == "" {
		return nil, errors.New("the review has no request with a uid and a kind")
	}
	return in.Request, nil
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		api.RefuseWith(w, r, g.log, http.StatusUnsupportedMediaType, api.Refusal(wire.Invalid, "the Content-Type is not application/json"))
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		api.RefuseWith(w, r, g.log, http.StatusRequestEntityTooLarge, api.Refusal(wire.Invalid, "the body could not be read, or is longer than %d bytes: %v", maxBody, err))
		return
	}
	q, err := parse(raw)
	if err != nil {
		api.RefuseWith(w, r, g.log, http.StatusBadRequest, api.Refusal(wire.Invalid, "%v", err))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), decideWithin)
	defer cancel()
	out := g.answer(q, g.judge(ctx, q))
	w.Header().Set("Content-Type", "application/json")
	// The status is sent: an error now means that the caller has gone.
	_ = json.MarshalWrite(w, review{APIVersion: reviewVersion, Kind: reviewKind, Response: out}, json.Deterministic(true))
}

// answer words a verdict, and notes a refusal.
func (g *gate) answer(q *request, v verdict) *response {
	out := &response{UID: q.UID, Allowed: v.allowed, AuditAnnotations: v.audit()}
	for _, warning := range v.warnings {
		out.warn(warning)
	}
	if v.allowed {
		return out
	}
	if g.Advise {
		out.Allowed = true
		for _, reason := range v.reasons {
			out.warn("would be refused: " + reason)
		}
		return out
	}
	if !q.DryRun {
		d := wire.Decision{Reasons: []string{strings.Join(v.reasons, "; ")}}
		for _, by := range v.by {
			d.Release, d.Line = by.Release, by.Line
		}
		g.reg.NoteRefused(q.UserInfo.Username, q.object(), strings.ToLower(q.Operation)+" "+q.Kind.String(), d)
	}
	out.Status = &status{http.StatusForbidden, "Forbidden", strings.Join(v.reasons, "; ")}
	return out
}

// warn adds a warning, cut to what a cluster shows.
func (out *response) warn(text string) {
	if len(text) > maxWarning {
		text = strings.ToValidUTF8(text[:maxWarning], "") + "…"
	}
	if !slices.Contains(out.Warnings, text) {
		out.Warnings = append(out.Warnings, text)
	}
}

// audit names what a verdict rests on.
func (v verdict) audit() map[string]string {
	var releases, models []string
	for _, d := range v.by {
		if d.Release != "" && !slices.Contains(releases, d.Release) {
			releases = append(releases, d.Release)
		}
		if d.artifact != "" && !slices.Contains(models, string(d.artifact)) {
			models = append(models, string(d.artifact))
		}
	}
	out := map[string]string{}
	if v.environment != "" {
		out["environment"] = v.environment
	}
	if len(releases) > 0 {
		out["release"] = strings.Join(releases, ",")
	}
	if len(models) > 0 {
		out["artifact"] = strings.Join(models, ",")
	}
	return out
}

// object is the name under which a refusal is noted.
func (q *request) object() string {
	name := q.Name
	if object, ok := q.Object.(map[string]any); ok && name == "" {
		name, _ = at(object, "metadata")["generateName"].(string)
	}
	return q.Namespace + "/" + name
}
