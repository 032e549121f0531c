// Package mlflow compares our answers to MLflow's Model Registry protocol with
// those of MLflow's own server, under the same load on the same machine, and
// holds the Python programs by which MLflow's real client and MLflow's own tests
// meet our server.
//
// Run it with
//
//	make bench-peers
//
// or, of this package alone, go test -run '^$' -bench Registry -benchtime 1x. It
// needs what make setup installs, and Linux, of whose /proc it reads what
// processor time each server took.
package mlflow
