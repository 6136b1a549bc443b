// Package resttest runs a real REST endpoint on loopback before a JobManager that is only a table of jobs, for tests of
// what speaks to a cluster: package client, package executor, the command line.
package resttest
