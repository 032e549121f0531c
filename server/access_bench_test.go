package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"imprimatur.dev/registry"
)

// BenchmarkExchange gives access tokens for platform's tokens, each new, by the
// server's whole handler without the network. Between every two it does what no
// server can do without, with the standard library alone: verify an RSA signature of 2048
// bits and make one of P-256. The ratio is how near the exchange comes to
// that limit, in processor time of the one thread that does both.
func BenchmarkExchange(b *testing.B) {
	d := openDesk(b)
	d.bind("scorer")
	d.live("1", "scorer")
	d.good() // the issuer's keys are there
	own := must[*ecdsa.PrivateKey](b)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var limit, spent, wall time.Duration
	bodies := make([]string, 64)
	for i := range bodies {
		claims := d.cluster.claims(d.at)
		claims["jti"] = i
		bodies[i] = exchangeForm(d.cluster.signed(claims)).Encode()
	}
	sum := sha256.Sum256([]byte(bodies[0]))
	signature := must[[]byte](b)(rsa.SignPKCS1v15(rand.Reader, d.cluster.key, crypto.SHA256, sum[:]))
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequestWithContext(d.ctx, http.MethodPost, d.at+"/oauth2/token", strings.NewReader(bodies[i%len(bodies)]))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		began := thread(b)
		if err := rsa.VerifyPKCS1v15(&d.cluster.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ecdsa.Sign(rand.Reader, own, sum[:]); err != nil {
			b.Fatal(err)
		}
		middle, at := thread(b), time.Now()
		d.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
		limit, spent, wall = limit+middle-began, spent+thread(b)-middle, wall+time.Since(at)
	}
	each := func(t time.Duration) float64 { return float64(t.Nanoseconds()) / float64(b.N) }
	b.ReportMetric(each(limit), "limit-cpu-ns/op")
	b.ReportMetric(each(spent), "exchange-cpu-ns/op")
	b.ReportMetric(each(wall), "exchange-wall-ns/op")
	b.ReportMetric(float64(limit)/float64(spent), "ratio")
}

// thread is the processor time of this thread.
func thread(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkVerifyAccess holds one access token against the registry, as a gateway
// does for each call.
func BenchmarkVerifyAccess(b *testing.B) {
	d := openDesk(b)
	d.bind("scorer")
	d.live("1", "scorer")
	secret, _ := d.good()
	for b.Loop() {
		if _, err := d.reg.VerifyAccess(d.ctx, registry.Shown{Secret: secret}); err != nil {
			b.Fatal(err)
		}
	}
}
