package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"imprimatur.dev/wire"
)

// batchOf is what is said of a batch of observations, in the query.
type batchOf struct {
	Batch   string    `query:"batch" required:"true" doc:"The sender's own ID of it: sent again it counts once."`
	Release string    `query:"release" doc:"Which of the workload's releases produced them, where it has several."`
	From    time.Time `query:"from" required:"true" doc:"When the observations begin."`
	To      time.Time `query:"to" required:"true" doc:"When they end; this moment is not among them."`
	Time    string    `query:"time" doc:"The column with the time of each row. Without one the span must lie in one window."`
}

// observe takes observations as the body, as they come in.
func observe(f *face, op huma.Operation) {
	file := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	op.RequestBody = &huma.RequestBody{
		Required:    true,
		Description: "The file, recognised by its bytes; with or without gzip, at most 1 GiB when it is unpacked.",
		Content: map[string]*huma.MediaType{
			"application/x-ndjson": file, "application/vnd.apache.arrow.stream": file, "application/vnd.apache.arrow.file": file,
			"application/vnd.apache.parquet": file, "application/octet-stream": file,
		},
	}
	handle(f, op, func(ctx context.Context, q *request, in *batchOf) (*answered[wire.Observed], error) {
		batch := wire.ObservationBatch{ID: in.Batch, Release: in.Release, From: in.From, To: in.To, Time: in.Time}
		return answer(f.reg.Observe(ctx, q.who, batch, &upload{in: q.http.Body, conn: http.NewResponseController(q.writer)}))
	})
}

// windowReport answers with the report on a window.
func windowReport(f *face, op huma.Operation) {
	kept(f, op, "application/json", f.reg.WindowReport)
}
