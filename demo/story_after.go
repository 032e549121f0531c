package demo

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// wrongTexture is by how much the new scanner measures the texture wrong.
const wrongTexture = 1.2

// drifts is chapter 8: what is seen after promotion does something.
func (t *teller) drifts() {
	end := time.Now().UTC().Truncate(time.Hour)
	t.step("The service that runs the model tells what it saw and said in four hours. For the last two, the clinic had a scanner whose grey values are 20 % too far apart.", func() (lines []string, err error) {
		for i, factor := range []float64{1, 1, wrongTexture, wrongTexture} {
			line, err := t.observe(i, end.Add(time.Duration(i-4)*time.Hour), factor)
			if err != nil {
				return lines, err
			}
			lines = append(lines, line)
		}
		return lines, nil
	})
	t.step("The windows close, two in a row breach, and the policy acts: at once the release runs again that ran before and was drilled. Nobody had to be awake.", t.goesBack)
	t.step("What was live at each time, by whose approval, on what evidence?", t.liveAtEachTime)
	t.step("The whole ledger is verified: every signature, hash and checkpoint, and the projection rebuilt and compared.", func() ([]string, error) {
		said, err := t.cfg.VerifyLedger(t.ctx)
		return []string{said}, err
	})
}

func (t *teller) observe(number int, from time.Time, factor float64) (string, error) {
	rows, err := observations(t.second.model, hour(t.data.Holdout, number%2, factor))
	if err != nil {
		return "", err
	}
	batch := wire.ObservationBatch{ID: fmt.Sprintf("hour-%d", number), From: from, To: from.Add(time.Hour)}
	seen, err := t.people[service].Observe(t.ctx, batch, bytes.NewReader(rows), int64(len(rows)), nil)
	return fmt.Sprintf("%s: %d masses, counted for %s; no value is kept", from.Format("15:04"), seen.Rows, seen.Release), err
}

// windowsCloseWithin is how long it may take until the windows are seen to close: they
// are looked for every few seconds.
const windowsCloseWithin = 30 * time.Second

// goesBack waits until the policy has acted.
func (t *teller) goesBack() ([]string, error) {
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for deadline := time.Now().Add(windowsCloseWithin); ; <-every.C {
		seen, err := t.people[owner].Monitor(t.ctx, t.releases[2])
		if err != nil || t.ctx.Err() != nil {
			return nil, errors.Join(err, t.ctx.Err())
		}
		if len(seen.Windows) == 4 {
			return t.wentBack(seen.Windows)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d of 4 windows have closed", len(seen.Windows))
		}
	}
}

func (t *teller) wentBack(windows []record.Recorded[record.Window]) (lines []string, err error) {
	for _, w := range windows {
		line := fmt.Sprintf("%s: %s", w.Record.From.UTC().Format("15:04"), w.Record.Outcome)
		for _, c := range w.Record.Worst[:min(1, len(w.Record.Worst))] {
			line += fmt.Sprintf("; the %s of %s is %.2f, and a breach is above %.2f, the noise of %d rows", c.Measure, c.Feature, c.Value, c.Threshold(), w.Record.Rows)
		}
		lines = append(lines, line)
	}
	now := time.Now()
	live, err := t.people[owner].Live(t.ctx, now)
	if err != nil {
		return lines, err
	}
	if len(live) != 1 || live[0].Release != t.releases[1] {
		return lines, errors.New("the release that ran before is not the one that runs")
	}
	t.returned = now
	return append(lines, "live: "+live[0].Release), nil
}
