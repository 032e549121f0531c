package client

import (
	"context"
	"net/http"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// RegisterDataset registers a dataset version.
func (c *Client) RegisterDataset(ctx context.Context, d record.Dataset) (record.Recorded[record.Dataset], error) {
	return do[record.Recorded[record.Dataset]](ctx, c, http.MethodPost, "/datasets", nil, d)
}

// PreviewWithdrawal returns what a withdrawal of data would hit.
func (c *Client) PreviewWithdrawal(ctx context.Context, a record.DataApproval) (wire.Hits, error) {
	return do[wire.Hits](ctx, c, http.MethodPost, "/withdrawals/preview", nil, a)
}

// Withdraw withdraws data, held to the hit list that was looked at.
func (c *Client) Withdraw(ctx context.Context, w wire.Withdrawal) (record.Recorded[record.DataApproval], error) {
	return do[record.Recorded[record.DataApproval]](ctx, c, http.MethodPost, "/withdrawals", nil, w)
}

// DecideData records a steward's approval or withdrawal of data.
func (c *Client) DecideData(ctx context.Context, a record.DataApproval) (record.Recorded[record.DataApproval], error) {
	return do[record.Recorded[record.DataApproval]](ctx, c, http.MethodPost, "/data-approvals", nil, a)
}

// RecordRun records a training run.
func (c *Client) RecordRun(ctx context.Context, r record.Run) (record.Recorded[record.Run], error) {
	return do[record.Recorded[record.Run]](ctx, c, http.MethodPost, "/runs", nil, r)
}

// ReportRun has the server record a run as the team's MLflow reports it.
func (c *Client) ReportRun(ctx context.Context, r wire.NamedRun) (wire.ReportedRun, error) {
	return do[wire.ReportedRun](ctx, c, http.MethodPost, "/runs/reported", nil, r)
}

// RegisterModel registers a model's name, or changes what is said of it.
func (c *Client) RegisterModel(ctx context.Context, m record.Model) (record.Recorded[record.Model], error) {
	return do[record.Recorded[record.Model]](ctx, c, http.MethodPost, "/models", nil, m)
}

// RegisterVersion registers a model version.
func (c *Client) RegisterVersion(ctx context.Context, v record.ModelVersion) (record.Recorded[record.ModelVersion], error) {
	return do[record.Recorded[record.ModelVersion]](ctx, c, http.MethodPost, "/versions", nil, v)
}

// RegisterUseCase registers a use case, or changes one.
func (c *Client) RegisterUseCase(ctx context.Context, u record.UseCase) (record.Recorded[record.UseCase], error) {
	return do[record.Recorded[record.UseCase]](ctx, c, http.MethodPost, "/use-cases", nil, u)
}

// PublishPolicy publishes a policy file.
func (c *Client) PublishPolicy(ctx context.Context, in wire.PolicyFile) (wire.Published, error) {
	return do[wire.Published](ctx, c, http.MethodPost, "/policies", nil, in)
}

// TryPolicy asks what a policy file would make of the releases that are live now.
func (c *Client) TryPolicy(ctx context.Context, in wire.PolicyFile) (wire.Trial, error) {
	return do[wire.Trial](ctx, c, http.MethodPost, "/policies/try", nil, in)
}

// RecordSignal records something seen after promotion.
func (c *Client) RecordSignal(ctx context.Context, s record.Signal) (record.Recorded[record.Signal], error) {
	return do[record.Recorded[record.Signal]](ctx, c, http.MethodPost, "/signals", nil, s)
}
