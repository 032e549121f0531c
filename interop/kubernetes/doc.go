// Package kubernetes runs a real Kubernetes API server with its etcd, built from
// their Go modules, and puts the real imprimatur serve before it: the webhook
// as docs/kubernetes.md prints it decides about objects of every kind that the
// cluster takes, and the cluster's own projected tokens are exchanged as
// docs/workload-tokens.md says.
//
// Nothing runs containers, and there are no controllers: what a controller
// would make (the default service account, pods of a deployment) the test makes
// itself, where it is about that.
//
// It is a module of its own because Kubernetes is two thousand packages, which
// take a quarter of an hour to build for the first time. The product is built
// from the tree and run as a program, so that neither sees the other's modules.
package kubernetes
