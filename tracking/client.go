package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// Attempts is how often one request is made at most.
	Attempts = 5
	// MaxFiles is how many files a model may have.
	MaxFiles = 10_000

	maxAnswer = 64 << 20
	maxPages  = 10_000
	maxDepth  = 32
	// longestWait bounds the wait before another attempt.
	longestWait = 30 * time.Second
)

// Config says where a team's MLflow is.
type Config struct {
	// URL is the tracking server's, with its path where it has one. It holds no
	// credentials.
	URL string
	// Env gives the variables that hold credentials and the S3 endpoint; nil is
	// none.
	Env func(string) string
	// TokenFile is a file that holds the token; empty is none. It goes before
	// the variables.
	TokenFile string
	// DataHosts are the hosts from which datasets may be read by http and https,
	// as "host" or "host:port".
	DataHosts []string
	// Buckets are the places in S3 from which models and datasets may be read, as
	// "s3://bucket" or "s3://bucket/prefix"; none is no S3 at all.
	Buckets []string
	// Folders are those below which datasets may be read on this machine.
	Folders []string
	// Transport is what speaks HTTP; nil is the standard one.
	Transport http.RoundTripper
	// FirstWait is the wait before the second attempt, and Idle how long a
	// server may say nothing. Zero is half a second, and a minute.
	FirstWait, Idle time.Duration
}

// Client reads a team's MLflow. Its methods may be called concurrently.
type Client struct {
	cfg     Config
	base    *url.URL
	signIn  func(*http.Request)
	http    *http.Client
	s3      *minio.Core
	buckets []bucket
	folders []string
}

// New returns a client. It calls nobody yet.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the tracking server's address %q is not of the form http://HOST or https://HOST", cfg.URL)
	}
	if u.User != nil {
		return nil, errors.New("the tracking server's address holds credentials; give them by MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a file")
	}
	if cfg.Env == nil {
		cfg.Env = func(string) string { return "" }
	}
	cfg.FirstWait, cfg.Idle = cmp.Or(cfg.FirstWait, 500*time.Millisecond), cmp.Or(cfg.Idle, time.Minute)
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: cfg.Idle, MaxIdleConnsPerHost: 8}
	}
	c := &Client{cfg: cfg, base: u, http: &http.Client{Transport: cfg.Transport, CheckRedirect: sameHost}}
	if c.signIn, err = signIn(cfg); err != nil {
		return nil, err
	}
	if c.s3, err = openS3(cfg); err != nil {
		return nil, err
	}
	if c.buckets, err = openBuckets(cfg.Buckets); err != nil {
		return nil, err
	}
	c.folders, err = realFolders(cfg.Folders)
	return c, err
}

func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 5 || next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("it leads to another place, %s, which is not followed; name that one", next.URL.Redacted())
	}
	return nil
}

// signIn returns what adds the credentials to a request.
func signIn(cfg Config) (func(*http.Request), error) {
	token := cfg.Env("MLFLOW_TRACKING_TOKEN")
	if cfg.TokenFile != "" {
		raw, err := readSmall(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the tracking server's token: %w", err)
		}
		token = strings.TrimSpace(raw)
	}
	user, password := cfg.Env("MLFLOW_TRACKING_USERNAME"), cfg.Env("MLFLOW_TRACKING_PASSWORD")
	return func(r *http.Request) {
		switch {
		case token != "":
			r.Header.Set("Authorization", "Bearer "+token)
		case user != "":
			r.SetBasicAuth(user, password)
		}
	}, nil
}

// again runs an attempt until it succeeds, fails for good, has failed too often,
// or the context ends.
func (c *Client) again(ctx context.Context, left *int, attempt func() error) error {
	wait := c.cfg.FirstWait
	for {
		*left--
		err := attempt()
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		if *left <= 0 {
			return fmt.Errorf("%w; it was tried %d times", err, Attempts)
		}
		var f *Fault
		if errors.As(err, &f) && f.after > wait {
			wait = f.after
		}
		timer := time.NewTimer(min(wait, longestWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w, after %w", context.Cause(ctx), err)
		}
		wait *= 2
	}
}
