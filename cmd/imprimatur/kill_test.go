package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/attest"
	"imprimatur.dev/client"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
)

const (
	kills        = 200 // in all
	killsAFolder = 25  // after which a new installation begins
	killWriters  = 6
)

// victim is an installation whose server is killed again and again.
type victim struct {
	*testing.T
	data  string
	token string
	key   string
	// kept are the digests that the server said it has kept.
	mu   sync.Mutex
	kept []record.Digest
	// acknowledged has one for each answer, as far as anybody waits for it.
	acknowledged chan struct{}
}

// The server is killed at random moments under concurrent writers. After each
// kill every acknowledged statement is there, the tree verifies, and the
// projection equals its rebuild (rule 1).
func TestRule01KilledServersKeepWhatTheyAcknowledged(t *testing.T) {
	total := 0
	for i := range kills {
		if i%killsAFolder == 0 {
			v := &victim{T: t, data: filepath.Join(t.TempDir(), "data"), acknowledged: make(chan struct{}, 1)}
			for round := range killsAFolder {
				v.round(round)
			}
			total += len(v.kept)
		}
	}
	if total < kills {
		t.Errorf("%d statements were acknowledged in %d rounds: the writers hardly ran", total, kills)
	}
}

func (v *victim) round(n int) {
	v.Helper()
	server, says := v.start()
	if says.Token != "" {
		v.token, v.key = says.Token, says.Key
		v.found(client.New(says.URL, v.token))
	}
	var writers sync.WaitGroup
	for w := range killWriters {
		writers.Go(func() { v.writeUntilKilled(client.New(says.URL, v.token), fmt.Sprintf("%d-%d", n, w)) })
	}
	// The moment is random in what was acknowledged and in time, so that a slow
	// machine is killed at its work too.
	for range 1 + rand.IntN(12) {
		<-v.acknowledged
	}
	<-time.After(time.Duration(rand.IntN(5000)) * time.Microsecond)
	if err := server.Process.Kill(); err != nil {
		v.Fatal(err)
	}
	server.Wait() //nolint:errcheck // it was killed
	writers.Wait()
	v.verify()
}

func (v *victim) start(flags ...string) (*exec.Cmd, serving) {
	v.Helper()
	program, err := exec.LookPath("imprimatur")
	if err != nil {
		v.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--data", v.data}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // it may be dead
	var says serving
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &says); err != nil {
		v.Fatalf("the server did not start again: %v", err)
	}
	return cmd, says
}

// found sets up what the writers need.
func (v *victim) found(c *client.Client) {
	v.Helper()
	_, err := c.CreateTeam(v.Context(), record.Team{Name: "lab"})
	if err == nil {
		_, err = c.BindRole(v.Context(), record.Role{Principal: registry.FirstAdministrator, Role: record.Contributor, Team: "lab"})
	}
	if err != nil {
		v.Fatal(err)
	}
}

// writeUntilKilled registers datasets until the server is gone, and notes those
// it was answered for.
func (v *victim) writeUntilKilled(c *client.Client, name string) {
	for i := 0; ; i++ {
		d := record.Dataset{
			Team: "lab", Name: fmt.Sprintf("data-%s-%d", name, i), Version: "1", Digest: record.DigestOf(fmt.Append(nil, name, i)),
			Source: "file:///dev/null", Classification: "public", Owner: "nobody",
		}
		if _, err := c.RegisterDataset(v.Context(), d); err != nil {
			return
		}
		v.mu.Lock()
		v.kept = append(v.kept, d.Digest)
		v.mu.Unlock()
		select {
		case v.acknowledged <- struct{}{}:
		default:
		}
	}
}

// verify reads the folder that the dead server left.
func (v *victim) verify() {
	v.Helper()
	trust, err := attest.ParseTrust([]byte(v.key + "\n"))
	if err != nil {
		v.Fatal(err)
	}
	if _, err := registry.VerifyLedger(v.Context(), registry.Config{Data: v.data}, trust, nil); err != nil {
		v.Fatal(err)
	}
	verifier, err := note.NewVerifier(v.key)
	if err != nil {
		v.Fatal(err)
	}
	s, err := store.OpenReadOnly(v.Context(), v.data, store.Options{Project: ledger.Project, Version: record.KeysVersion, Origin: verifier.Name()})
	if err != nil {
		v.Fatal(err)
	}
	defer s.Close()
	err = s.View(v.Context(), func(view *store.View) error {
		for _, d := range v.kept {
			found, err := view.Find(record.KeyDataset(d))
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return fmt.Errorf("the acknowledged dataset %s stands %d times", d.Short(), len(found))
			}
		}
		return nil
	})
	if err != nil {
		v.Fatal(err)
	}
}
