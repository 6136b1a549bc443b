package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var (
	// ErrConflict is wrapped by the *APIError of a request that the state of things forbids: the job has ended already,
	// or a job of this id exists.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable is wrapped by the *APIError of an endpoint that isn't ready, after all repetitions.
	ErrUnavailable = errors.New("not available")
	// ErrUnreachable is wrapped by every *UnreachableError.
	ErrUnreachable = errors.New("REST endpoint can't be reached")
)

// APIError is an answer of the REST endpoint that isn't a success. It wraps ErrNotFound, ErrUnauthorized, ErrConflict or
// ErrUnavailable where the status says so.
type APIError struct {
	Endpoint, Method, Path string
	// Status is HTTP's.
	Status int
	// Messages are the endpoint's own, the first for people; there may be none.
	Messages []string
}

func (e *APIError) Error() string {
	return fmt.Sprintf("%s %s at %s: %s (status %d)", e.Method, e.Path, e.Endpoint, strings.TrimSpace(e.Message()), e.Status)
}

// Message is what the endpoint said, without the request it answered.
func (e *APIError) Message() string {
	switch {
	case len(e.Messages) > 0:
		return e.Messages[0]
	case e.Status == http.StatusUnauthorized: // the answer to HEAD has no text
		return "the endpoint doesn't accept the token, or wants one"
	}
	return http.StatusText(e.Status)
}

func (e *APIError) Unwrap() error {
	switch e.Status {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusConflict:
		return ErrConflict
	case http.StatusServiceUnavailable:
		return ErrUnavailable
	}
	return nil
}

// UnreachableError says that a request got no answer.
type UnreachableError struct {
	Endpoint, Method, Path string
	// Attempts is how often it was tried.
	Attempts int
	Err      error
}

func (e *UnreachableError) Error() string {
	times := "once"
	if e.Attempts > 1 {
		times = fmt.Sprintf("%d times", e.Attempts)
	}
	return fmt.Sprintf("%s %s: the REST endpoint %s can't be reached (tried %s): %v; is the cluster running, and its address "+
		"right?", e.Method, e.Path, e.Endpoint, times, e.Err)
}

// Unwrap returns ErrUnreachable and the cause.
func (e *UnreachableError) Unwrap() []error { return []error{ErrUnreachable, e.Err} }
