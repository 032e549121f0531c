package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// event is one event of a run of a feature pipeline, as Airflow sends it, of about
// a kilobyte: it begins or completes, reads two datasets and writes one.
func event(i int) string {
	kind := []string{"START", "COMPLETE"}[i%2]
	return fmt.Sprintf(`{"eventType":%q,"eventTime":"2026-05-01T06:%02d:%02d.%03dZ","producer":"https://github.com/apache/airflow/tree/providers-openlineage/2.2.0","schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",`+
		`"run":{"runId":"0199f0c0-1112-7c11-9f41-%012x","facets":{"nominalTime":{"_producer":"https://github.com/apache/airflow","_schemaURL":"https://openlineage.io/spec/facets/1-0-1/NominalTimeRunFacet.json","nominalStartTime":"2026-05-01T06:00:00Z"},"processing_engine":{"_producer":"https://github.com/apache/airflow","_schemaURL":"https://openlineage.io/spec/facets/1-1-1/ProcessingEngineRunFacet.json","name":"Airflow","version":"3.0.1"}}},`+
		`"job":{"namespace":"airflow-prod","name":"features.task_%d"},`+
		`"inputs":[{"namespace":"s3://lake","name":"raw/orders_%d"},{"namespace":"s3://lake","name":"raw/people_%d"}],"outputs":[{"namespace":"s3://lake","name":"features/%d"}]}`,
		kind, i/1000%60, i/17%60, i%1000, i/2, i/2%500, i/2%700, i/2%300, i/2%500)
}

// BenchmarkLineageIntake sends events over HTTP until they are durable: batches,
// and single ones from many connections.
func BenchmarkLineageIntake(b *testing.B) {
	for _, c := range []struct{ senders, batch int }{{2, 1000}, {4, 100}, {64, 1}} {
		b.Run(fmt.Sprintf("senders=%d/batch=%d", c.senders, c.batch), func(b *testing.B) {
			h := settle(b)
			path, token := h.url+lineagePath, h.tokens["robot"]
			if c.batch > 1 {
				path += "/batch"
			}
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.senders}}
			const events = 40_000
			bodies := make([]string, 0, events/c.batch)
			for i := 0; i < events; i += c.batch {
				var some []string
				for j := range c.batch {
					some = append(some, event(i+j))
				}
				text := strings.Join(some, ",")
				if c.batch > 1 {
					text = "[" + text + "]"
				}
				bodies = append(bodies, text)
			}
			for b.Loop() {
				var next atomic.Int64
				var all sync.WaitGroup
				began, busy := time.Now(), process()
				for range c.senders {
					all.Go(func() {
						for i := next.Add(1) - 1; int(i) < len(bodies); i = next.Add(1) - 1 {
							if err := post(client, path, token, bodies[i]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(events/time.Since(began).Seconds(), "events/s-wall")
				b.ReportMetric(float64((process()-busy).Microseconds())/events, "µs/event-cpu")
				b.ReportMetric(2*events/(process()-busy).Seconds(), "events/s-of-2-cores")
				b.ReportMetric(float64(len(bodies[0])/c.batch), "B/event")
			}
		})
	}
}

// process is the processor time of this process: server, database and senders.
func process() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func post(client *http.Client, path, token, body string) error {
	req, err := http.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	if answer.StatusCode > 299 {
		err = fmt.Errorf("answered %s", answer.Status)
	}
	return errors.Join(err, answer.Body.Close())
}
