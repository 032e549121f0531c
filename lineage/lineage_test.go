package lineage_test

import (
	"testing"

	"imprimatur.dev/lineage"
	"imprimatur.dev/verify/verifytest"
)

func TestStory(t *testing.T) {
	s := verifytest.Tell(t)
	d, entries, err := lineage.Collect(s, s.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(entries), len(s.Entries), d.Absent, len(d.People))
}
