// Package mlflow answers MLflow's Model Registry protocol, so that unchanged
// clients of MLflow register models here and are governed when they release them.
//
// # Addresses
//
// [routes] is the one table: the 21 operations of the protocol, at
// /api/2.0/mlflow/... and at the twin /ajax-api/2.0/mlflow/... of MLflow's own
// page, and the same under /t/TEAM for a team by name. Without that, the team is
// the only one of the caller's roles, or else the default that is configured.
// Clients set MLFLOW_REGISTRY_URI=http://HOST or http://HOST/t/TEAM. Tracking
// stays with their MLflow: what is not of the registry is ENDPOINT_NOT_FOUND.
//
// # Signing in
//
// A token of ours as Bearer (MLFLOW_TRACKING_TOKEN), or as the password of HTTP
// Basic under any user name (MLFLOW_TRACKING_PASSWORD, or in the address:
// http://x:TOKEN@HOST). The principal is the token's.
//
// # Requests and answers
//
// GET has its arguments in the query, all others in a JSON object in the body,
// DELETE too. A body that is a JSON string which holds JSON is decoded twice, as
// old clients send it. Unknown members are passed over. Answers are as MLflow's
// server gives them (protobuf's JSON with its own names): members without a value
// and empty lists are left out, times are milliseconds as numbers, a version is
// text. Limits and sentences are those of MLflow 3.17 (mlflow/utils/validation.py,
// mlflow/utils/search_utils.py, mlflow/store/model_registry/sqlalchemy_store.py).
//
// # Refusals
//
// MLflow's clients try again for minutes at a 429 or a 5xx and then hide its
// text, so every refusal of the registry or a policy is a 403 PERMISSION_DENIED
// with the reasons. A 5xx means that it could not be decided.
//
// # In front of a team's MLflow
//
// [NewFront] is a handler on a listener of its own: MLflow's page is at / there,
// and its scripts are of another origin than the console. The operations of the
// registry are answered here, whoever asks and however the path is written; what
// only might be one of them is refused. All else is passed on as it was written,
// in both directions as it comes. Three things of it are read:
//
//   - bytes. The artifact proxy, files by run, by logged model and by registered
//     version, and addresses that are signed for a store: a registered version's
//     go to whom the version is handed out, are not given to nobody, and are
//     neither overwritten nor deleted. A workload that an environment names gets
//     no others, and of the rest only what [forWorkloads] lists.
//   - the page's GraphQL. The registered versions of a run are this registry's.
//   - redirects to the upstream's own address, which would lead round the front.
//
// The upstream sees the credentials that are configured for it, and then every
// caller signs in here; or else the caller's own, but never a token or cookie of
// ours. Its silence is a 503, which clients try again.
//
// # Where it differs from MLflow's server
//
// A number of a version is never given twice, not even after the model was
// deleted and made anew. An alias goes with its version. A page token holds the
// place of the last row rather than a count, so that rows which come or go in
// between neither hide nor repeat others. Aliases and stages that an environment
// lists, and versions for the workloads of an environment, are gated: package
// registry says how.
package mlflow
