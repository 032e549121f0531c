package lineage

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"imprimatur.dev/record"
)

// NodeKind says what a node of the graph is.
type NodeKind uint8

// The kinds of node. AnyNode stands in a [Name] whose text does not say which.
const (
	AnyNode NodeKind = iota
	NodeSource
	NodeDataset
	NodeRun
	NodeVersion
	NodeRelease
	NodeEvaluation
	NodeCommit
	NodePrincipal
	NodeVendor
	NodeSecret
	// NodeJob and NodeEvents are a job, and a run, as a pipeline's events tell of
	// them.
	NodeJob
	NodeEvents
)

// kindWords begin the text of a node's name.
var kindWords = [...]string{"", "source", "dataset", "run", "model", "release", "evaluation", "commit", "principal", "vendor", "secret", "job", "events"}

// String returns the word with which the text of such a node's name begins.
func (k NodeKind) String() string { return kindWords[k] }

// Name names a node. Key depends on the kind:
//
//	source      the URI, as registered or as OpenLineage names it
//	dataset     its digest, or "team/name@version"
//	run         "team/id"
//	model       the digest of the artifact, or "team/name@version"
//	release     "r-" and 12 hex digits
//	evaluation  the digest of its record
//	commit      40 or 64 hex digits
//	principal, vendor, secret  the name
//	job         "team:namespace:name", or "namespace:name" in any team
//	events      "team:id", or "id" in any team
type Name struct {
	Kind NodeKind
	Key  string
}

// String returns "kind:key", from which [ParseName] reads the same name.
func (n Name) String() string {
	if n.Kind == AnyNode {
		return n.Key
	}
	return n.Kind.String() + ":" + n.Key
}

const maxName = record.MaxLineageNamespace + record.MaxLineageName + 300 // characters, about

// ParseName reads the name of a node. Beside "kind:key" it takes what people
// write: a release's ID, a digest, team/name@version, the URI of data, and
// OpenLineage's own "dataset:NAMESPACE:NAME", "job:NAMESPACE:NAME" and "run:ID".
func ParseName(text string) (Name, error) {
	if text == "" || len(text) > 4*maxName || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
		return Name{}, fmt.Errorf("%.60q names nothing: a name has 1 to %d characters on one line", text, maxName)
	}
	if strings.HasPrefix(text, "r-") && !strings.ContainsAny(text, ":/@") {
		return Name{NodeRelease, text}, nil
	}
	if record.Digest(text).Validate() == nil || isRef(text) {
		return Name{AnyNode, text}, nil
	}
	word, key, _ := strings.Cut(text, ":")
	kind := NodeKind(max(slices.Index(kindWords[:], word), 0))
	switch {
	case kind == AnyNode:
	case key == "":
		return Name{}, fmt.Errorf("%q names no %s; write %s", text, word, writing(kind))
	case kind == NodeRun && !strings.Contains(key, "/"):
		return Name{NodeEvents, key}, nil
	case kind == NodeDataset && record.Digest(key).Validate() != nil && !isRef(key):
		return sourceOf(key)
	case kind == NodeSource:
		return Name{NodeSource, uriOf(key)}, nil
	default:
		return Name{kind, key}, nil
	}
	if n, ok := record.LineageNameOf(text); ok {
		return Name{NodeSource, n.String()}, nil
	}
	return Name{}, fmt.Errorf("%q is no name of a node; write one of %s", text, strings.Join(writings(), ", "))
}

// sourceOf reads NAMESPACE:NAME. Both parts may have colons in them, and of the
// ways to split them all mean the same URI or none is known.
func sourceOf(key string) (Name, error) {
	for i := range len(key) {
		if key[i] != ':' || i+1 == len(key) || strings.HasPrefix(key[i:], "://") {
			continue
		}
		n := record.LineageName{Namespace: key[:i], Name: key[i+1:]}
		if port, _, _ := strings.Cut(n.Name, ":"); port != n.Name && strings.Trim(port, "0123456789") == "" {
			continue // postgres://host:5432:database.table
		}
		return Name{NodeSource, n.Canonical().String()}, nil
	}
	return Name{}, fmt.Errorf("%q names no dataset; write %s, or dataset:NAMESPACE:NAME", "dataset:"+key, writing(NodeDataset))
}

// uriOf writes a source's URI in the one spelling under which it is compared.
func uriOf(uri string) string {
	if n, ok := record.LineageNameOf(uri); ok {
		return n.String()
	}
	return uri
}

func isRef(text string) bool {
	name, version, ok := strings.Cut(text, "@")
	team, model, ok2 := strings.Cut(name, "/")
	return ok && ok2 && team != "" && model != "" && version != "" && !strings.ContainsAny(text, ": ") && !strings.ContainsAny(version, "/@")
}

func writing(k NodeKind) string {
	return [...]string{
		"", "source:URI", "dataset:TEAM/NAME@VERSION", "run:TEAM/ID", "model:TEAM/NAME@VERSION", "release:ID", "evaluation:DIGEST", "commit:HASH",
		"principal:NAME", "vendor:NAME", "secret:NAME", "job:NAMESPACE:NAME", "events:ID",
	}[k]
}

func writings() (out []string) {
	for k := NodeSource; k <= NodeEvents; k++ {
		out = append(out, writing(k))
	}
	return out
}

// packed is the form in which a name is a key of the graph: the kind, and the
// bytes of a digest where the key is one.
func (n Name) packed() string {
	if d, ok := strings.CutPrefix(n.Key, "sha256:"); ok && len(d) == 64 {
		var b [33]byte
		b[0] = byte(n.Kind)
		if _, err := hex.Decode(b[1:], []byte(d)); err == nil {
			return string(b[:])
		}
	}
	return string([]byte{byte(n.Kind)}) + n.Key
}

// unpack is the reverse.
func unpack(packed string) Name {
	n := Name{NodeKind(packed[0]), packed[1:]}
	switch n.Kind {
	case NodeDataset, NodeVersion, NodeEvaluation:
		if len(n.Key) == 32 {
			n.Key = "sha256:" + hex.EncodeToString([]byte(n.Key))
		}
	}
	return n
}

// Role says what one node is to another that came from it.
type Role uint8

// The roles, each from the earlier node to the later.
const (
	RoleSource   Role = iota // a data source, to a dataset registered with it
	RoleDerived              // a dataset, to one that was made from it
	RoleInput                // a dataset or model, to the run that names it as read
	RoleOutput               // a run, to the model that it made
	RoleMade                 // a run, to a dataset that it made
	RoleClaimed              // a run, to a model that says to come from it
	RoleBase                 // a model, to one that was made from it
	RoleVendor               // a vendor, to its model
	RoleRelease              // a model, to its release
	RoleListed               // a run, dataset or base, to the release that names it
	RoleTested               // a dataset, to an evaluation on it
	RoleShown                // an evaluation, to the release that rests on it
	RoleCode                 // a commit, to the run of it
	RoleGranted              // a secret, or a prefix of such, or a vendor, to the release that may use it
	RoleRead                 // a data source, to the job or run that read it by its events
	RoleReadAs               // the same, by another name of the source
	RoleWrote                // a job, to the data source that it wrote by its events
	RoleTold                 // a run of the events, to the recorded run that it is
	RoleStated               // a principal, to what it stated
	RoleAuthor               // a commit's author, to the run of it
	RoleFor                  // a person, to the run that was made for them
	RoleApproved             // a person, to what they approved
	RolePromoted             // a principal, to the release that it promoted
	roleCount
)

var roleWords = [roleCount]string{
	"source", "derived", "input", "output", "made", "claimed", "base", "vendor", "release", "listed", "tested", "shown", "code", "granted",
	"read", "read as", "wrote", "told", "stated", "author", "for", "approved", "promoted",
}

// String returns the role's word.
func (r Role) String() string { return roleWords[r] }

// Roles is a set of roles.
type Roles uint32

func rolesOf(rs ...Role) (out Roles) {
	for _, r := range rs {
		out |= 1 << r
	}
	return out
}

func (rs Roles) has(r Role) bool { return rs&(1<<r) != 0 }

// The sets of roles that are walked.
var (
	// MadeFrom are the roles by which [Trace] walks, and where its walk ends: at
	// data sources and vendors. What a run's events say that it read and the run
	// does not name goes with them.
	MadeFrom = rolesOf(RoleSource, RoleDerived, RoleInput, RoleOutput, RoleClaimed, RoleBase, RoleVendor, RoleRelease, RoleTold)
	// Around are those of a picture: pipelines and what a release rests on too.
	Around = MadeFrom | Listed | rolesOf(RoleMade, RoleShown, RoleTested, RoleCode, RoleRead, RoleWrote)
	// Listed is what a release names as its own.
	Listed = rolesOf(RoleListed)
	// Touched are all.
	Touched = Roles(1<<roleCount - 1)
)
