package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/rest/api"
)

// startupDelay is the first pause before a request is repeated that the endpoint answered, but couldn't serve yet: a cluster
// that starts is ready within moments. The pause doubles up to rest.retry.delay.
const startupDelay = 50 * time.Millisecond

// answerTimeout is how long an answer may take that nobody asked to be late.
const answerTimeout = time.Minute

// request is one call of the REST API.
type request struct {
	method, path, query string
	// header is added to the usual one; body makes the body anew for each attempt; nil for none.
	header http.Header
	body   func() (io.ReadCloser, error)
	length int64
	// once: the request must not be repeated by itself.
	once bool
	// patience is how much longer than usual the answer may take; below 0 there is no limit.
	patience time.Duration
}

// call makes a request and reads the answer into out, which may be nil.
func (c *Client) call(ctx context.Context, r request, out any) error {
	attempts := 1
	if !r.once {
		attempts += conf.Get(c.o.conf, conf.RestRetryMaxAttempts)
	}
	startup := startupDelay
	for attempt := 1; ; attempt++ {
		err := c.attempt(ctx, r, out)
		if err == nil {
			return nil
		}
		if unreachable := (*UnreachableError)(nil); errors.As(err, &unreachable) {
			unreachable.Attempts = attempt
		}
		if ctx.Err() != nil || !passing(err) {
			return err
		}
		delay := conf.Get(c.o.conf, conf.RestRetryDelay)
		switch {
		case errors.Is(err, ErrUnavailable) && !r.once && startup < delay:
			delay, startup = startup, 2*startup
			attempt-- // these few come on top of rest.retry.max-attempts
		case attempt >= attempts:
			return err
		}
		c.o.log.Debug("REST request will be repeated", "method", r.method, "path", r.path, "attempt", attempt, "after", delay,
			"error", err)
		if sleep(ctx, delay) != nil {
			return err
		}
	}
}

// passing says that the request may succeed when it is repeated.
func passing(err error) bool { return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnavailable) }

// attempt makes one request. If ctx ends, the error is its cause.
func (c *Client) attempt(ctx context.Context, r request, out any) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if r.patience >= 0 {
		limited, cancel = context.WithTimeout(ctx, answerTimeout+r.patience)
	}
	defer cancel()
	resp, err := c.send(limited, r)
	if err == nil {
		err = c.read(resp, r, out)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s %s at %s: %w", r.method, r.path, c.Endpoint(), context.Cause(ctx))
	}
	return err
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := *c.endpoint
	u.Path += api.Prefix + r.path
	u.RawQuery = r.query
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.body != nil {
		if req.Body, err = r.body(); err != nil {
			return nil, err
		}
		req.ContentLength = r.length
	}
	for name, values := range c.headers {
		req.Header[name] = values
		if strings.EqualFold(name, "Host") {
			req.Host = values[0]
		}
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", api.TokenScheme+" "+c.token)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(r, err)
	}
	return resp, nil
}

func (c *Client) unreachable(r request, err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // it repeats method and address
	}
	return &UnreachableError{Endpoint: c.Endpoint(), Method: r.method, Path: r.path, Attempts: 1, Err: err}
}

// read reads the answer. An answer that breaks off counts as none.
func (c *Client) read(resp *http.Response, r request, out any) error {
	defer resp.Body.Close()
	limit := int64(conf.Get(c.o.conf, conf.RestClientMaxContentLength))
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return c.unreachable(r, fmt.Errorf("read answer: %w", err))
	}
	if int64(len(data)) > limit {
		return fmt.Errorf("%s %s at %s: the answer is larger than %d bytes; raise rest.client.max-content-length",
			r.method, r.path, c.Endpoint(), limit)
	}
	if resp.StatusCode >= 300 {
		return c.refused(resp, r, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return c.strange(resp, r, data, err)
	}
	return nil
}

// refused is the error for an answer that isn't a success.
func (c *Client) refused(resp *http.Response, r request, data []byte) error {
	e := &APIError{Endpoint: c.Endpoint(), Method: r.method, Path: r.path, Status: resp.StatusCode}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < 400 {
		e.Messages = []string{fmt.Sprintf("the endpoint redirects to %q, which isn't followed: is this the REST endpoint of "+
			"a Weft cluster?", to)}
		return e
	}
	var errs api.Errors
	if json.Unmarshal(data, &errs) == nil && len(errs.Errors) > 0 {
		e.Messages = errs.Errors
	} else if text := bytes.TrimSpace(data); len(text) > 0 {
		e.Messages = []string{excerpt(text)}
	}
	return e
}

// strange is the error for a success that isn't what was asked for: something else listens there.
func (c *Client) strange(resp *http.Response, r request, data []byte, err error) error {
	return fmt.Errorf("%s %s at %s: the answer (status %d, %s) isn't that of a Weft cluster: %w: %s", r.method, r.path,
		c.Endpoint(), resp.StatusCode, resp.Header.Get("Content-Type"), err, excerpt(data))
}

func excerpt(data []byte) string {
	const most = 200
	if len(data) > most {
		return fmt.Sprintf("%q…", data[:most])
	}
	return fmt.Sprintf("%q", data)
}

// jsonBody is a body for request, and its header.
func jsonBody(v any) (func() (io.ReadCloser, error), int64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, 0, fmt.Errorf("write request as JSON: %w", err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, int64(len(data)), nil
}

func contentType(t string) http.Header { return http.Header{"Content-Type": {t}} }
