// Package client is how programs outside of a cluster deal with it: ClusterClient speaks to a running cluster's REST
// endpoint, and ClusterDescriptor deploys, finds and kills clusters. What deploys is a Provider (package yarn, package
// standalone); this package imports none of them.
//
// A Provider is chosen by execution.target, as Flink does it: "yarn-session", "yarn-per-job" and "yarn-application" are
// the YARN provider's, "remote" the standalone one's. "local" needs no provider: the application runs its jobs itself.
//
// ClusterClient is safe for concurrent use and starts no goroutine that outlives a call.
package client
