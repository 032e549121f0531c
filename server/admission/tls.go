package admission

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are what the listener's TLS is made of, in PEM.
type Files struct {
	Cert, Key string
	// ClientCA issues the certificates of who may ask; empty asks for none.
	ClientCA string
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// TLS returns the configuration of a listener that takes the files anew when they
// change, so that a certificate is renewed without a restart. While what is in
// them cannot be used, which is logged, the last good ones serve.
func TLS(files Files, log *slog.Logger) (*tls.Config, error) {
	k := &keeper{files: files, log: log}
	var err error
	if k.stamp, err = k.look(); err == nil {
		k.now, err = files.load()
	}
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.config(time.Now()), nil },
	}, nil
}

type keeper struct {
	files Files
	log   *slog.Logger

	mu     sync.Mutex
	now    *tls.Config
	stamp  [3]stamp
	looked time.Time
}

// stamp tells one content of a file from the next.
type stamp struct {
	changed time.Time
	size    int64
}

func (k *keeper) config(at time.Time) *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.Sub(k.looked) < lookEvery {
		return k.now
	}
	k.looked = at
	stamp, err := k.look()
	if err == nil && stamp == k.stamp {
		return k.now
	}
	if err == nil {
		var fresh *tls.Config
		if fresh, err = k.files.load(); err == nil {
			k.now, k.stamp = fresh, stamp
			return k.now
		}
	}
	k.log.Error("the certificate of the admission listener cannot be renewed; the last one serves on", "error", err)
	return k.now
}

func (k *keeper) look() (out [3]stamp, err error) {
	for i, path := range []string{k.files.Cert, k.files.Key, k.files.ClientCA} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return out, fmt.Errorf("looking at the certificate: %w", err)
		}
		out[i] = stamp{info.ModTime(), info.Size()}
	}
	return out, nil
}

func (f Files) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s and its key %s: %w", f.Cert, f.Key, err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if f.ClientCA == "" {
		return out, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading the clients' authority: %w", err)
	}
	out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("the clients' authority " + f.ClientCA + " holds no certificate in PEM")
	}
	return out, nil
}
