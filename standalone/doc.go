// Package standalone is the provider of clusters that nobody deploys: a JobManager and TaskManagers that are started by
// hand, or by an init system, with `weft jobmanager` and `weft taskmanager`. It is execution.target "remote".
//
//	Provider     what cmd/weft hands to cli: makes a Descriptor
//	Descriptor   on the client: finds a cluster by host:port and ends it
//	Material     certificates and the REST token in weft.security.dir
//	JobManager   what a JobManager's process is told, for package entrypoint
//	TaskManager  what a TaskManager's process is told, for package entrypoint
//
// The first JobManager writes the Material. TaskManagers need taskmanager.pem of it, clients rest.token; authority.pem is
// the JobManager's alone. On one machine all find it in the same directory.
//
// The package starts no goroutine.
package standalone
