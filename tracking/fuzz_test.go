package tracking

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

// Whatever a server says of a run, what becomes of it is a record that holds, or
// the run is refused.
func FuzzRun(f *testing.F) {
	f.Add(`{"run": {"info": {"run_id": "r1", "start_time": 1767225600000, "end_time": "1767225601000", "user_id": "u"}, "data": {"params": [{"key": "C", "value": 1}], "metrics": [{"key": "m", "value": "NaN"}], "tags": [{"key": "mlflow.source.git.commit", "value": "0123456789abcdef0123456789abcdef01234567"}]}}}`)
	f.Add(`{"run": {"info": {"run_id": "\u202e", "start_time": -1}, "data": {"params": [{"key": "\u0000", "value": null}]}, "inputs": {"dataset_inputs": [{"dataset": {"name": "", "source": "{\"uri\": \"s3://u:p@b/k?x=1\"}"}}]}}}`)
	f.Add(`{"run": {"inputs": {"dataset_inputs": [{"dataset": {"source": "{\"uri\": \"s3://u:p@b/%zz\"}"}}]}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		run, err := ParseRun([]byte(raw))
		if err != nil {
			return
		}
		r := recordOf(run)
		r.Team, r.ID, r.Reported.Raw = "lab", "r1", record.DigestOf([]byte(raw))
		r.Outputs = []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: r.Reported.Raw}}
		if r.Finished.IsZero() || r.Finished.Before(r.Started) {
			r.Finished = time.Date(9998, 12, 31, 0, 0, 0, 0, time.UTC)
		}
		if r.Started.IsZero() || r.Started.After(r.Finished) {
			r.Started = r.Finished
		}
		for _, in := range run.Inputs.Datasets {
			u, _ := unreadInput(in)
			u.Why = "no"
			r.Reported.Unread = append(r.Reported.Unread, u)
		}
		if len(r.Reported.Unread) > record.MaxList {
			return
		}
		if err := r.Validate(); err != nil {
			t.Errorf("%v", err)
		}
		for _, u := range r.Reported.Unread {
			if strings.Contains(u.Source, "://u:p@") {
				t.Errorf("a secret stays in %s", u.Source)
			}
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add(`{"files": [{"path": "a", "is_dir": false, "file_size": 1}, {"path": "b", "is_dir": true}]}`)
	f.Add(`{"files": [{"path": "../a", "file_size": "9223372036854775808"}]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		members, err := ParseListing([]byte(raw))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, m := range members {
			if !fs.ValidPath(m.Name) || strings.ContainsAny(m.Name, "/\\\x00") || m.Name == "." || m.Size < -1 || seen[m.Name] {
				t.Errorf("%+v was taken from %q", m, raw)
			}
			seen[m.Name] = true
		}
	})
}

func FuzzLoggedModel(f *testing.F) {
	f.Add(`{"model": {"info": {"model_id": "m-1", "name": "net", "artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts", "source_run_id": "r1"}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		m, err := ParseLoggedModel([]byte(raw))
		if err != nil && m != (LoggedModel{}) {
			t.Errorf("%q is refused and read as %+v", raw, m)
		}
	})
}
