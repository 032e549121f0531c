package catalogue

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// Whoever changes the cases gives them a new edition, for records name it.
func TestCasesAreThoseOfTheirEdition(t *testing.T) {
	raw, err := files.ReadFile("data/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	editions := map[string]string{
		"2026-11": "2109acecf9a878d54fd7a035df7d4e7df9cad4eb9d2f47553095838b335c919d",
	}
	sum := sha256.Sum256(raw)
	if got := hex.EncodeToString(sum[:]); editions[Current] != got {
		t.Errorf("the cases of the edition %s have the digest %s, not %s: name a new edition, and add it here", Current, got, editions[Current])
	}
}
