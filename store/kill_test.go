package store_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

// long multiplies the rounds of the tests below when IMPRIMATUR_LONG is set.
func long(rounds int) int {
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		return 20 * rounds
	}
	return rounds
}

// TestKill kills a process that appends to a folder, again and again, at
// moments that nothing chooses. Whatever it was answered must be there, and the
// log must verify and go on. The folder is changed for a new one now and then,
// only to keep the test short.
func TestKill(t *testing.T) {
	const folders, rounds = 10, 20
	answered := 0
	for range long(folders) {
		answered += newVictim(t, storetest.SQLite(t)).killAgainAndAgain(rounds)
	}
	t.Logf("%d kills, %d answers held to", long(folders)*rounds, answered)
	if answered < long(folders)*rounds {
		t.Errorf("only %d answers in %d rounds: too few to test anything", answered, long(folders)*rounds)
	}
}

// TestKillBesidePostgres kills the client; the server must undo or finish what
// it was in the middle of.
func TestKillBesidePostgres(t *testing.T) {
	rounds := long(20)
	if answered := newVictim(t, storetest.Postgres(t)).killAgainAndAgain(rounds); answered < rounds {
		t.Errorf("only %d answers in %d rounds: too few to test anything", answered, rounds)
	}
}

// A victim is a log with what its killed processes were answered.
type victim struct {
	*scene
	keyFile string
	entries map[int64]string // digests of payloads, by index
}

func newVictim(t *testing.T, place storetest.Place) *victim {
	t.Helper()
	v := &victim{
		scene:   &scene{t: t, place: place, key: logKey(t)},
		keyFile: filepath.Join(t.TempDir(), "key"), entries: map[int64]string{},
	}
	if err := v.key.Save(v.keyFile, ""); err != nil {
		t.Fatal(err)
	}
	return v
}

// killAgainAndAgain returns the number of answers.
func (v *victim) killAgainAndAgain(rounds int) int {
	v.t.Helper()
	for round := range rounds {
		v.runAndKill(round)
		v.Store = v.place.Open(v.options())
		v.holdsAnswers()
		v.say("after the crash", "parent")
		v.verified()
		v.close()
	}
	return len(v.entries)
}

// runAndKill starts a process that appends, kills it and takes note of its
// answers. It is killed up to 25 ms after its first answer or, every fifth time,
// after its start, so that some are killed while they recover from the last.
func (v *victim) runAndKill(round int) {
	v.t.Helper()
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), childVariable+"=append", "PLACE="+v.place.DSN, "KEY="+v.keyFile)
	answers, err := child.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	var complaints strings.Builder
	child.Stderr = &complaints
	if err := child.Start(); err != nil {
		v.t.Fatal(err)
	}
	kill := func() {
		time.AfterFunc(rand.N(25*time.Millisecond), func() { child.Process.Kill() }) //nolint:errcheck // Wait tells
	}
	if round%5 == 4 {
		kill()
	}
	lines := bufio.NewReader(answers)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line that was not finished was not an answer
		}
		if n == 0 && round%5 != 4 {
			kill()
		}
		v.note(line)
	}
	err = child.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		v.t.Fatalf("round %d: the process ended by itself: %v\n%s", round, err, complaints.String())
	}
}

func (v *victim) note(line string) {
	v.t.Helper()
	var idx int64
	var digest string
	if _, err := fmt.Sscanf(line, "%d %s\n", &idx, &digest); err != nil {
		v.t.Fatalf("answer %q: %v", line, err)
	}
	if before, twice := v.entries[idx]; twice {
		v.t.Fatalf("index %d was given to %s and to %s", idx, before, digest)
	}
	v.entries[idx] = digest
}

// holdsAnswers checks that every entry that was answered for is in the log.
func (v *victim) holdsAnswers() {
	v.t.Helper()
	entries, err := v.Since(v.t.Context(), 0, 1<<20)
	if err != nil {
		v.t.Fatal(err)
	}
	for idx, digest := range v.entries {
		if idx >= int64(len(entries)) {
			v.t.Fatalf("entry %d was answered for; the log has %d", idx, len(entries))
		}
		if got := digestText(entries[idx].Payload); got != digest {
			v.t.Fatalf("entry %d is %s; %s was answered for", idx, got, digest)
		}
	}
}

func digestText(payload []byte) string { return fmt.Sprintf("%x", sha256.Sum256(payload)) }

// appendUntilKilled is the process that is killed: eight writers, each of which
// says the index and the digest of its entry when, and only when, it has been
// answered.
func appendUntilKilled() error {
	key, err := attest.LoadKey(os.Getenv("KEY"), "")
	if err != nil {
		return err
	}
	sc := &scene{key: key}
	s, err := store.Open(background, os.Getenv("PLACE"), sc.options())
	if err != nil {
		return err
	}
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				errs[w] = appendAndTell(s, sc, w)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// appendAndTell appends one to three entries, some of them large.
func appendAndTell(s *store.Store, sc *scene, writer int) error {
	var drafts []store.Draft
	for range 1 + rand.N(3) {
		text := strings.Repeat("x", 1<<rand.N(13)) + fmt.Sprint(rand.Uint64())
		drafts = append(drafts, sc.draft(text, fmt.Sprint("writer ", writer), text[max(0, len(text)-30):]))
	}
	indices, err := s.Append(background, store.ReadSet{}, drafts...)
	if err != nil {
		return err
	}
	for i, idx := range indices {
		if _, err := fmt.Fprintf(os.Stdout, "%d %s\n", idx, digestText(drafts[i].Payload)); err != nil {
			return err
		}
	}
	return nil
}
