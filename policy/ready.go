package policy

import (
	"embed"
	"slices"
	"strings"
)

//go:embed ready
var ready embed.FS

// Ready returns one of the policies that come with the program.
func Ready(name string) ([]byte, bool) {
	text, err := ready.ReadFile("ready/" + name + ".yaml")
	return text, err == nil
}

// ReadyTests returns the tests beside a ready policy.
func ReadyTests(name string) ([]byte, bool) { return Ready(name + ".test") }

// ReadyNames lists the ready policies in the order of the alphabet.
func ReadyNames() []string {
	entries, err := ready.ReadDir("ready")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); !strings.HasSuffix(name, ".test") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
