package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func vendorPath(team, name, what string) string {
	return "/vendors/" + url.PathEscape(team) + "/" + url.PathEscape(name) + what
}

// RegisterVendor registers a vendor of models, or changes what is said of it.
func (c *Client) RegisterVendor(ctx context.Context, v record.ModelVendor) (record.Recorded[record.ModelVendor], error) {
	return do[record.Recorded[record.ModelVendor]](ctx, c, http.MethodPost, "/vendors", nil, v)
}

// Vendors returns the vendors that the caller may read, of one team where it is not empty.
func (c *Client) Vendors(ctx context.Context, team string) ([]wire.VendorStatus, error) {
	query := url.Values{}
	if team != "" {
		query.Set("team", team)
	}
	return do[[]wire.VendorStatus](ctx, c, http.MethodGet, "/vendors", query, nil)
}

// Vendor returns a vendor with its documents and the live releases that rest on it.
func (c *Client) Vendor(ctx context.Context, team, name string) (wire.VendorStatus, error) {
	return do[wire.VendorStatus](ctx, c, http.MethodGet, vendorPath(team, name, ""), nil, nil)
}

// Assure records a document of a vendor, whose file was sent before.
func (c *Client) Assure(ctx context.Context, team, name string, in wire.AssuranceRequest) (record.Recorded[record.Assurance], error) {
	return do[record.Recorded[record.Assurance]](ctx, c, http.MethodPost, vendorPath(team, name, "/assurances"), nil, in)
}

// WithdrawAssurance ends a document of a vendor before its time.
func (c *Client) WithdrawAssurance(ctx context.Context, team, name string, in wire.AssuranceEnd) (record.Recorded[record.Assurance], error) {
	return do[record.Recorded[record.Assurance]](ctx, c, http.MethodPost, vendorPath(team, name, "/assurances/withdraw"), nil, in)
}

// AcceptService takes a vendor's model as a version of one of the team's.
func (c *Client) AcceptService(ctx context.Context, in wire.ServiceRequest) (record.Recorded[record.ModelVersion], error) {
	return do[record.Recorded[record.ModelVersion]](ctx, c, http.MethodPost, "/services", nil, in)
}

// RecordProbe has a vendor's model judged by answers that were sent before.
func (c *Client) RecordProbe(ctx context.Context, in wire.ProbeSubmission) (record.Recorded[record.Probe], error) {
	return do[record.Recorded[record.Probe]](ctx, c, http.MethodPost, "/probes", nil, in)
}

// Probe returns a probe by its ID.
func (c *Client) Probe(ctx context.Context, id string) (record.Recorded[record.Probe], error) {
	return do[record.Recorded[record.Probe]](ctx, c, http.MethodGet, "/probes/"+url.PathEscape(id), nil, nil)
}

// SeeModel tells by what name and fingerprint a vendor's model has answered.
func (c *Client) SeeModel(ctx context.Context, in wire.ModelSeen) (wire.ModelJudged, error) {
	return do[wire.ModelJudged](ctx, c, http.MethodPost, "/models/seen", nil, in)
}
