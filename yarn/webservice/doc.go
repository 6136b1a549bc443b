// Package webservice is a client of the YARN ResourceManager's REST interface
// (ws/v1/cluster): it submits, watches and ends applications and reads what a
// client needs to know of the cluster before it does.
//
// Client is safe for concurrent use and starts no goroutine of its own beyond
// those of net/http; Close lets idle connections go. With several addresses a
// standby or unreachable YARN ResourceManager is passed over. Reading calls are
// repeated a few times by go-retryablehttp; a submission is never sent a second
// time before YARN was asked whether the first one arrived, and always under
// the same application id, so that it can't start two applications.
package webservice
