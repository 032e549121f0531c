package record_test

import (
	"strings"
	"testing"

	"imprimatur.dev/record"
)

func registrations() []record.Body {
	return []record.Body{
		record.RegisteredModel{
			Team: "acme", Name: "Triage (2026)", Description: "sorts\nthe queue", Tags: map[string]string{"task": "triage"},
			Aliases: map[string]int{"champion": 1}, Versions: 2, Life: 1, Created: noon, Updated: noon,
		},
		record.RegisteredVersion{
			Team: "acme", Name: "Triage (2026)", Version: 1, Life: 1, Source: "models:/m-1", Location: "s3://acme/m-1", Run: "0a1b", RunLink: "https://ml.example/0a1b", ModelID: "m-1",
			Tags: map[string]string{"note": ""}, Stage: record.StageNone, Status: record.RegistrationReady, Artifact: digest("model"), Model: "acme/triage@1", Created: noon, Updated: noon,
		},
	}
}

func faultsOfRegistrations() []fault {
	return []fault{
		wrong("team", func(m *record.RegisteredModel) { m.Team = "" }),
		wrong("name is empty", func(m *record.RegisteredModel) { m.Name = " " }),
		wrong("'/' or ':'", func(m *record.RegisteredModel) { m.Name = "a/b" }),
		wrong("longer than 256", func(m *record.RegisteredModel) { m.Name = strings.Repeat("é", 257) }),
		wrong("name contains a control", func(m *record.RegisteredModel) { m.Name = "a\nb" }),
		wrong("longer than 5000", func(m *record.RegisteredModel) { m.Description = strings.Repeat("é", 5001) }),
		wrong("UTF-8", func(m *record.RegisteredModel) { m.Description = "\xff" }),
		wrong("tags is empty", func(m *record.RegisteredModel) { m.Tags = map[string]string{"": "x"} }),
		wrong("tags.k is longer", func(m *record.RegisteredModel) { m.Tags = map[string]string{"k": strings.Repeat("x", 100_001)} }),
		wrong("aliases is longer", func(m *record.RegisteredModel) { m.Aliases = map[string]int{strings.Repeat("x", 256): 1} }),
		wrong("points to the version 3 of 2", func(m *record.RegisteredModel) { m.Aliases = map[string]int{"a": 3} }),
		wrong("life", func(m *record.RegisteredModel) { m.Life = 0 }),
		wrong("created", func(m *record.RegisteredModel) { m.Created = noon.Add(1) }),
		wrong("version 0", func(v *record.RegisteredVersion) { v.Version = 0 }),
		wrong("source is empty", func(v *record.RegisteredVersion) { v.Source = "" }),
		wrong("source is longer", func(v *record.RegisteredVersion) { v.Source = strings.Repeat("x", 501) }),
		wrong("source contains", func(v *record.RegisteredVersion) { v.Source = "a\tb" }),
		wrong("location contains", func(v *record.RegisteredVersion) { v.Location = bidi }),
		wrong("run is longer", func(v *record.RegisteredVersion) { v.Run = strings.Repeat("x", 257) }),
		wrong("stage", func(v *record.RegisteredVersion) { v.Stage = "production" }),
		wrong("status", func(v *record.RegisteredVersion) { v.Status = "READY" }),
		wrong("message is empty", func(v *record.RegisteredVersion) { v.Status = record.RegistrationFailed }),
		wrong("do not stand together", func(v *record.RegisteredVersion) { v.Model = "" }),
		wrong("updated", func(v *record.RegisteredVersion) { v.Updated = v.Updated.Add(1) }),
	}
}

// Names that differ only in what a path would make of them have keys of their own.
func TestKeysOfRegisteredNamesDoNotMeet(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "A", "a ", " a", "a.", "é", "e\u0301", strings.Repeat("é", 256)} {
		key := record.KeyRegisteredModel("acme", name)
		if other, taken := seen[key]; taken || len(key) > 200 {
			t.Errorf("%q has the key %s of %q", name, key, other)
		}
		seen[key] = name
	}
	if record.KeyRegisteredVersion("acme", "a", 1) == record.KeyRegisteredVersion("acme", "a", 11) {
		t.Error("two versions share a key")
	}
}
