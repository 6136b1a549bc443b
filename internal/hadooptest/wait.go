package hadooptest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// pollInterval is the pause between two looks at a condition.
const pollInterval = 50 * time.Millisecond

// Await calls look until it returns true, and fails the test when that took longer than within. The second result says
// what was seen; the last one is part of the failure's text.
func Await(t testing.TB, within time.Duration, what string, look func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		done, seen := look()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; last seen: %s", what, within, seen)
		}
		time.Sleep(pollInterval)
	}
}

// StatusError is an answer with another HTTP status than 2xx.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

func (c *Cluster) do(ctx context.Context, method, url, contentType string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, url, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %w", method, url, &StatusError{Status: response.StatusCode, Body: string(answer)})
	}
	return answer, nil
}

func (c *Cluster) getJSON(ctx context.Context, url string, to any) error {
	answer, err := c.do(ctx, http.MethodGet, url, "", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, to); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}
