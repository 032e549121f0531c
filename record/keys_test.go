package record_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"imprimatur.dev/record"
)

// keysAre is the digest of the keys of all examples at [record.KeysVersion]. When
// a kind or an example is new, only the digest changes; when a statement that may
// be in a ledger gets other keys, raise the version too.
const keysAre = "sha256:ea9c76499e167d47c5db5bdf4c063918850f5a5a92e6c1836026608dfad69196"

func TestOtherKeysAreAnotherVersion(t *testing.T) {
	var lines []string
	for kind, body := range examples() {
		s, err := record.New("tess", noon, body)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %q", kind, s.Keys()))
	}
	slices.Sort(lines)
	if got := string(record.DigestOf([]byte(strings.Join(lines, "\n")))); got != keysAre {
		t.Errorf("the keys of the examples at version %d are %s:\n%s", record.KeysVersion, got, strings.Join(lines, "\n"))
	}
}
