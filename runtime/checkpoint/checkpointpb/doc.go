// Package checkpointpb is the generated code of metadata.proto: what a completed checkpoint says of itself, and the epoch
// log's record of the newest one of a job.
package checkpointpb
