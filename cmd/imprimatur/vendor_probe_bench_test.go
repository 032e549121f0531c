package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/client"
	"imprimatur.dev/gateway/prober"
	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// probed is an installation whose gateway live traffic and a prober pass.
type probed struct {
	*agency
	gateway, helper string
	prober          *client.Client
	token           string
	suite           *probe.Suite
	text            []byte
	vendor          *parrot
}

// openProbed has a suite of 100 prompts, and the run that others are compared with.
func openProbed(b *testing.B) *probed {
	vendor := &parrot{name: "chat-2", system: "fp-1", capital: "Paris", noise: 20, random: rand.New(rand.NewPCG(1, 2))}
	upstream := httptest.NewServer(vendor)
	b.Cleanup(upstream.Close)
	p := &probed{agency: openAgency(b), vendor: vendor}
	ctx, grants := b.Context(), record.Authority{Models: []record.Grant{{Resource: "parrot/chat-2", Actions: []string{"chat"}}}}
	got[record.Recorded[record.ModelVendor]](b)(p.reg.RegisterVendor(ctx, by("olga"), record.ModelVendor{Team: "lab", Name: "parrot", Owner: "olga", Contact: "trust@parrot.example"}))
	_, p.helper = p.release("helper", grants)
	_, _ = p.release("watcher", grants)
	got[record.Recorded[record.Role]](b)(p.reg.BindRole(ctx, by("administrator"), record.Role{Principal: "watcher", Role: record.Evaluator, Team: "lab"}))
	p.token = got[wire.IssuedToken](b)(p.reg.IssueToken(ctx, by("administrator"), wire.TokenRequest{Principal: "watcher", Scopes: []string{record.ScopeWrite}, Seconds: 3600})).Secret
	p.prober = client.New(p.url, p.token)
	config := filepath.Join(b.TempDir(), "egress.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "upstreams:\n  parrot: {url: %q, models: parrot, allow: [127.0.0.1], credential: {env: HOUSE_KEY, as: bearer}}\n", upstream.URL), 0o600); err != nil {
		b.Fatal(err)
	}
	p.gateway = p.egress(config, p.token)
	text := "apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: basics\nprompts:\n"
	for i := range 100 {
		text += fmt.Sprintf("  - { id: q%d, prompt: question %d, score: { regex: '^the answer' } }\n", i, i)
	}
	p.text, p.suite = []byte(text), got[*probe.Suite](b)(probe.ParseSuite([]byte(text)))
	p.judge(p.ask(p.suite.Baseline))
	return p
}

// ask asks every prompt, and sends what was answered.
func (p *probed) ask(repeats int) wire.ProbeSubmission {
	run := got[*probe.Run](p)(prober.Ask(p.Context(), p.suite, prober.Options{
		URL: p.gateway + "/parrot", Token: p.token, Vendor: "lab/parrot", Model: "chat-2", Repeats: repeats, Client: http.DefaultClient, Now: time.Now,
	}))
	raw := got[[]byte](p)(run.Marshal())
	in := wire.ProbeSubmission{Vendor: "lab/parrot", Suite: p.suite.Digest, Answers: record.DigestOf(raw)}
	for digest, content := range map[record.Digest][]byte{in.Suite: p.text, in.Answers: raw} {
		if err := p.prober.KeepEvidence(p.Context(), digest, bytes.NewReader(content), int64(len(content)), nil); err != nil {
			p.Fatal(err)
		}
	}
	return in
}

// judge has the server judge a run, and says how long that took.
func (p *probed) judge(in wire.ProbeSubmission) time.Duration {
	from := time.Now()
	got[record.Recorded[record.Probe]](p)(p.prober.RecordProbe(p.Context(), in))
	return time.Since(from)
}

// traffic has 32 clients each ask, ten times a second, until something is done, and returns how long each answer took.
func (p *probed) traffic(until func()) (took []time.Duration, rate float64) {
	var stop atomic.Bool
	var mu sync.Mutex
	var clients sync.WaitGroup
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer web.CloseIdleConnections()
	from := time.Now()
	for i := range 32 {
		clients.Go(func() {
			every := time.NewTicker(100 * time.Millisecond)
			defer every.Stop()
			for !stop.Load() {
				<-every.C
				asked := time.Now()
				if err := p.chat(web, i); err != nil {
					p.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(asked))
				mu.Unlock()
			}
		})
	}
	until()
	stop.Store(true)
	clients.Wait()
	slices.Sort(took)
	return took, float64(len(took)) / time.Since(from).Seconds()
}

func (p *probed) chat(web *http.Client, i int) error {
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.gateway+"/parrot/v1/chat/completions", strings.NewReader(fmt.Sprintf(`{"model":"chat-2","messages":[{"role":"user","content":"client %d"}]}`, i)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.helper)
	req.Header.Set("Content-Type", "application/json")
	answer, err := web.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s: %s: %w", answer.Status, said, err)
	}
	return nil
}

// BenchmarkTrafficWhileProbing is what live traffic through the gateway feels of probes of 100 prompts: alone, while they are asked through the
// same gateway and judged by the same server, and while a run that changed, which takes longest, is judged over and over. The three
// alternate.
func BenchmarkTrafficWhileProbing(b *testing.B) {
	p := openProbed(b)
	p.vendor.set(func(v *parrot) { v.noise = 60 })
	changed := p.ask(p.suite.Repeats)
	p.vendor.set(func(v *parrot) { v.noise = 20 })
	var quiet, hard []time.Duration
	phases := []struct {
		name string
		do   func()
	}{
		{"alone", func() { <-time.After(3 * time.Second) }},
		{"probed", func() { quiet = append(quiet, p.judge(p.ask(p.suite.Repeats))) }},
		{"judged", func() {
			for from := time.Now(); time.Since(from) < 3*time.Second; {
				hard = append(hard, p.judge(changed))
			}
		}},
	}
	took, rates := make([][]time.Duration, len(phases)), make([]float64, len(phases))
	rounds := 0.0
	for b.Loop() {
		rounds++
		for i, phase := range phases {
			one, rate := p.traffic(phase.do)
			took[i], rates[i] = append(took[i], one...), rates[i]+rate
		}
	}
	for i, phase := range phases {
		slices.Sort(took[i])
		b.ReportMetric(took[i][len(took[i])/2].Seconds()*1e3, phase.name+"-p50-ms")
		b.ReportMetric(took[i][len(took[i])*99/100].Seconds()*1e3, phase.name+"-p99-ms")
		b.ReportMetric(rates[i]/rounds, phase.name+"-calls/s")
	}
	slices.Sort(quiet)
	slices.Sort(hard)
	b.ReportMetric(quiet[len(quiet)/2].Seconds()*1e3, "same-judged-ms")
	b.ReportMetric(hard[len(hard)/2].Seconds()*1e3, "changed-judged-ms")
	b.ReportMetric(0, "ns/op")
}
