// Package tracking reads a team's MLflow: its tracking server, the artifacts
// behind it, and the object store and folders that it points to. It writes
// nothing there.
//
// # What is read
//
// Runs, logged models, experiments, registered models and versions through
// MLflow's REST API 2.0 ([Client.Run], [Client.LoggedModel], [Client.Experiments],
// [Client.Runs], [Client.RegisteredModels], [Client.ModelVersions]); bytes through
// the artifact proxy of the same server (mlflow-artifacts:) and from S3 (s3:).
// [Client.Hash] finds where a version's source leads:
//
//	mlflow-artifacts:/path     the proxy; a host in the address must be the server's own
//	runs:/RUN/path             the run's artifact_uri, or its logged model of that name
//	models:/m-ID               the logged model's artifact_uri, and its source run
//	models:/NAME/VERSION       the version's own source, as MLflow's registry has it
//	s3://bucket/key            the object or all objects below the key
//	file:, /path               named back as a folder: package registry reads those
//
// Anything else is [registry.ErrUnread].
//
// # How it is read
//
// Each file passes as one stream into artifact.Read and is not kept. A file must
// have the size that its listing says. A listing is refused where a name leads
// out of its folder, comes twice, or where there are more than [MaxFiles] files,
// or folders deeper than 32. Pages are followed while each token is a new one,
// at most 10,000 of them; an answer has at most 64 MiB.
//
// A fault that can pass (no connection, an answer that does not come or breaks
// off, 429, 5xx but 501) is tried again, at most [Attempts] times in all for one request or file, with
// waits that double and end with the context. A stream that broke off goes on
// where it did, if the file's ETag is still the same. All other faults are told at once.
//
// # What is not followed
//
// No redirect leads to another host, so that credentials stay where they belong.
// Nothing that a run or a client names makes the server call a host that its
// operator did not name: the tracking server, the S3 endpoint, and the hosts
// from which datasets may be read. Of S3 nothing is read but the buckets and
// prefixes that the operator names.
//
// # What a run becomes
//
// [Client.Report] makes a record.Run of a run, marked as reported by MLflow: the
// actor of the statement is who registered the version, and MLflow's own user a
// label. A dataset input's digest in MLflow is a label too; the SHA-256 is
// computed from the source where it can be read, and else the input stands among
// the run's unread ones, with the reason.
//
// # Credentials
//
// MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,
// and those of AWS from its usual variables and file. They are in no statement.
package tracking
