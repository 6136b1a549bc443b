package webservice

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var (
	// ErrNotFound is returned for an application that YARN doesn't know: never
	// submitted, or so old that it was forgotten.
	ErrNotFound = errors.New("unknown to YARN")
	// ErrBadRequest is returned when YARN refuses a request at once, such as
	// resources above the cluster's maximum.
	ErrBadRequest = errors.New("refused by YARN")
	// ErrForbidden is returned when the user may not do this, or isn't known.
	ErrForbidden = errors.New("not allowed")
	// ErrStandby is returned when none of the YARN ResourceManagers is active.
	ErrStandby = errors.New("no active YARN ResourceManager")
)

// RemoteError is YARN's answer to a call that failed. It matches ErrNotFound,
// ErrBadRequest, ErrForbidden and ErrStandby.
type RemoteError struct {
	// Method and Path are the call's, Status is the HTTP status.
	Method, Path string
	Status       int
	// Exception and Class are the short and the full name of the Java class,
	// if the answer had them.
	Exception, Class string
	// Message is the first line of what YARN says.
	Message string
}

// Error names the call and YARN's reason.
func (e *RemoteError) Error() string {
	reason := e.Message
	if reason == "" {
		reason = http.StatusText(e.Status)
	}
	if e.Exception != "" {
		reason = e.Exception + ": " + reason
	}
	return fmt.Sprintf("%s %s: YARN ResourceManager answered %d: %s", e.Method, e.Path, e.Status, reason)
}

// Is maps the answer to the package's sentinels.
func (e *RemoteError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrBadRequest:
		return e.Status == http.StatusBadRequest
	case ErrForbidden:
		return e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
	case ErrStandby:
		return e.Exception == exceptionStandby
	}
	return false
}

// exceptionStandby is what Hadoop's RPC calls the same state.
const exceptionStandby = "StandbyException"

func remoteError(resp *http.Response, method, path string, body []byte) error {
	e := &RemoteError{Method: method, Path: path, Status: resp.StatusCode}
	var doc struct {
		RemoteException struct {
			Exception     string `json:"exception"`
			Message       string `json:"message"`
			JavaClassName string `json:"javaClassName"`
		} `json:"RemoteException"`
	}
	if json.Unmarshal(body, &doc) == nil && doc.RemoteException.Exception != "" {
		e.Exception, e.Class = doc.RemoteException.Exception, doc.RemoteException.JavaClassName
		e.Message = firstLine(doc.RemoteException.Message)
	} else if !strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		// Some refusals are a bare line of text, others the servlet container's page.
		e.Message = excerpt(body)
	}
	if isStandby(resp) {
		e.Exception = exceptionStandby
	}
	return e
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

func excerpt(body []byte) string {
	line := firstLine(string(body))
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	return line
}
