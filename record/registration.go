package record

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what MLflow's clients may register, as MLflow 3 has them in
// mlflow/utils/validation.py and in the columns of its database.
const (
	MaxRegisteredName  = 256
	MaxRegisteredText  = 5000
	MaxRegisteredTag   = 250
	MaxRegisteredValue = 100_000
	MaxRegisteredAlias = 255
	MaxRegisteredURI   = 500
	MaxRegisteredRun   = 256
)

// RegisteredModel is a name in the model registry that MLflow's clients speak
// to, with what MLflow keeps of it. Each statement restates the whole, and the
// newest under its key is its state. It is not a [Model]: its name is MLflow's,
// it may be renamed, and versions of it become model versions when their bytes
// are known.
type RegisteredModel struct {
	Team        string            `json:"team"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitzero"`
	Tags        map[string]string `json:"tags,omitzero"`
	// Aliases point to numbers of versions.
	Aliases map[string]int `json:"aliases,omitzero"`
	// Versions is the highest number that was given to a version of the name,
	// whatever became of it; no number is given twice.
	Versions int `json:"versions,omitzero"`
	// Life counts how often the name was taken. Only versions of the same life
	// belong to the model.
	Life    int       `json:"life"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Deleted bool      `json:"deleted,omitzero"`
}

// Kind implements Body.
func (RegisteredModel) Kind() Kind { return KindRegisteredModel }

// Keys implements Body.
func (m RegisteredModel) Keys(Digest) []string {
	return []string{KeyRegisteredModel(m.Team, m.Name)}
}

// Subject implements Body.
func (m RegisteredModel) Subject() (string, Digest) {
	return "registered-model/" + m.Team + "/" + m.Name, ""
}

// Validate implements Body.
func (m RegisteredModel) Validate() error {
	c := checker{kind: KindRegisteredModel}
	c.registered(m.Team, m.Name, m.Description, m.Tags, m.Created, m.Updated)
	c.list("aliases", len(m.Aliases))
	for _, a := range sortedKeys(m.Aliases) {
		c.foreign("aliases", a, MaxRegisteredAlias)
		if n := m.Aliases[a]; n < 1 || n > m.Versions {
			c.failf("aliases.%s points to the version %d of %d", a, n, m.Versions)
		}
	}
	c.count("versions", m.Versions)
	if m.Life < 1 {
		c.failf("life is not 1 or more")
	}
	return c.err()
}

// RegistrationStatus says how far the registration of a version's bytes is.
type RegistrationStatus string

// The states of a registered version.
const (
	RegistrationPending RegistrationStatus = "pending" // its bytes are being read
	RegistrationReady   RegistrationStatus = "ready"
	RegistrationFailed  RegistrationStatus = "failed" // Message says why
)

// The stages of a version, as MLflow spells them.
const (
	StageNone       = "None"
	StageStaging    = "Staging"
	StageProduction = "Production"
	StageArchived   = "Archived"
)

// RegisteredVersion is a version of a [RegisteredModel]. Each statement restates
// the whole, and the newest under its key is its state.
type RegisteredVersion struct {
	Team    string `json:"team"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	Life    int    `json:"life"`
	// Source is where the client said the bytes are; Location is where they are,
	// where that is another place.
	Source   string `json:"source"`
	Location string `json:"location,omitzero"`
	// Run, RunLink and ModelID are the tracking server's own.
	Run         string             `json:"run,omitzero"`
	RunLink     string             `json:"runLink,omitzero"`
	ModelID     string             `json:"modelId,omitzero"`
	Description string             `json:"description,omitzero"`
	Tags        map[string]string  `json:"tags,omitzero"`
	Stage       string             `json:"stage"`
	Status      RegistrationStatus `json:"status"`
	Message     string             `json:"message,omitzero"`
	// Artifact is the digest of the bytes and Model the "team/name@version" of
	// the model version that they are; both are empty until the bytes were read.
	Artifact Digest    `json:"artifact,omitzero"`
	Model    string    `json:"model,omitzero"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Deleted  bool      `json:"deleted,omitzero"`
}

// Kind implements Body.
func (RegisteredVersion) Kind() Kind { return KindRegisteredVersion }

// Keys implements Body.
func (v RegisteredVersion) Keys(Digest) []string {
	return []string{KeyRegisteredVersion(v.Team, v.Name, v.Version)}
}

// Subject implements Body.
func (v RegisteredVersion) Subject() (string, Digest) {
	return "registered-version/" + v.Team + "/" + v.Name + "/" + strconv.Itoa(v.Version), v.Artifact
}

// Validate implements Body.
func (v RegisteredVersion) Validate() error {
	c := checker{kind: KindRegisteredVersion}
	c.registered(v.Team, v.Name, v.Description, v.Tags, v.Created, v.Updated)
	if v.Version < 1 || v.Life < 1 {
		c.failf("version %d and life %d are not both 1 or more", v.Version, v.Life)
	}
	c.oneLine("source", v.Source, MaxRegisteredURI, true)
	c.oneLine("location", v.Location, MaxRegisteredURI, false)
	c.oneLine("run", v.Run, MaxRegisteredRun, false)
	c.oneLine("runLink", v.RunLink, MaxRegisteredURI, false)
	c.oneLine("modelId", v.ModelID, MaxRegisteredRun, false)
	c.oneOf("stage", v.Stage, StageNone, StageStaging, StageProduction, StageArchived)
	c.oneOf("status", string(v.Status), string(RegistrationPending), string(RegistrationReady), string(RegistrationFailed))
	c.text("message", v.Message, v.Status == RegistrationFailed)
	c.optionalDigest("artifact", v.Artifact)
	if (v.Artifact == "") != (v.Model == "") {
		c.failf("artifact %q and model %q do not stand together", v.Artifact, v.Model)
	}
	return c.err()
}

// registered checks what models and versions have in common.
func (c *checker) registered(team, name, description string, tags map[string]string, created, updated time.Time) {
	c.name("team", team)
	c.oneLine("name", name, MaxRegisteredName, true)
	if strings.ContainsAny(name, "/:") {
		c.failf("name %q contains '/' or ':'", name)
	}
	c.foreign("description", description, MaxRegisteredText)
	c.list("tags", len(tags))
	for _, k := range sortedKeys(tags) {
		c.oneLine("tags", k, MaxRegisteredTag, true)
		c.foreign("tags."+k, tags[k], MaxRegisteredValue)
	}
	c.time("created", created)
	c.time("updated", updated)
}

// foreign checks text that another tool's users wrote: kept as it is, within
// bounds. It is prose or a template, so any character may be in it.
func (c *checker) foreign(field, v string, most int) {
	switch {
	case utf8.RuneCountInString(v) > most:
		c.failf("%s is longer than %d characters", field, most)
	case !utf8.ValidString(v):
		c.failf("%s is not valid UTF-8", field)
	}
}

// oneLine is foreign for what stands in one line.
func (c *checker) oneLine(field, v string, most int, required bool) {
	c.foreign(field, v, most)
	if required && strings.TrimSpace(v) == "" {
		c.failf("%s is empty", field)
	}
	if strings.ContainsFunc(v, func(r rune) bool { return forbiddenRune(r) || r == '\n' || r == '\t' }) {
		c.failf("%s contains a control or direction-changing character", field)
	}
}

// KeyRegisteredModel finds a registered model. MLflow's names may be long and
// hold almost anything, so the key holds the name's digest.
func KeyRegisteredModel(team, name string) string {
	return PrefixRegisteredModel + team + "/" + DigestOf([]byte(name)).Hex()
}

// KeyRegisteredVersion finds a version of a registered model.
func KeyRegisteredVersion(team, name string, version int) string {
	return PrefixRegisteredVersions(team, name) + strconv.Itoa(version)
}

// PrefixRegisteredVersions begins the keys of the versions of one name.
func PrefixRegisteredVersions(team, name string) string {
	return PrefixRegisteredVersion + team + "/" + DigestOf([]byte(name)).Hex() + "/"
}

// The beginnings of the keys of registered models and of their versions.
const (
	PrefixRegisteredModel   = "registered-model/"
	PrefixRegisteredVersion = "registered-version/"
)
