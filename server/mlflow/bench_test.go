package mlflow_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRegistry measures calls over HTTP by eight clients at once, on 200
// models with five versions each: calls a second, and the 99th percentile. The
// module interop/mlflow compares with MLflow's own server.
func BenchmarkRegistry(b *testing.B) {
	const models, versions, clients = 200, 5, 8
	h := open(b)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	b.Cleanup(transport.CloseIdleConnections)
	call := func(method, path, body string) {
		req, err := http.NewRequestWithContext(h.ctx, method, h.url+path, strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+h.token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			b.Error(err)
			return
		}
		defer resp.Body.Close()
		if out, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Errorf("%s %s: %d %s %v", method, path, resp.StatusCode, out, err)
		}
	}
	for m := range models {
		call("POST", api+"/registered-models/create", fmt.Sprintf(`{"name":"m%d","tags":[{"key":"task","value":"t%d"}]}`, m, m%10))
		for range versions {
			call("POST", api+"/model-versions/create", fmt.Sprintf(`{"name":"m%d","source":"runs:/r/m","run_id":"r"}`, m))
		}
		call("POST", api+"/registered-models/alias", fmt.Sprintf(`{"name":"m%d","alias":"champion","version":"3"}`, m))
	}
	for _, x := range []struct {
		name string
		call func(i int)
	}{
		{"get-model", func(i int) { call("GET", fmt.Sprintf("%s/registered-models/get?name=m%d", api, i%models), "") }},
		{"get-by-alias", func(i int) {
			call("GET", fmt.Sprintf("%s/registered-models/alias?name=m%d&alias=champion", api, i%models), "")
		}},
		{"download-uri", func(i int) {
			call("GET", fmt.Sprintf("%s/model-versions/get-download-uri?name=m%d&version=2", api, i%models), "")
		}},
		{"search-models-100", func(int) { call("GET", api+"/registered-models/search?max_results=100", "") }},
		{"search-models-by-tag", func(int) { call("GET", api+"/registered-models/search?filter=tags.task+%3D+%27t3%27", "") }},
		{"search-versions-of-one", func(i int) {
			call("GET", fmt.Sprintf("%s/model-versions/search?filter=name%%3D%%27m%d%%27", api, i%models), "")
		}},
		{"set-tag", func(i int) {
			call("POST", api+"/model-versions/set-tag", fmt.Sprintf(`{"name":"m%d","version":"1","key":"k","value":"%d"}`, i%models, i))
		}},
		{"create-version", func(i int) {
			call("POST", api+"/model-versions/create", fmt.Sprintf(`{"name":"m%d","source":"runs:/r/m","run_id":"r"}`, i%models))
		}},
	} {
		b.Run(x.name, func(b *testing.B) { atOnce(b, clients, x.call) })
	}
}

// atOnce runs calls from several goroutines and reports what they took.
func atOnce(b *testing.B, clients int, call func(i int)) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				began := time.Now()
				call(i)
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
