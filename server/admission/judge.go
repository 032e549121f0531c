package admission

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// verdict is what becomes of a request.
type verdict struct {
	allowed     bool
	reasons     []string
	warnings    []string
	environment string
	// by are the decisions that it rests on, with what they are about.
	by []decided
}

type decided struct {
	artifact record.Digest
	wire.Decision
}

func yes(warnings ...string) verdict { return verdict{allowed: true, warnings: warnings} }

func no(format string, args ...any) verdict {
	return verdict{reasons: []string{fmt.Sprintf(format, args...)}}
}

// harmless are the subresources that change nothing of what runs in a pod.
var harmless = []string{"status", "scale", "binding", "eviction", "log"}

// judge decides a request.
func (g *gate) judge(ctx context.Context, q *request) verdict {
	switch {
	case q.Operation == "DELETE" || q.Operation == "CONNECT" || slices.Contains(harmless, q.SubResource):
		return yes()
	case q.Operation != "CREATE" && q.Operation != "UPDATE":
		return no("the operation %q is not known here", q.Operation)
	case q.Namespace != "" && slices.Contains(g.Exempt, q.Namespace):
		return yes()
	}
	object, ok := q.Object.(map[string]any)
	if !ok {
		return no("the request has no object")
	}
	if n, _ := at(object, "metadata")["namespace"].(string); n != "" && n != q.Namespace {
		return no("the request is about the namespace %s and its object about %s", q.Namespace, n)
	}
	environments, err := g.reg.EnvironmentsOf(ctx, q.Namespace)
	if err != nil {
		return no("it could not be decided: %v", err)
	}
	s, err := shapeOf(q.Kind, object)
	switch {
	case len(environments) == 0 && q.Namespace != "" && !s.cluster:
		return g.ungoverned(q, s, object)
	case err != nil:
		return no("%v", err)
	case s.cluster != (q.Namespace == ""):
		return no("the request is about the namespace %q, and a %s is elsewhere", q.Namespace, q.Kind.Kind)
	}
	return g.governed(ctx, q, s, object, environments)
}

// ungoverned is about an object in a namespace that no environment names.
func (g *gate) ungoverned(q *request, s shape, object map[string]any) verdict {
	if f := g.walk(s, object); len(f.locations) > 0 {
		return yes(fmt.Sprintf("no environment names the namespace %s, so whatever model runs there is not governed; an administrator can name it: imprimatur principal environment NAME --namespace %s", q.Namespace, q.Namespace))
	}
	return yes()
}

func (g *gate) governed(ctx context.Context, q *request, s shape, object map[string]any, environments []string) verdict {
	f := g.walk(s, object)
	var out verdict
	if s.cluster {
		out = g.everywhere(f)
	}
	for _, e := range environments {
		in := g.within(ctx, e, s, f)
		in.reasons = append(out.reasons, in.reasons...)
		if out = in; out.allowed {
			return out
		}
	}
	if out.allowed || q.Operation != "UPDATE" {
		return out
	}
	// Who tidies up or labels what is there changes nothing of what runs; new
	// pods of it are asked about by themselves.
	old, _ := q.OldObject.(map[string]any)
	if old != nil && reflect.DeepEqual(f, g.walk(s, old)) {
		return yes("it may not run any more, and was left as it is: " + strings.Join(out.reasons, "; "))
	}
	return out
}

// everywhere is about what every namespace uses.
func (g *gate) everywhere(f found) verdict {
	out := verdict{reasons: f.why(f.unseen)}
	for _, n := range f.locations {
		out.reasons = append(out.reasons, fmt.Sprintf("%s names %s, and what serves every namespace may name no model; name it where it is served", n.path, n.text))
	}
	for _, n := range f.images {
		if !startsWithImage(n.text, g.Runtimes) {
			out.reasons = append(out.reasons, fmt.Sprintf("%s is %s, which is no runtime that is known here; whoever runs imprimatur serve can name it with --admission-runtime", n.path, n.text))
		}
	}
	out.allowed = len(out.reasons) == 0
	return out
}

func (f found) why(list []named) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.path + " " + n.text
	}
	return out
}

// within judges what was found against the releases that stand in an environment.
func (g *gate) within(ctx context.Context, environment string, s shape, f found) verdict {
	out := verdict{reasons: f.why(f.unseen), environment: environment}
	loose := slices.Clone(f.loose)
	claim := g.claimed(ctx, environment, f, &out)
	for _, n := range f.locations {
		artifact, d := g.reg.DecideAt(ctx, environment, n.text)
		switch {
		case d.Allowed:
			out.by = append(out.by, decided{artifact, d})
		case artifact == "" && slices.ContainsFunc(g.Stores, func(p string) bool { return p != "" && strings.HasPrefix(n.text, p) }):
			loose = append(loose, named{n.path, "names " + n.text + ", whose bytes are not known here"})
		case artifact == "":
			out.no(d, fmt.Sprintf("%s names %q: %s; %s", n.path, n.text, sentence(d), mend(n.text)))
		default:
			out.no(d, fmt.Sprintf("%s names %q, the model %s: %s", n.path, n.text, artifact.Short(), sentence(d)))
		}
	}
	serves := s.serves || len(f.locations) > 0
	for _, n := range f.images {
		serves = serves || !s.template
		g.image(ctx, environment, n, &out, &loose)
	}
	ties := len(out.by)
	if claim != nil {
		out.by = append(out.by, *claim)
	}
	switch {
	case f.release != "" || f.artifact != "":
		if claim != nil && ties > 0 && !slices.ContainsFunc(out.by[:ties], func(d decided) bool { return d.artifact == claim.artifact }) {
			out.no(claim.Decision, fmt.Sprintf("the annotations say the model %s, and another one is named; set right whichever is wrong", claim.artifact.Short()))
		}
	case len(loose) > 0 && serves:
		out.reasons = append(out.reasons, f.why(loose)...)
		out.reasons = append(out.reasons, "say which release it is, with the annotation "+releaseAnnotation+" on the pods; see imprimatur audit live")
	case serves && ties == 0 && len(out.reasons) == 0:
		out.reasons = append(out.reasons, "it names no model; name the release that it serves with the annotation "+releaseAnnotation+" on the pods, see imprimatur audit live, or have its images counted among the helpers: imprimatur serve --admission-helper PREFIX")
	}
	for _, d := range out.by {
		out.warnings = append(out.warnings, d.Marks...)
	}
	out.allowed = len(out.reasons) == 0
	return out
}

// no keeps a refusal, and which release it is about.
func (v *verdict) no(d wire.Decision, why string) {
	v.reasons = append(v.reasons, why)
	if d.Release != "" {
		v.by = append(v.by, decided{Decision: d})
	}
}

// claimed returns what the annotations say, where it stands.
func (g *gate) claimed(ctx context.Context, environment string, f found, out *verdict) *decided {
	var artifact record.Digest
	var d wire.Decision
	switch {
	case f.release != "":
		artifact, d = g.reg.DecideRelease(ctx, environment, f.release)
		if d.Allowed && f.artifact != "" && f.artifact != string(artifact) {
			d = wire.Decision{Reasons: []string{fmt.Sprintf("the release %s is of the model %s, and the annotation %s says another", f.release, artifact, artifactAnnotation)}}
		}
	case f.artifact != "":
		artifact = record.Digest(f.artifact)
		if err := artifact.Validate(); err != nil {
			out.reasons = append(out.reasons, fmt.Sprintf("the annotation %s: %v", artifactAnnotation, err))
			return nil
		}
		d = g.reg.Decide(ctx, environment, artifact)
	default:
		return nil
	}
	if !d.Allowed {
		out.no(d, "its annotations: "+sentence(d))
		return nil
	}
	return &decided{artifact, d}
}

// image judges the image of a container that is no helper.
func (g *gate) image(ctx context.Context, environment string, n named, out *verdict, loose *[]named) {
	runtime := startsWithImage(n.text, g.Runtimes)
	if !pinnedImage.MatchString(n.text) {
		if !runtime {
			out.reasons = append(out.reasons, fmt.Sprintf("%s is %q, which has no digest, so that it can be another one tomorrow; write NAME@sha256:…, or have it counted among the helpers or the runtimes: imprimatur serve --admission-helper PREFIX", n.path, n.text))
		}
		return
	}
	artifact, d := g.reg.DecideAt(ctx, environment, n.text)
	switch {
	case d.Allowed:
		out.by = append(out.by, decided{artifact, d})
	case artifact != "":
		out.no(d, fmt.Sprintf("%s is the model %s: %s", n.path, artifact.Short(), sentence(d)))
	case !runtime:
		*loose = append(*loose, named{n.path, fmt.Sprintf("is %q, which is no model's that is known here", n.text)})
	}
}

func sentence(d wire.Decision) string { return strings.Join(d.Reasons, "; ") }

// mend says how a location gets known.
func mend(location string) string {
	if strings.HasPrefix(location, "oci://") {
		return "name it by its digest, and register the version with that as its source: imprimatur model register NAME@VERSION PATH --source oci://NAME@sha256:…"
	}
	return "register the version from there with MLflow, so that the server reads it, or use an image by digest that imprimatur model register names with --source"
}
