package api

// The parts of POST /jobs (multipart/form-data), in this order: an attribute with a SubmitRequest as JSON, and a file.
const (
	RequestPart  = "request"
	JobGraphPart = "file_0"
	// JobGraphType is the content type of the file: a protobuf graph.JobGraph.
	JobGraphType = "application/vnd.weft.jobgraph"
)

// SubmitRequest is the attribute of POST /jobs. Flink's lists of jars and artifacts are always empty.
type SubmitRequest struct {
	JobGraphFileName  string   `json:"jobGraphFileName"`
	JobJarFileNames   []string `json:"jobJarFileNames"`
	ArtifactFileNames []Empty  `json:"jobArtifactFileNames"`
	// ArtifactSHA256 is the executable of the task hosts, uploaded before with PUT /weft/artifacts/:sha256; "" for one that
	// the JobGraph gives a URI of.
	ArtifactSHA256 string `json:"artifactSha256,omitempty"`
	// HeartbeatTimeout in milliseconds has the job cancelled when its client falls silent for that long; 0 doesn't.
	HeartbeatTimeout int64 `json:"clientHeartbeatTimeout,omitempty"`
}

// SubmitResponse is the answer to POST /jobs.
type SubmitResponse struct {
	// JobURL is "/jobs/<jobid>". The id differs from the submitted JobGraph's if the job runs, or ran, already.
	JobURL string `json:"jobUrl"`
	JobID  string `json:"jobid"`
}

// Heartbeat is the body of PATCH /jobs/:jobid/clientHeartbeat.
type Heartbeat struct {
	// Expires is when the job is cancelled unless another heartbeat comes.
	Expires int64 `json:"expiredTimestamp"`
}

// ArtifactInfo is the answer to PUT /weft/artifacts/:sha256.
type ArtifactInfo struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}
