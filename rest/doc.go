// Package rest is the REST endpoint of a JobManager: Flink's REST API version 1, as far as Weft has what it shows, so that
// Flink's own tools can list, watch and cancel jobs, and below /weft what Weft needs beside it: executables by their
// SHA-256, and results one can wait for. What Weft doesn't have is answered with 404 and says so.
//
// A Server is made before the JobManager's roles, because YARN is told its port when the JobManager registers: until
// SetBackend every request is answered with 503, which clients repeat. Its shapes are those of package api, its snapshots
// are turned into them by package view, and uploaded executables and cached files are kept in a Store.
//
// Goroutines: Serve runs the HTTP server, with a goroutine per connection, and one that cancels jobs whose clients fell
// silent; it stops and joins them all before it returns. Methods are safe for concurrent use.
//
// Whoever shows the cluster's token may do everything; security.rest.authentication=none lets everyone in.
package rest
