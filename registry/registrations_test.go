package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// with closes the registry and opens it anew with folders and a hasher.
func (h *house) with(hasher registry.Hasher, folders ...string) {
	h.Helper()
	if err := h.reg.Close(); err != nil {
		h.Fatal(err)
	}
	reg, err := registry.Open(h.ctx, registry.Config{Data: h.dir, Now: h.clock.now, Folders: folders, Hasher: hasher})
	if err != nil {
		h.Fatal(err)
	}
	h.reg = reg
	h.Cleanup(func() { reg.Close() })
}

func (h *house) name(name string) {
	h.Helper()
	if err := h.reg.CreateRegisteredModel(h.ctx, ann, "lab", name, "", nil); err != nil {
		h.Fatal(err)
	}
}

// number registers the next version of a name.
func (h *house) number(name, source string) int {
	h.Helper()
	return must[int](h)(h.reg.CreateRegisteredVersion(h.ctx, ann, record.RegisteredVersion{Team: "lab", Name: name, Source: source}))
}

func (h *house) registered(name string) *registry.Registered {
	h.Helper()
	return must[*registry.Registered](h)(h.reg.RegisteredModel(h.ctx, ann, "lab", name))
}

func (h *house) version(name string, number int) record.RegisteredVersion {
	h.Helper()
	v := h.registered(name).Version(number)
	if v == nil {
		h.Fatalf("%s has no version %d", name, number)
	}
	return *v
}

// shelved is the whole registry of the team, as plain values.
func (h *house) shelved() (out []any) {
	h.Helper()
	for _, m := range must[[]*registry.Registered](h)(h.reg.RegisteredModels(h.ctx, ann, "lab")) {
		out = append(out, m.Model)
		for _, v := range m.Versions {
			out = append(out, *v)
		}
	}
	return out
}

// Whatever is done, no number is given twice under a name, and what is in memory
// is what the ledger says.
func TestRule01TheRegistryInMemoryIsItsRebuild(t *testing.T) {
	h := open(t)
	given := map[string]bool{}
	names := []string{"a", "B b", "c", "é"}
	rapid.Check(t, func(rt *rapid.T) {
		name := func() string { return rapid.SampledFrom(names).Draw(rt, "name") }
		number := func() int { return rapid.IntRange(1, 4).Draw(rt, "number") }
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n := name()
			var err error
			switch rapid.IntRange(0, 8).Draw(rt, "what") {
			case 0:
				err = h.reg.CreateRegisteredModel(h.ctx, ann, "lab", n, "d", map[string]string{"k": "v"})
			case 1, 2:
				var got int
				got, err = h.reg.CreateRegisteredVersion(h.ctx, ann, record.RegisteredVersion{Team: "lab", Name: n, Source: "runs:/r/m"})
				ref := fmt.Sprint(n, "/", got)
				if err == nil && given[ref] {
					rt.Fatalf("%s was given twice", ref)
				}
				given[ref] = true
			case 3:
				to := name()
				if err = h.reg.RenameRegisteredModel(h.ctx, ann, "lab", n, to); err == nil {
					for _, v := range h.registered(to).Versions {
						given[fmt.Sprint(to, "/", v.Version)] = true
					}
				}
			case 4:
				err = h.reg.DeleteRegisteredModel(h.ctx, ann, "lab", n)
			case 5:
				err = h.reg.DeleteRegisteredVersion(h.ctx, ann, "lab", n, number())
			case 6:
				err = h.reg.SetAlias(h.ctx, ann, "lab", n, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "alias"), number())
			case 7:
				err = h.reg.MoveStage(h.ctx, ann, "lab", n, number(), record.StageStaging, rapid.Bool().Draw(rt, "archive"))
			case 8:
				a := registry.Amendment{Tags: map[string]string{"t": rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "value")}, Untag: []string{"k"}}
				err = h.reg.AmendRegisteredVersion(h.ctx, ann, "lab", n, number(), a)
			}
			if err != nil && registry.CodeOf(err) != wire.Unknown && registry.CodeOf(err) != wire.Conflict {
				rt.Fatal(err)
			}
		}
		for _, m := range must[[]*registry.Registered](t)(h.reg.RegisteredModels(h.ctx, ann, "lab")) {
			for alias, n := range m.Model.Aliases {
				if m.Version(n) == nil {
					rt.Fatalf("the alias %s of %s points to version %d, which is not there", alias, m.Model.Name, n)
				}
			}
		}
	})
	// Whatever was done may have left nothing.
	if err := h.reg.CreateRegisteredModel(h.ctx, ann, "lab", "last", "d", nil); err != nil {
		t.Fatal(err)
	}
	before := h.shelved()
	h.again()
	if diff := cmp.Diff(before, h.shelved()); diff != "" || len(before) == 0 {
		t.Errorf("%d before; after a restart (-before +after):\n%s", len(before), diff)
	}
	if _, err := h.reg.VerifyLedger(h.ctx); err != nil {
		t.Error(err)
	}
}

func TestVersionsRegisteredAtOnceGetNumbersOfTheirOwn(t *testing.T) {
	const crowd = 24
	h := open(t)
	h.name("net")
	numbers := make([]int, crowd)
	var wg sync.WaitGroup
	for i := range crowd {
		wg.Go(func() {
			n, err := h.reg.CreateRegisteredVersion(h.ctx, ann, record.RegisteredVersion{Team: "lab", Name: "net", Source: "runs:/r/m"})
			if err != nil {
				t.Error(err)
			}
			numbers[i] = n
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != i+1 {
			t.Fatalf("the numbers are %v", numbers)
		}
	}
	if got := len(h.registered("net").Versions); got != crowd {
		t.Errorf("%d versions stand, want %d", got, crowd)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestTagsSetAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.name("model")
	h.number("model", "s3://bucket/model")
	want := map[string]string{}
	var wg sync.WaitGroup
	for i := range 64 {
		key := fmt.Sprintf("key%d", i)
		want[key] = "yes"
		wg.Go(func() {
			set := registry.Amendment{Tags: map[string]string{key: "yes"}}
			err := errors.Join(h.reg.AmendRegisteredModel(h.ctx, ann, "lab", "model", set), h.reg.AmendRegisteredVersion(h.ctx, ann, "lab", "model", 1, set))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, h.registered("model").Model.Tags); diff != "" {
		t.Errorf("the model's tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, h.version("model", 1).Tags); diff != "" {
		t.Errorf("the version's tags (-want +got):\n%s", diff)
	}
}

func TestBytesInAFolderAreHashedAndOutsideAreNot(t *testing.T) {
	h := open(t)
	folder, outside := t.TempDir(), t.TempDir()
	h.with(nil, folder)
	h.name("net")
	write(t, folder+"/m/model.bin", "weights")
	write(t, outside+"/m/model.bin", "other weights")
	if err := os.Symlink(outside+"/m", folder+"/link"); err != nil {
		t.Fatal(err)
	}
	write(t, folder+"/tricky/model.bin", "weights")
	if err := os.Symlink(outside+"/m/model.bin", folder+"/tricky/other.bin"); err != nil {
		t.Fatal(err)
	}
	want := must[artifact.Manifest](t)(artifact.Digest(h.ctx, folder+"/m", artifact.Options{})).Digest()
	for _, x := range []struct {
		source string
		status record.RegistrationStatus
		hashed bool
		says   string
	}{
		{folder + "/m", record.RegistrationReady, true, ""},
		{"file://" + folder + "/m", record.RegistrationReady, true, ""},
		{"file://localhost" + folder + "/m", record.RegistrationReady, true, ""},
		{"file://elsewhere" + folder + "/m", record.RegistrationReady, false, ""},
		{outside + "/m", record.RegistrationReady, false, ""},
		{"/no/such/folder", record.RegistrationReady, false, ""},
		{"s3://bucket/m", record.RegistrationReady, false, ""},
		{folder + "/link", record.RegistrationFailed, false, "leads out of the folder"},
		{folder + "/tricky", record.RegistrationFailed, false, "symbolic link"},
		{folder + "/none", record.RegistrationFailed, false, "cannot be read"},
	} {
		v := h.version("net", h.number("net", x.source))
		if v.Status != x.status || (v.Artifact != "") != x.hashed || !strings.Contains(v.Message, x.says) {
			t.Errorf("%s: %+v", x.source, v)
		}
		if x.hashed && (string(v.Artifact) != want || v.Model != fmt.Sprintf("lab/net@%d", v.Version)) {
			t.Errorf("%s is %s, %s; want %s", x.source, v.Model, v.Artifact, want)
		}
	}
	write(t, folder+"/m/model.bin", "weightz")
	if v := h.version("net", h.number("net", folder+"/m")); string(v.Artifact) == want || v.Artifact == "" {
		t.Errorf("other bytes at the same place have the digest %s", v.Artifact)
	}
}

// A reading that the server's end cuts off fails no version.
func TestAVersionIsNotRegisteredByAServerThatCloses(t *testing.T) {
	t.Parallel()
	h := open(t)
	reading := make(chan struct{})
	h.with(func(ctx context.Context, _ record.RegisteredVersion) (registry.Hashed, error) {
		close(reading)
		<-ctx.Done()
		return registry.Hashed{}, ctx.Err()
	})
	h.name("net")
	answered := make(chan error)
	go func() {
		_, err := h.reg.CreateRegisteredVersion(h.ctx, ann, record.RegisteredVersion{Team: "lab", Name: "net", Source: "s3://bucket/m"})
		answered <- err
	}()
	<-reading
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; registry.CodeOf(err) != wire.Unavailable || !strings.Contains(err.Error(), "was not registered") {
		t.Errorf("the registration was answered with %v", err)
	}
	h.with(nil)
	if got := h.registered("net").Versions; len(got) != 0 {
		t.Errorf("there are the versions %+v", got)
	}
}

// Bytes that take long are pending, and a restart reads them again.
func TestALongReadingIsPendingAndOutlivesARestart(t *testing.T) {
	h := open(t)
	h.name("Net of labs")
	begun, goOn := make(chan string, 9), make(chan struct{})
	slow := func(ctx context.Context, v record.RegisteredVersion) (registry.Hashed, error) {
		begun <- v.Source
		select {
		case <-goOn:
		case <-ctx.Done():
			return registry.Hashed{}, ctx.Err()
		}
		switch v.Source {
		case "s3://lab/none":
			return registry.Hashed{}, errors.New("the bucket lab\nhas no such key")
		case "s3://lab/unread":
			return registry.Hashed{}, fmt.Errorf("no credentials: %w", registry.ErrUnread)
		}
		file := artifact.File{Path: ".", SHA256: digest("bytes").Hex(), Size: 5}
		return registry.Hashed{Manifest: artifact.Manifest{Files: []artifact.File{file}}, Location: "s3://lab/real", MLflowRun: "0a1b"}, nil
	}
	h.with(slow)
	h.reg.SetPatience(0)
	for _, source := range []string{"s3://lab/m", "s3://lab/none", "s3://lab/unread"} {
		if v := h.version("Net of labs", h.number("Net of labs", source)); v.Status != record.RegistrationPending || v.Artifact != "" {
			t.Fatalf("%s is %+v", source, v)
		}
	}
	h.refused(h.reg.RenameRegisteredModel(h.ctx, ann, "lab", "Net of labs", "other"), wire.Invalid, "are being read")
	<-begun
	h.with(slow)
	if v := h.version("Net of labs", 1); v.Status != record.RegistrationPending {
		t.Fatalf("after the restart version 1 is %+v", v)
	}
	close(goOn)
	h.within(10*time.Second, "all are settled", func() bool {
		return !slices.ContainsFunc(h.registered("Net of labs").Versions, func(v *record.RegisteredVersion) bool { return v.Status == record.RegistrationPending })
	})
	ready := h.version("Net of labs", 1)
	if ready.Status != record.RegistrationReady || ready.Location != "s3://lab/real" || ready.Run != "0a1b" || !strings.HasPrefix(ready.Model, "lab/net-of-labs-") {
		t.Errorf("what was read is %+v", ready)
	}
	if v := h.version("Net of labs", 2); v.Status != record.RegistrationFailed || v.Message != "the bucket lab has no such key" {
		t.Errorf("what is not there is %+v", v)
	}
	if v := h.version("Net of labs", 3); v.Status != record.RegistrationReady || v.Artifact != "" {
		t.Errorf("what nobody can read is %+v", v)
	}
	versions := must[wire.Page](t)(h.reg.List(h.ctx, rita, record.KindModelVersion, 0, 0))
	if len(versions.Entries) != 1 || versions.Entries[0].Actor != "ann" {
		t.Errorf("the model versions are %+v", versions.Entries)
	}
}

func TestAVersionWhoseNameStandsForOtherBytesFails(t *testing.T) {
	h := open(t)
	h.train("1", false)
	folder := t.TempDir()
	write(t, folder+"/model.bin", "weights")
	h.with(nil, folder)
	h.name("net")
	if v := h.version("net", h.number("net", folder)); v.Status != record.RegistrationFailed || !strings.Contains(v.Message, "lab/net@1 stands already") {
		t.Errorf("version 1 is %+v", v)
	}
	if v := h.version("net", h.number("net", folder)); v.Status != record.RegistrationReady || v.Model != "lab/net@2" {
		t.Errorf("version 2 is %+v", v)
	}
}

func TestTheTextOfAPromptIsHashedAndStays(t *testing.T) {
	h := open(t)
	is := map[string]string{"mlflow.prompt.is_prompt": "true"}
	if err := h.reg.CreateRegisteredModel(h.ctx, ann, "lab", "greeting", "", is); err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hello"}
	must[int](t)(h.reg.CreateRegisteredVersion(h.ctx, ann, record.RegisteredVersion{Team: "lab", Name: "greeting", Source: "dummy-source", Tags: tags}))
	v := h.version("greeting", 1)
	file := artifact.File{Path: ".", SHA256: digest("Hello").Hex(), Size: 5}
	if want := (artifact.Manifest{Files: []artifact.File{file}}).Digest(); string(v.Artifact) != want {
		t.Errorf("the prompt has the digest %s, want %s", v.Artifact, want)
	}
	change := func(a registry.Amendment) error {
		return h.reg.AmendRegisteredVersion(h.ctx, ann, "lab", "greeting", 1, a)
	}
	h.refused(change(registry.Amendment{Tags: map[string]string{"mlflow.prompt.text": "Bye"}}), wire.Refused, "register another version")
	h.refused(change(registry.Amendment{Untag: []string{"mlflow.prompt.text"}}), wire.Refused)
	if err := change(registry.Amendment{Tags: map[string]string{"other": "x"}}); err != nil {
		t.Error(err)
	}
}

// A refused alias leaves nothing behind, and one that is set brings its promotion.
func TestRule04AnAliasAndItsPromotionStandOrFallTogether(t *testing.T) {
	h := open(t)
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion", "staging"}, Workloads: []string{"robot"},
	}))
	model := h.train("1", true)
	hasher := func(context.Context, record.RegisteredVersion) (registry.Hashed, error) {
		file := artifact.File{Path: "model.safetensors", SHA256: model.Hex(), Size: 10}
		return registry.Hashed{Manifest: artifact.Manifest{Files: []artifact.File{file}}}, nil
	}
	h.with(hasher)
	h.name("other")
	h.number("other", "s3://lab/other")
	size := must[int64](t)(h.reg.Size(h.ctx))
	set := func(who registry.Caller, alias string) error {
		return h.reg.SetAlias(h.ctx, who, "lab", "other", alias, 1)
	}
	h.refused(set(ann, "champion"), wire.Refused, "nobody has proposed", "lab/other@1")
	h.refused(h.reg.MoveStage(h.ctx, ann, "lab", "other", 1, record.StageStaging, false), wire.Refused, "The stage Staging of other means production")
	h.refused(set(bob, "champion"), wire.Forbidden, "register models by MLflow's protocol")
	if now := must[int64](t)(h.reg.Size(h.ctx)); now != size {
		t.Errorf("refusals stated %d things", now-size)
	}
	artifactOf := h.version("other", 1).Artifact
	h.refused(only2(h.reg.HandOut(h.ctx, robot, "lab", "other", 1)), wire.Refused, "robot runs in production", "no release of the model")
	seen := func(who registry.Caller) (n int) {
		n = len(must[*registry.Registered](t)(h.reg.RegisteredModel(h.ctx, who, "lab", "other")).Versions)
		for _, m := range must[[]*registry.Registered](t)(h.reg.RegisteredModels(h.ctx, who, "lab")) {
			n += len(m.Versions)
		}
		return n
	}
	if a, r := seen(ann), seen(robot); a != 2 || r != 0 {
		t.Errorf("ann finds the version %d times and robot, who may not have it, %d times; want 2 and 0", a, r)
	}

	now := record.Millis(h.clock.now())
	must[record.Recorded[record.Run]](t)(h.reg.RecordRun(h.ctx, caller("robot"), record.Run{
		Team: "lab", ID: "run-other", Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("ab", 20)},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "data", Digest: digest("data 1")}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: artifactOf}},
		Started: now.Add(-time.Hour), Finished: now.Add(-time.Minute),
	}))
	h.evaluate(artifactOf, 950)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/other@1", UseCase: "lab/triage", Environment: "production"}))
	h.refused(set(olga, "champion"), wire.Refused, c.ID, "approval/security", "sam")
	for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](t)(h.approve(caller(who), role, c))
	}
	if err := set(robot, "champion"); err != nil {
		t.Fatalf("the workload of the environment may not promote: %v", err)
	}
	if d := h.reg.Decide(h.ctx, "production", artifactOf); !d.Allowed || d.Release != c.ID {
		t.Errorf("the alias stands, and the deploy check says %+v", d)
	}
	if err := only2(h.reg.HandOut(h.ctx, robot, "lab", "other", 1)); err != nil {
		t.Errorf("the release stands, and its workload may not have it: %v", err)
	}
	if got := seen(robot); got != 2 {
		t.Errorf("the release stands, and its workload finds it %d times, want 2", got)
	}
	promotions := func() int {
		return len(must[wire.Page](t)(h.reg.List(h.ctx, rita, record.KindPromotion, 0, 0)).Entries)
	}
	if err := set(ann, "champion"); err != nil || promotions() != 1 {
		t.Errorf("the alias was set again: %v, %d promotions", err, promotions())
	}
	contributor := h.holder(record.Contributor, "lab", record.Principal{Name: "carl"})
	h.refused(h.reg.DeleteAlias(h.ctx, contributor, "lab", "other", "champion"), wire.Forbidden, "promote releases")
	h.refused(h.reg.DeleteRegisteredModel(h.ctx, contributor, "lab", "other"), wire.Forbidden, "promote releases")
	h.refused(h.reg.RenameRegisteredModel(h.ctx, contributor, "lab", "other", "x"), wire.Forbidden, "promote releases")
	if err := h.reg.DeleteAlias(h.ctx, olga, "lab", "other", "champion"); err != nil {
		t.Error(err)
	}
}

func only2[A, B any](_ A, _ B, err error) error { return err }

// What one server is told reaches another on the same database: names, and the
// end of a token.
func TestRule10RegistrationsAndRevocationsCrossReplicas(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	b := h.beside(h.clock, h.database)
	h.name("net")
	h.number("net", "runs:/r/m")
	b.within(5*time.Second, "the other server has the version", func() bool {
		m, err := b.reg.RegisteredModel(h.ctx, ann, "lab", "net")
		return err == nil && m.Version(1) != nil
	})
	if n := b.number("net", "runs:/r/m"); n != 2 {
		t.Errorf("the other server gave the number %d", n)
	}
	token := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: "ann", Scopes: []string{"write"}, Seconds: 60}))
	must[registry.Caller](t)(b.reg.Authenticate(h.ctx, token.Secret))
	must[record.Recorded[record.Token]](t)(h.reg.RevokeToken(h.ctx, administrator, token.Token.Record.ID))
	b.within(5*time.Second, "the other server refuses the token", func() bool {
		_, err := b.reg.Authenticate(h.ctx, token.Secret)
		return registry.CodeOf(err) == wire.SignIn
	})
}
