// Package api is the JSON of the REST endpoint: the shapes of Flink's REST API version 1 that Weft answers, and Weft's own
// (paths below /weft). Server, client and HistoryServer share it.
//
// Flink's own client fails on an answer in which a primitive is missing or null, so no field that is one in Flink carries
// omitempty; those that Flink leaves out or sets to null are pointers, or say so. Ids are 32 lower-case hex digits, times
// Unix milliseconds, and the end of what hasn't ended -1.
//
// The package holds values only; it is safe for concurrent use as far as they are.
package api

// Prefix is the version before every path; the server also answers without it.
const Prefix = "/v1"

// TokenScheme is the authentication scheme of the Authorization header: "Bearer <token>".
const TokenScheme = "Bearer"

// Errors is the body of every answer that isn't a success: a message, then text such as a stack. Flink's client takes an
// object for an error if it has exactly this field.
type Errors struct {
	Errors []string `json:"errors"`
}

// Empty is the body {}.
type Empty struct{}

// AsyncStatus says how far an asynchronous operation is.
type AsyncStatus struct {
	ID string `json:"id"`
}

// The values of AsyncStatus.ID.
const (
	InProgress = "IN_PROGRESS"
	Completed  = "COMPLETED"
)
