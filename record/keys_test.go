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
const keysAre = "sha256:905d8e6b817fe8ba514f2cdc58cf7ecd16e8bac5057ea1c0be9384d785f28e56"

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
