package storetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// programs is where Debian and Ubuntu put the programs of each version.
const programs = "/usr/lib/postgresql/*/bin"

// shared is the server of this test process.
var shared server

// A server is a PostgreSQL cluster in a temporary folder, reached through a
// socket in it, so that it takes no port from anybody.
type server struct {
	start sync.Once
	err   error // why it did not start

	folder  string
	process *os.Process
	ended   chan error // the end of process
	admin   *sql.DB

	mu        sync.Mutex
	databases int
}

// newDatabase makes an empty database and returns its URL.
func (s *server) newDatabase() (string, error) {
	s.start.Do(func() { s.err = s.run() })
	if s.err != nil {
		return "", s.err
	}
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("log%d", s.databases)
	s.mu.Unlock()
	if _, err := s.admin.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("making a database for the test: %w", err)
	}
	return s.url(name), nil
}

func (s *server) url(database string) string {
	query := url.Values{"host": {s.folder}, "port": {"5432"}, "user": {"postgres"}}
	return "postgres:///" + database + "?" + query.Encode()
}

// run makes the cluster, starts it and waits until it takes connections.
func (s *server) run() error {
	bin, err := findPrograms(programs)
	if err != nil {
		return err
	}
	if s.folder, err = os.MkdirTemp("", "storetest-"); err != nil {
		return fmt.Errorf("making a folder for PostgreSQL: %w", err)
	}
	owner, err := ownerOf(s.folder)
	if err != nil {
		return err
	}
	data := filepath.Join(s.folder, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N",
		"-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
	initdb.Dir, initdb.SysProcAttr = s.folder, &syscall.SysProcAttr{Credential: owner}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("making a PostgreSQL cluster: %w\n%s", err, out)
	}
	// A start that hangs, as one did on a crowded machine, is given up once.
	for range 2 {
		postgres := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", s.folder, "-c", "listen_addresses=",
			"-c", "port=5432", "-c", "max_connections=200", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "log_min_messages=log")
		// The server must not outlive a test process that is killed.
		postgres.Dir, postgres.SysProcAttr = s.folder, &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
		if err = s.serve(postgres); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	s.admin, err = sql.Open("pgx", s.url("postgres"))
	return err
}

// startWithin bounds the start of the server.
const startWithin = 60 * time.Second

// serve starts the server and returns when it says that it is ready.
func (s *server) serve(postgres *exec.Cmd) error {
	log, write, err := os.Pipe()
	if err != nil {
		return err
	}
	postgres.Stderr = write
	s.ended = make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread that started the child
		// ends, so this one is kept for as long as the child runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := postgres.Start()
		write.Close()
		started <- err
		if err == nil {
			s.ended <- postgres.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.process = postgres.Process
	giveUp := time.AfterFunc(startWithin, func() { s.process.Kill() }) //nolint:errcheck // its end is waited for
	defer giveUp.Stop()
	lines := bufio.NewScanner(log)
	var said strings.Builder
	for lines.Scan() {
		if strings.Contains(lines.Text(), "database system is ready to accept connections") {
			go io.Copy(io.Discard, log) //nolint:errcheck // only so that the pipe never fills
			return nil
		}
		said.WriteString(lines.Text() + "\n")
	}
	return fmt.Errorf("PostgreSQL did not start: %w\n%s", <-s.ended, said.String())
}

// stop ends the server, if one was started, and removes its folder.
func (s *server) stop() error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.process != nil && s.err == nil {
		// SIGINT is PostgreSQL's fast shutdown: connections left open are ended.
		if err := s.process.Signal(syscall.SIGINT); err != nil {
			errs = append(errs, err)
		} else if err := <-s.ended; err != nil {
			errs = append(errs, fmt.Errorf("stopping PostgreSQL: %w", err))
		}
	}
	if s.folder != "" {
		errs = append(errs, os.RemoveAll(s.folder))
	}
	return errors.Join(errs...)
}

// findPrograms returns the folder with the newest initdb: from the folders
// that match the pattern or, if none does, from the PATH.
func findPrograms(pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(pattern, "initdb"))
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("this test needs PostgreSQL's server programs and they are not on this machine: run `make setup`")
	}
	// On the PATH is often a link; the server stands beside what it leads to.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// majorVersion returns 15 for /usr/lib/postgresql/15/bin/initdb, and 0 for a
// path that does not name a version.
func majorVersion(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// ownerOf gives the folder to the user that PostgreSQL is to run as and returns
// it. PostgreSQL refuses to run as root; the owner is nil, this process's own
// user, otherwise.
func ownerOf(folder string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user for it: run `make setup`: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(folder, int(uid), int(gid)); err != nil {
		return nil, fmt.Errorf("giving PostgreSQL its folder: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
