package server_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

const monitorRules = rules + `    monitor:
      window: 1m
      lateness: none
      alarm: { need: 2, of: 3 }
`

// monitored is a line in which three releases ran: the second drifts and goes back to
// steady, and of one window of the third too little is known. The clock is turned by
// hand, ahead of what is stated by the real one, so that all of it is half an hour.
type monitored struct {
	*house
	releases []wire.Case
	minutes  atomic.Int64
	begin    time.Time
	rng      *rand.Rand
}

func (m *monitored) now() time.Time {
	// Each reading is later than the one before, as a real clock's.
	return m.begin.Add(time.Duration(m.minutes.Add(1)) * time.Millisecond)
}

func (m *monitored) at(minute int) time.Time { return m.begin.Add(time.Duration(minute) * time.Minute) }

func openMonitored(t *testing.T) *monitored {
	m := &monitored{begin: time.Now().UTC().Truncate(time.Minute).Add(10 * time.Minute), rng: rand.New(rand.NewPCG(11, 7))}
	m.house = openWith(t, registry.Config{Data: t.TempDir(), Now: m.now})
	m.settle()
	must[wire.Published](t)(m.people["rita"].PublishPolicy(m.ctx, wire.PolicyFile{Text: monitorRules, Reason: "watch"}))
	m.enrol(record.Principal{Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: now().AddDate(1, 0, 0)})
	quiet, moved := []float64{0, 0, 0, 0, 0}, []float64{0, 0, 0.6, 0.6, 0.6, 0, 0, 0}
	minute := 1
	for i, shifts := range [][]float64{quiet, moved, quiet} {
		m.release(fmt.Sprint(i + 1))
		for j, shift := range shifts {
			minute++
			m.minutes.Store(int64(time.Duration(minute+1) * time.Minute / time.Millisecond))
			rows := 400
			if i == 2 && j == 2 {
				rows = 12
			}
			from := m.at(minute)
			file := ndjsonOf(m.sample(rows, shift))
			must[wire.Observed](t)(m.people["scorer"].Observe(m.ctx, wire.ObservationBatch{ID: fmt.Sprintf("b-%d-%d", i, j), From: from, To: from.Add(time.Minute)}, bytes.NewReader(file), int64(len(file)), nil))
		}
	}
	m.minutes.Store(int64(time.Duration(minute+2) * time.Minute / time.Millisecond))
	return m
}

// sample draws ages, which move by shift standard deviations, and answers.
func (m *monitored) sample(rows int, shift float64) drift.Sample {
	age, answer := make([]float64, rows), make([]string, rows)
	for i := range rows {
		age[i] = 50 + 10*(m.rng.NormFloat64()+shift)
		answer[i] = []string{"yes", "no", "no"}[m.rng.IntN(3)]
	}
	return drift.Sample{Columns: []drift.Column{{Name: "age", Source: drift.Input, Numbers: age}, {Name: "answer", Source: drift.Prediction, Labels: answer}}}
}

func ndjsonOf(s drift.Sample) []byte {
	var out []byte
	for i := range s.Columns[0].Numbers {
		out = fmt.Appendf(out, `{"age":%v,"answer":%q}`+"\n", s.Columns[0].Numbers[i], s.Columns[1].Labels[i])
	}
	return out
}

// release has a version with a baseline run.
func (m *monitored) release(version string) {
	m.Helper()
	model := m.train(version)
	m.evaluate(model)
	reference, heldback := m.sample(5000, 0), m.sample(2000, 0)
	f := evidence.DriftSensitivity{Format: evidence.DriftSensitivityV1, Tool: record.Tool{Name: "own", Version: "1"}, Settings: drift.Defaults()}
	f.Baseline = must[drift.Baseline](m)(drift.Capture(reference))
	f.BaselineDigest = must[record.Digest](m)(f.Baseline.Digest())
	f.Reference, f.HeldBack = evidence.DriftSample{Digest: digest("reference" + version), Rows: 5000}, evidence.DriftSample{Digest: digest("held back"), Rows: 2000}
	f.Replay = drift.Replay{Window: 500, Repeats: 4, Seed: "s"}
	found := must[drift.Findings](m)(drift.Sensitivity(reference, heldback, f.Settings, drift.KnownShifts(f.Baseline), f.Replay))
	f.Disjoint, f.FalseAlarms, f.Detections = found.Disjoint, found.FalseAlarms, found.Detections
	m.record("eve", wire.Submission{Run: record.EvaluationRun{Team: "lab", Artifact: model, Dataset: digest("held out"), Finished: record.Millis(m.now())}}, must[[]byte](m)(f.Marshal()))
	in := proposal(version)
	in.Authority = record.Authority{Tools: []record.Grant{{Resource: "look-up", Actions: []string{"call"}}}, Workloads: []string{"scorer"}}
	c := must[wire.Case](m)(m.people["ann"].ProposeRelease(m.ctx, in))
	for name, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](m)(m.approve(name, role, c))
	}
	m.releases = append(m.releases, must[wire.Promoted](m)(m.people["olga"].Promote(m.ctx, c.ID)).Case)
}

// closed waits until the server has closed what is due, as it does by itself.
func (m *monitored) closed() {
	m.Helper()
	due := time.After(time.Minute)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for last := m.releases[2].ID; ; {
		got := must[wire.Monitored](m)(m.people["vic"].Monitor(m.ctx, last))
		if len(got.Windows) == 5 && len(got.Open) == 0 {
			return
		}
		select {
		case <-due:
			m.Fatalf("the windows of %s do not close: %+v", last, got)
		case <-look.C:
		}
	}
}

// pictured is what of the page of a monitor is drawn.
type pictured struct {
	Names      []string  `json:"names"`
	Titles     []string  `json:"titles"`
	Points     [3]int    `json:"points"`
	Promotions []float64 `json:"promotions"`
	Alarms     int       `json:"alarms"`
	Above      []string  `json:"above"`
	Rows       int       `json:"rows"`
	Small      float64   `json:"small"`
}

// pictures reads them where the browser has put them, in pixels.
const pictures = `(() => {
	const figures = [...document.querySelectorAll("#charts figure")], strip = figures[0].querySelector("svg.drift"), age = figures[1].querySelector("svg.drift");
	const y = e => { const b = e.getBoundingClientRect(); return b.top + b.height / 2 };
	const limit = age.querySelector(".threshold").getBoundingClientRect().top;
	return JSON.stringify({
		names: figures.map(f => f.querySelector("b").innerText),
		titles: figures.map(f => f.querySelector("svg.drift").getAttribute("aria-label")),
		points: ["pass", "fail", "inconclusive"].map(s => strip.querySelectorAll(".point." + s).length),
		promotions: [...strip.querySelectorAll(".promotion")].map(e => e.getBoundingClientRect().left),
		alarms: strip.querySelectorAll(".alarm").length,
		above: [...age.querySelectorAll(".point")].filter(p => y(p) < limit - 1).map(p => p.classList[1]),
		rows: figures[1].querySelectorAll("details tbody tr").length,
		small: Math.min(...[...age.querySelectorAll("text")].map(e => e.getBoundingClientRect().height)),
	});
})()`

// drawsDrift looks at the monitor of a release that drifted, and comes to it from the
// release's page by keyboard alone.
func drawsDrift(t *testing.T, b *browsertest.Browser, rules string) {
	m := openMonitored(t)
	m.closed()
	v := &visited{m.house, b, must[*url.URL](t)(url.Parse(servedAt(t, m.house)))}
	v.signIn("rita")
	second, third := m.releases[1].ID, m.releases[2].ID
	v.Size(1280, 900)
	v.Scheme("light")
	v.Go(v.at.String() + "/releases/" + second)
	browsertest.Evaluate[any](v.Browser, fmt.Sprintf("(document.querySelector(\"main a[href='/releases/%s/monitor']\").focus(), true)", second))
	v.Follows("\r")
	if at := v.Location(); !strings.HasSuffix(at, second+"/monitor") {
		t.Fatalf("the release's page led to %s", at)
	}
	v.Says("Monitor of "+second, "no alarm", "All is as it was when it was evaluated.", "of 1 minute, closed at once", "It runs no more: "+third+" took over on", "population stability index (PSI), no unit", "alarm raised", "too few rows to tell")
	var p pictured
	if err := json.Unmarshal([]byte(browsertest.Evaluate[string](v.Browser, pictures)), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Names) < 3 || p.Names[0] != "All checks" || p.Names[1] != "age" || p.Points != [3]int{14, 3, 1} || p.Alarms != 1 || p.Rows != 18 {
		t.Errorf("drawn is %+v", p)
	}
	if strings.Join(p.Above, " ") != "fail fail fail" || !strings.Contains(p.Titles[1], "over 18 windows") || !strings.Contains(p.Titles[1], "3 breached") {
		t.Errorf("above the limit are %q: %s", p.Above, p.Titles[1])
	}
	if len(p.Promotions) != 3 || p.Promotions[0] >= p.Promotions[1] || p.Promotions[1] >= p.Promotions[2] {
		t.Errorf("promotions are at %v", p.Promotions)
	}
	if got := v.Text("ol.promotions"); strings.Count(got, "promoted by olga") != 3 {
		t.Errorf("the promotions in words:\n%s", got)
	}
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1280}, {"dark", 1280}, {"light", 390}} {
		v.Scheme(look.scheme)
		v.Size(look.width, 900)
		v.Go(v.at.String() + "/releases/" + second + "/monitor")
		v.Screenshot(fmt.Sprintf("monitor-%s-%d", look.scheme, look.width))
		for _, found := range v.faults(rules) {
			t.Errorf("the monitor, %s, %d pixels: %s (%s): %s: %+v", look.scheme, look.width, found.ID, found.Impact, found.Help, found.Nodes)
		}
		if wide := browsertest.Evaluate[int](v.Browser, "document.documentElement.scrollWidth"); int64(wide) > look.width {
			t.Errorf("the monitor is %d pixels wide in a window of %d", wide, look.width)
		}
		if err := json.Unmarshal([]byte(browsertest.Evaluate[string](v.Browser, pictures)), &p); err != nil || p.Small < 9 {
			t.Errorf("at %d pixels text of a chart is %g pixels high: %v", look.width, p.Small, err)
		}
	}
	v.Go(v.at.String() + "/releases/" + third + "/monitor")
	v.Says("inconclusive", "too few rows to tell")
	e := must[wire.EnvelopeCase](t)(m.people["ann"].ProposeEnvelope(m.ctx, weekly(second)))
	m.evaluate(m.train("4"))
	in := proposal("4")
	in.Envelope, in.Incomplete = "weekly", true
	must[wire.Case](t)(m.people["robot"].ProposeRelease(m.ctx, in))
	v.accessible(rules, "/envelopes", "/envelopes/"+e.ID+"/withdraw", "/envelopes", "/envelopes/"+e.ID)
	browsertest.Evaluate[any](v.Browser, "(document.querySelectorAll('details').forEach(d => d.open = true), true)")
	v.Screenshot("envelope")
	v.Messages()
}
