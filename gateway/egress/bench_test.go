package egress_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGateway holds the gateway against net/http's own reverse proxy before the
// same upstream: rounds of calls by each in turn, in one process. The decision is
// made in process, so that what is measured is the gateway; what the question to
// the server costs besides is BenchmarkAuthorizeByHTTP.
func BenchmarkGateway(b *testing.B) {
	for name, body := range map[string]string{"GET": "", "POST": `{"text":"` + strings.Repeat("x", 1000) + `"}`} {
		b.Run(name, func(b *testing.B) {
			gate := setup(b, copyOf(cases), hello, nil)
			to, _ := url.Parse(gate.upstream.URL)
			bare := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
			defer bare.Close()
			call := func(address string) time.Duration {
				r, _ := http.NewRequestWithContext(b.Context(), name, address, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Content-Type", "application/json")
				began := time.Now()
				got, err := http.DefaultClient.Do(r)
				if err != nil || got.StatusCode != http.StatusOK {
					b.Fatal(got, err)
				}
				_, _ = io.Copy(io.Discard, got.Body)
				got.Body.Close()
				return time.Since(began)
			}
			const round = 200
			var ours, theirs []time.Duration
			var ourCPU, theirCPU time.Duration
			for b.Loop() {
				began := spent()
				for range round {
					ours = append(ours, call(gate.url+"/crm/cases/7?ward=7"))
				}
				between := spent()
				for range round {
					theirs = append(theirs, call(bare.URL+"/v1/cases/7?ward=7"))
				}
				ourCPU, theirCPU = ourCPU+between-began, theirCPU+spent()-between
				gate.requests, gate.bodies, gate.asked = nil, nil, nil
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
			n := len(ours)
			b.ReportMetric(us(ours[n/2]), "gateway-p50-µs")
			b.ReportMetric(us(theirs[n/2]), "bare-p50-µs")
			b.ReportMetric(us(ours[n*99/100]), "gateway-p99-µs")
			b.ReportMetric(us(theirs[n*99/100]), "bare-p99-µs")
			b.ReportMetric(us(ourCPU)/float64(n), "gateway-cpu-µs")
			b.ReportMetric(us(theirCPU)/float64(n), "bare-cpu-µs")
			b.ReportMetric(float64(ourCPU)/float64(theirCPU), "cpu-ratio")
		})
	}
}

// spent is the CPU time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
