package vault_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/vault"
	"imprimatur.dev/vault/vaulttest"
)

const value = "hunter2-correct-horse-battery-staple"

// open makes a source of one vault "main" with more lines of configuration.
func open(t *testing.T, s *vaulttest.Server, lines string) *vault.Source {
	t.Helper()
	if !strings.Contains(lines, "token:") && !strings.Contains(lines, "appRole:") && !strings.Contains(lines, "kubernetes:") {
		lines += "\n    token: {env: BAO}"
	}
	text := fmt.Sprintf("vaults:\n  main:\n    address: %s\n    timeout: 1s\n    teams: {lab: [secret/lab/*, \"models:secret/lab/*\", database/creds/lab]}\n%s\n", s.URL, lines)
	source, err := vault.Open([]byte(text), func(name string) string {
		return map[string]string{"BAO": vaulttest.Root, "SECRET": "the-secret-id"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

var crm = record.VaultPlace{Server: "main", Mount: "secret", Path: "lab/crm", Field: "key"}

// refused demands a no that says something, wraps ErrNotGiven where the vault has
// said it, and shows no value.
func refused(t *testing.T, err error, says string, said bool) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, registry.ErrNotGiven) != said {
		t.Errorf("got %v, want %q, said by the vault: %v", err, says, said)
	}
	if err != nil && (strings.Contains(err.Error(), value) || strings.Contains(err.Error(), vaulttest.Root)) {
		t.Errorf("a refusal shows what it must not")
	}
}

func read(t *testing.T, s *vault.Source, at record.VaultPlace, want string, version int) registry.FetchedSecret {
	t.Helper()
	got, err := s.Read(t.Context(), "lab", at)
	if err != nil || string(got.Value) != want || got.Version != version {
		t.Fatalf("version %d of %d bytes, %v", got.Version, len(got.Value), err)
	}
	return got
}

func TestAVersionIsReadAsTheAPISays(t *testing.T) {
	s := vaulttest.Start(t)
	s.Write("", "lab/crm", map[string]string{"key": "first", "user": "x"})
	s.Write("", "lab/crm", map[string]string{"key": value})
	s.Write("models", "lab/crm", map[string]string{"key": "of the namespace"})
	source := open(t, s, "")
	read(t, source, crm, value, 2)
	if asked := s.Asked(); !slices.Equal(asked, []string{"GET /v1/secret/metadata/lab/crm", "GET /v1/secret/data/lab/crm?version=2"}) {
		t.Errorf("asked %q", asked)
	}
	first := crm
	first.Version = 1
	read(t, source, first, "first", 1)
	first.Field = ""
	if got, err := source.Read(t.Context(), "lab", first); err != nil || string(got.Value) != `{"key":"first","user":"x"}` && string(got.Value) != `{"user":"x","key":"first"}` {
		t.Errorf("all fields: %d bytes, %v", len(got.Value), err)
	}
	there := crm
	there.Namespace = "models"
	read(t, source, there, "of the namespace", 1)
	s.Write("", "lab/crm", map[string]string{"key": "third"})
	if n, err := source.Current(t.Context(), "lab", crm); err != nil || n != 3 {
		t.Errorf("the newest is %d, %v", n, err)
	}
	soon := time.Now().Add(time.Hour)
	s.Delete("lab/crm", 3, soon)
	if got := read(t, source, crm, "third", 3); got.Life <= 0 || got.Life > time.Hour {
		t.Errorf("a version that is deleted in an hour lives %s", got.Life)
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	s := vaulttest.Start(t)
	s.Write("", "lab/crm", map[string]string{"key": value})
	s.Write("", "lab/crm", map[string]string{"key": value, "empty": ""})
	s.Write("", "bank/crm", map[string]string{"key": value})
	source := open(t, s, "")
	at := func(change func(*record.VaultPlace)) record.VaultPlace { p := crm; change(&p); return p }
	for says, place := range map[string]record.VaultPlace{
		"has nothing at secret/metadata/lab/none (404)": at(func(p *record.VaultPlace) { p.Path = "lab/none" }),
		"no version 9 at main:secret/lab/crm":           at(func(p *record.VaultPlace) { p.Version = 9 }),
		`no field "pin"`:                                at(func(p *record.VaultPlace) { p.Field = "pin" }),
		"is empty":                                      at(func(p *record.VaultPlace) { p.Field = "empty" }),
		"is not read at main:secret/bank/crm":           at(func(p *record.VaultPlace) { p.Path = "bank/crm" }),
		"is not read at main:secret/lab/../bank/crm":    at(func(p *record.VaultPlace) { p.Path = "lab/../bank/crm" }),
		"is not read at main:other:secret/lab/crm":      at(func(p *record.VaultPlace) { p.Namespace = "other" }),
		"is not read at main:secret/data/bank/crm":      at(func(p *record.VaultPlace) { p.Mount, p.Path, p.Dynamic = "secret/data", "bank/crm", true }),
		`knows no vault "spare"; it knows main`:         at(func(p *record.VaultPlace) { p.Server = "spare" }),
		"has nothing at secret/lab/crm (404)":           at(func(p *record.VaultPlace) { p.Dynamic = true }),
		"has nothing at secret/lab/metadata/crm (404)":  at(func(p *record.VaultPlace) { p.Mount, p.Path = "secret/lab", "crm" }),
	} {
		_, err := source.Read(t.Context(), "lab", place)
		refused(t, err, says, true)
	}
	if _, err := source.Read(t.Context(), "bank", at(func(p *record.VaultPlace) { p.Path = "bank/crm" })); err == nil {
		t.Error("a team without paths reads")
	}
	s.Delete("lab/crm", 2, time.Now().Add(-time.Second))
	_, err := source.Read(t.Context(), "lab", crm)
	refused(t, err, "version 2 at main:secret/lab/crm (key) was deleted on", true)
	_, err = source.Current(t.Context(), "lab", crm)
	refused(t, err, "was deleted on", true)
	s.Destroy("lab/crm", 1)
	_, err = source.Read(t.Context(), "lab", at(func(p *record.VaultPlace) { p.Version = 1 }))
	refused(t, err, "version 1 at main:secret/lab/crm@1 (key) was destroyed", true)
}

func TestAVaultThatSaysNoOrNothing(t *testing.T) {
	s := vaulttest.Start(t)
	s.Write("", "lab/crm", map[string]string{"key": value})
	source := open(t, s, "")
	no := func(says string, said bool) {
		t.Helper()
		_, err := source.Read(t.Context(), "lab", crm)
		refused(t, err, says, said)
	}
	s.Seal(true)
	no("is sealed or not ready (503)", true)
	s.Seal(false)
	s.Allow(vaulttest.Root, "secret/metadata/*")
	no("denies this server secret/data/lab/crm (403)", true)
	s.Allow(vaulttest.Root)
	no("denies this server secret/metadata/lab/crm (403)", true)
	s.Allow(vaulttest.Root, "*")
	other := vaulttest.Start(t)
	for says, by := range map[string]http.HandlerFunc{
		"redirects (307)": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		},
		"is not that of a KV engine": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data": "`+value) },
		"refuses secret/metadata/lab/crm (418)": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, `{"errors":[%q]}`, value)
		},
		"no version 0": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{"versions":{"0":{}}}}`) },
	} {
		s.Answer(by)
		no(says, true)
	}
	if len(other.Asked()) > 0 {
		t.Error("a redirect was followed with the token")
	}
	// It says another version than was asked for.
	s.Answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/metadata/") {
			fmt.Fprint(w, `{"data":{"current_version":2,"versions":{"2":{"deletion_time":"","destroyed":false}}}}`)
			return
		}
		fmt.Fprintf(w, `{"data":{"data":{"key":%q},"metadata":{"version":1}}}`, value)
	})
	no("is not that of a KV engine", true)
	for says, by := range map[string]http.HandlerFunc{
		"cannot answer now (500)": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, value, http.StatusInternalServerError) },
		"cannot answer now (429)": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, value, http.StatusTooManyRequests) },
		"gave no answer that can be read": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprintf(conn, "%s\r\n\r\n", value)
			conn.Close()
		},
	} {
		s.Answer(by)
		no(says, false)
	}
	s.Silence()
	no("did not answer within 1s", false)
	s.Answer(nil)
	read(t, source, crm, value, 1)
	s.CloseClientConnections()
	s.Close()
	no("cannot be reached", false)
}

func TestEachWayToSignIn(t *testing.T) {
	s := vaulttest.Start(t)
	s.Write("", "lab/crm", map[string]string{"key": value})
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("s.mounted")
	s.Allow("s.mounted", "secret/*")
	source := open(t, s, fmt.Sprintf("    token: {file: %q}", file))
	read(t, source, crm, value, 1)
	s.Allow("s.mounted")
	_, err := source.Read(t.Context(), "lab", crm)
	refused(t, err, "denies", true)
	write("s.renewed")
	s.Allow("s.renewed", "secret/*")
	read(t, source, crm, value, 1)
	write("")
	_, err = source.Read(t.Context(), "lab", crm)
	refused(t, err, "is empty: "+file, false)

	s.Login("auth/approle/login", map[string]string{"role_id": "imprimatur", "secret_id": "the-secret-id"}, "secret/*")
	source = open(t, s, "    appRole: {role: imprimatur, secret: {env: SECRET}}")
	read(t, source, crm, value, 1)
	read(t, source, crm, value, 1)
	if n := logins(s); n != 1 {
		t.Errorf("signed in %d times", n)
	}
	// A token that was ended there is given again, once.
	s.Allow(given(s))
	read(t, source, crm, value, 1)
	if n := logins(s); n != 2 {
		t.Errorf("signed in %d times", n)
	}
	s.Login("auth/approle/login", map[string]string{"secret_id": "another"})
	s.Allow(given(s))
	_, err = source.Read(t.Context(), "lab", crm)
	refused(t, err, "denies this server auth/approle/login (400)", true)

	write("ey.pod.token")
	s.Login("auth/prod/login", map[string]string{"role": "imprimatur", "jwt": "ey.pod.token"}, "secret/*")
	read(t, open(t, s, fmt.Sprintf("    kubernetes: {mount: prod, role: imprimatur, token: {file: %q}}", file)), crm, value, 1)
}

func logins(s *vaulttest.Server) (n int) {
	for _, a := range s.Asked() {
		if strings.HasSuffix(a, "/login") {
			n++
		}
	}
	return n
}

// given is the token of the last login.
func given(s *vaulttest.Server) string { return fmt.Sprintf("s.given-at-login-%d", logins(s)) }

func TestMadeCredentialsAreEnded(t *testing.T) {
	s := vaulttest.Start(t)
	source := open(t, s, "")
	at := record.VaultPlace{Server: "main", Mount: "database", Path: "creds/lab", Field: "password", Dynamic: true}
	got, err := source.Read(t.Context(), "lab", at)
	if err != nil || got.Lease == "" || got.Life != time.Hour || s.Leases() != 1 {
		t.Fatalf("%+v %v", got.Life, err)
	}
	if err := source.Revoke(t.Context(), at, got.Lease); err != nil || s.Leases() != 0 {
		t.Errorf("%v, and %d are left", err, s.Leases())
	}
	at.Field = "pin"
	_, err = source.Read(t.Context(), "lab", at)
	refused(t, err, `no field "pin"`, true)
	if s.Leases() != 0 {
		t.Error("a credential that nobody gets was left")
	}
}

func TestCertificatesAreHeldToTheFile(t *testing.T) {
	s := vaulttest.StartTLS(t)
	s.Write("", "lab/crm", map[string]string{"key": value})
	_, err := open(t, s, "").Read(t.Context(), "lab", crm)
	refused(t, err, "certificate of the vault main is not one that is trusted", false)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	read(t, open(t, s, fmt.Sprintf("    ca: %q", ca)), crm, value, 1)
}

// TestTheEnvironmentDoesNotSteer: the client module would take address, token and
// trust from variables that the server's operator did not mean for it.
func TestTheEnvironmentDoesNotSteer(t *testing.T) {
	other := vaulttest.StartTLS(t)
	for _, of := range []string{"BAO_", "VAULT_"} {
		t.Setenv(of+"ADDR", other.URL)
		t.Setenv(of+"TOKEN", "s.of-the-environment")
		t.Setenv(of+"NAMESPACE", "elsewhere")
		t.Setenv(of+"SKIP_VERIFY", "true")
	}
	s := vaulttest.StartTLS(t)
	s.Write("", "lab/crm", map[string]string{"key": value})
	_, err := open(t, s, "").Read(t.Context(), "lab", crm)
	refused(t, err, "is not one that is trusted", false)
	if len(other.Asked()) > 0 {
		t.Error("the vault of the environment was asked")
	}
}

func TestConfigurationsAreReadStrictly(t *testing.T) {
	const good = "vaults: {main: {address: 'https://bao.example', token: {env: T}, teams: {lab: [secret/lab/*]}}}"
	if _, err := vault.Open([]byte(good), os.Getenv); err != nil {
		t.Fatal(err)
	}
	for says, edit := range map[string][2]string{
		"plain HTTP":              {"https://bao", "http://bao"},
		"not of the form":         {"https://bao.example", "bao.example"},
		"names no teams":          {"lab: [secret/lab/*]", ""},
		"how to sign in":          {"token: {env: T}, ", ""},
		"either file or env":      {"env: T", "env: T, file: f"},
		"certificates":            {"token:", "ca: /nowhere, token:"},
		"names no vaults":         {good, "vaults: {}"},
		"skipVerify":              {"token:", "skipVerify: true, token:"},
		"appRole needs a role":    {"token: {env: T}", "appRole: {secret: {env: T}}"},
		"kubernetes needs a role": {"token: {env: T}", "kubernetes: {}"},
	} {
		if _, err := vault.Open([]byte(strings.Replace(good, edit[0], edit[1], 1)), os.Getenv); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"data":{"current_version":1,"versions":{"1":{"deletion_time":"","destroyed":false}}}}`), []byte(`{"data":{"data":{"key":"v"},"metadata":{"version":1}}}`))
	f.Add([]byte(`{"data":{"current_version":1,"versions":{"1":{"deletion_time":"soon"}}}}`), []byte(`{"data":{"data":[],"metadata":null}}`))
	f.Add([]byte(`{"data":`), []byte(`[]`))
	s := vaulttest.Start(f)
	source, err := vault.Open([]byte(fmt.Sprintf("vaults: {main: {address: %q, token: {env: T}, teams: {lab: [secret/lab/*]}}}", s.URL)), func(string) string { return "t" })
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, metadata, data []byte) {
		s.Answer(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/metadata/") {
				_, _ = w.Write(metadata)
				return
			}
			_, _ = w.Write(data)
		})
		got, err := source.Read(context.Background(), "lab", crm)
		if (err == nil) != (len(got.Value) > 0) || err == nil && got.Version < 1 {
			t.Errorf("version %d, %d bytes, %v", got.Version, len(got.Value), err)
		}
	})
}
