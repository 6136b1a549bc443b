package client

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weftstream/weft/conf"
)

// Client is Flink's ClusterClient: it speaks to the REST endpoint of a running cluster. Requests that may be repeated are
// repeated while the endpoint can't be reached or says that it isn't ready (rest.retry.*). Errors are *APIError for what
// the endpoint answered and *UnreachableError for what it didn't.
type Client struct {
	endpoint *url.URL
	token    string
	headers  http.Header
	http     *http.Client
	o        options
}

// Option changes how a Client works.
type Option func(*options) error

type options struct {
	conf     conf.Configuration
	headers  http.Header
	log      *slog.Logger
	progress func(sent, total int64)
}

// WithConfiguration takes timeouts, retries, limits and the path prefix from c (rest.*), instead of their defaults.
func WithConfiguration(c conf.Configuration) Option {
	return func(o *options) error { o.conf = c; return nil }
}

// WithHeaders adds headers to every request, one "Name:Value" a line: the value of FLINK_REST_CLIENT_HEADERS, which proxies
// that authenticate want to see.
func WithHeaders(lines string) Option {
	return func(o *options) error {
		for line := range strings.Lines(lines) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if name = strings.TrimSpace(name); !ok || name == "" {
				// The value isn't shown: it may be a secret.
				return fmt.Errorf("read REST headers: a line isn't of the form Name:Value")
			}
			o.headers.Add(name, strings.TrimSpace(value))
		}
		return nil
	}
}

// WithLog logs requests that are repeated.
func WithLog(log *slog.Logger) Option {
	return func(o *options) error { o.log = log; return nil }
}

// WithUploadProgress is told how much of an executable has been sent, in bytes. It isn't called when nothing is uploaded.
func WithUploadProgress(f func(sent, total int64)) Option {
	return func(o *options) error { o.progress = f; return nil }
}

// New makes a Client; it contacts nobody. endpoint is a URL or host:port, token "" where the cluster wants none.
func New(endpoint, token string, opts ...Option) (*Client, error) {
	o := options{headers: http.Header{}, log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	u, err := parseEndpoint(endpoint, conf.Get(o.conf, conf.RestPath))
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: conf.Get(o.conf, conf.RestConnectionTimeout), KeepAlive: 30 * time.Second}
	return &Client{endpoint: u, token: token, headers: o.headers, o: o, http: &http.Client{
		Transport: &http.Transport{
			// No proxy of the environment: like Hadoop's clients this one speaks to hosts inside, with a token.
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   dialer.Timeout,
			IdleConnTimeout:       conf.Get(o.conf, conf.RestIdlenessTimeout),
			ExpectContinueTimeout: time.Second,
			MaxIdleConnsPerHost:   4,
		},
		// A redirect would carry the token elsewhere, and turn a PATCH into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func parseEndpoint(endpoint, prefix string) (*url.URL, error) {
	text := endpoint
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse REST endpoint %q: %w", endpoint, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("parse REST endpoint %q: want host:port or http://host:port", endpoint)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		u.Path += "/" + prefix
	}
	return u, nil
}

// Endpoint is the URL of the REST endpoint.
func (c *Client) Endpoint() string { return c.endpoint.String() }

// Close closes idle connections. The Client may be used afterwards.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
