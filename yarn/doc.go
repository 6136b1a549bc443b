// Package yarn is the provider that runs clusters on Hadoop YARN: all that Weft knows of YARN is here and below.
//
//	Provider     what cmd/weft hands to cli: makes a Descriptor
//	Descriptor   on the client: checks, uploads, submits, follows, finds, kills and sweeps applications
//	JobManager   in the application master: what the container was given, for package entrypoint
//	Driver       in the application master: brings and removes containers (resourcemanager.WorkerDriver)
//	TaskManager  in the other containers: what the container was given, for package entrypoint
//
// A deployment is one directory, <staging>/<applicationId>/ (0700), which holds what the application master needs:
// deployment.json (the Configuration, the effective Hadoop site, the mode, the application), authority.pem (the
// cluster's certificate authority) and rest.token, all 0600. The executables are in <staging>/cache, by content, and
// uploaded once. A TaskManager gets its certificate and configuration in its container's credentials and needs no file
// but the weft executable.
//
// Goroutines: a Descriptor's end with its methods. A Driver has the heartbeat, a goroutine for each container being
// started or stopped, and one that finds out why containers don't come; Deregister, or the end of Start's context, ends
// and joins them.
package yarn
