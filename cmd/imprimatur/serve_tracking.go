package main

import (
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
)

// trackingFlags say where a team's MLflow is. Credentials come from the
// environment or a file, so that no list of processes shows them.
type trackingFlags struct {
	MLflowTracking  string   `name:"mlflow-tracking" placeholder:"URL" help:"The team's MLflow tracking server: versions that are registered are read through it, and their runs become lineage."`
	MLflowTokenFile string   `name:"mlflow-token-file" placeholder:"FILE" help:"Holds the token for it; or MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."`
	DataFrom        []string `name:"data-from" placeholder:"HOST" help:"A host from which the datasets that runs name may be read by http and https; may be repeated."`
	S3From          []string `name:"s3-from" placeholder:"s3://BUCKET/PREFIX" help:"A place in S3 from which models and datasets may be read with the server's credentials; may be repeated. Without one nothing is read from S3."`
}

// tracker returns the client of the tracking server, nil where there is none.
func (f trackingFlags) tracker(a *app, folders []string) (*tracking.Client, error) {
	if f.MLflowTracking == "" {
		return nil, nil
	}
	c, err := tracking.New(tracking.Config{
		URL: f.MLflowTracking, Env: a.env, TokenFile: f.MLflowTokenFile, DataHosts: f.DataFrom, Buckets: f.S3From, Folders: folders,
	})
	if err != nil {
		return nil, &failure{code: exitWrong, err: err, hint: "see imprimatur serve --help"}
	}
	return c, nil
}

// configure lets a registry read through the tracking server.
func (f trackingFlags) configure(a *app, cfg registry.Config) (registry.Config, error) {
	c, err := f.tracker(a, cfg.Folders)
	if c != nil {
		cfg.Hasher, cfg.Reports = c.Hash, c.Report
	}
	return cfg, err
}
