// Package prober asks a vendor's model the prompts of a suite, through the gateway of
// egress: a prober is a workload with a release of its own, whose calls are decided
// about, counted and logged like any other's, and whose credential is attached there.
//
// The interface is that of OpenAI's chat completions. Repeats of one prompt are spread
// over the run, prompt after prompt, and few are asked at once, so that what a live
// workload asks meanwhile does not wait. A prompt that is not answered is an answer
// with an error: whether enough was answered is for package probe to say. What a model answers is
// cut where one answer is too long, and left out where all are.
package prober

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/probe"
)

// Options say who asks whom, and how.
type Options struct {
	// URL is the upstream's place at the gateway, such as http://127.0.0.1:8423/parrot.
	URL string
	// Token is the prober's own.
	Token string
	// Vendor is "team/name", Model the ID by which it knows the model.
	Vendor, Model, APIVersion string
	// Repeats is how often each prompt is asked.
	Repeats int
	// AtOnce is how many are asked at once; 0 is two.
	AtOnce int
	Client *http.Client
	Now    func() time.Time
	// Report is told how far it is; nil is nobody.
	Report func(done, total int64)
}

const (
	// answerWithin is how long one answer may take.
	answerWithin = 2 * time.Minute
	maxBody      = 4 << 20
	// maxRun is how many bytes of answers a run has: what is written around them has room in a file of [probe.MaxAnswers].
	maxRun = probe.MaxAnswers / 2
)

// Ask asks every prompt as often as it is to be. Its error is that of a run that was cut off.
func Ask(ctx context.Context, s *probe.Suite, o Options) (*probe.Run, error) {
	out := &probe.Run{Suite: s.Digest, Vendor: o.Vendor, Model: o.Model, APIVersion: o.APIVersion, Started: o.Now().UTC().Truncate(time.Millisecond)}
	for _, p := range s.Prompts {
		out.Prompts = append(out.Prompts, probe.Answered{ID: p.ID, Answers: make([]probe.Answer, o.Repeats)})
	}
	type place struct{ prompt, repeat int }
	todo := make(chan place)
	var workers sync.WaitGroup
	var mu sync.Mutex
	done, total, length := int64(0), int64(o.Repeats*len(s.Prompts)), 0
	for range cmp.Or(o.AtOnce, 2) {
		workers.Go(func() {
			for at := range todo {
				a := o.one(ctx, &s.Prompts[at.prompt])
				mu.Lock()
				if length += written(a.Text); length > maxRun {
					a = probe.Answer{Error: fmt.Sprintf("the answers of the run are longer than %d bytes together; give the prompts a smaller maxTokens", maxRun)}
				}
				out.Prompts[at.prompt].Answers[at.repeat] = a
				if done++; o.Report != nil {
					o.Report(done, total)
				}
				mu.Unlock()
			}
		})
	}
	for repeat := range o.Repeats {
		for prompt := range s.Prompts {
			select {
			case todo <- place{prompt, repeat}:
			case <-ctx.Done():
			}
		}
	}
	close(todo)
	workers.Wait()
	out.Finished = o.Now().UTC().Truncate(time.Millisecond)
	return out, ctx.Err()
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// completion is what is read of an answer.
type completion struct {
	Model   string `json:"model"`
	System  string `json:"system_fingerprint"`
	Choices []struct {
		Message struct {
			Content string `json:"content"`
			Refusal string `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
}

// one asks once.
func (o *Options) one(ctx context.Context, p *probe.Prompt) probe.Answer {
	body := struct {
		Model       string    `json:"model"`
		Messages    []message `json:"messages"`
		MaxTokens   int       `json:"max_tokens"`
		Temperature *float64  `json:"temperature,omitzero"`
	}{Model: o.Model, MaxTokens: p.MaxTokens, Temperature: p.Temperature}
	if p.System != "" {
		body.Messages = append(body.Messages, message{"system", p.System})
	}
	body.Messages = append(body.Messages, message{"user", p.Prompt})
	raw, err := o.post(ctx, body)
	if err != nil {
		return probe.Answer{Error: clipped(err.Error(), 300)}
	}
	var got completion
	if err := json.Unmarshal(raw, &got); err != nil {
		return probe.Answer{Error: "the answer cannot be read: " + clipped(err.Error(), 300)}
	}
	if len(got.Choices) == 0 {
		return probe.Answer{Error: "the answer has no choices"}
	}
	said := got.Choices[0].Message
	a := probe.Answer{Text: clipped(said.Content+said.Refusal, probe.MaxAnswer), Model: clipped(got.Model, 256), System: clipped(got.System, 256)}
	if a.Text == "" {
		return probe.Answer{Error: "the answer is empty"}
	}
	return a
}

func (o *Options) post(ctx context.Context, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(o.URL, "/")+"/v1/chat/completions", bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+o.Token)
	got, err := o.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close() //nolint:errcheck // it was only read
	raw, err = io.ReadAll(io.LimitReader(got.Body, maxBody))
	if err == nil && got.StatusCode != http.StatusOK {
		err = fmt.Errorf("the gateway answers %s: %s", got.Status, strings.Join(strings.Fields(string(raw)), " "))
	}
	return raw, err
}

// written is how many bytes a text has at most as JSON, which writes out what is not seen.
func written(text string) int {
	n := len(text)
	for _, b := range []byte(text) {
		if b < ' ' || b == '"' || b == '\\' {
			n += 5
		}
	}
	return n
}

// clipped is a text of at most so many bytes, valid.
func clipped(text string, most int) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
