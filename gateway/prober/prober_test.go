package prober_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/gateway/prober"
	"imprimatur.dev/probe"
)

// ask asks a model that answers by a function a suite of some prompts, 50 times each.
func ask(ctx context.Context, t *testing.T, prompts int, answer http.HandlerFunc) (*probe.Suite, *probe.Run, error) {
	t.Helper()
	text := "apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: s\nprompts:\n"
	for i := range prompts {
		text += fmt.Sprintf("  - { id: p%d, prompt: Q, score: { exact: x } }\n", i)
	}
	s, err := probe.ParseSuite([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(answer)
	t.Cleanup(gateway.Close)
	run, err := prober.Ask(ctx, s, prober.Options{URL: gateway.URL, Vendor: "lab/parrot", Model: "chat-2", Repeats: 50, AtOnce: 4, Client: gateway.Client(), Now: time.Now})
	return s, run, err
}

// Whatever a model answers, what is sent to the server can be read there.
func TestAnswersThatAreTooLongAreLeftOut(t *testing.T) {
	long := `{"model": "chat-2", "choices": [{"message": {"content": "` + strings.Repeat(`\u0001`, 4096) + strings.Repeat("z", probe.MaxAnswer) + `"}}]}`
	s, run, err := ask(t.Context(), t, 12, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(long)) })
	if err != nil {
		t.Fatal(err)
	}
	given, missing := run.Count()
	if given != 390 || missing != 210 {
		t.Errorf("%d answers were given, and %d are missing", given, missing)
	}
	raw, err := run.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := probe.ParseRun(s, raw); err != nil {
		t.Error(err)
	}
	if a := run.Prompts[0].Answers[0]; len(a.Text) != probe.MaxAnswer {
		t.Errorf("an answer has %d bytes", len(a.Text))
	}
	if a := run.Prompts[11].Answers[49]; !strings.Contains(a.Error, "smaller maxTokens") || a.Text != "" {
		t.Errorf("the last answer is %q, and says %q", a.Text[:min(len(a.Text), 20)], a.Error)
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, run, err := ask(ctx, t, 2, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if err == nil || run == nil {
		t.Fatalf("%v, %+v", err, run)
	}
}
