package webservice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// apiPath is where the cluster part of the REST interface lives.
const apiPath = "/ws/v1/cluster"

// maxBody bounds a reply; the application list of a busy cluster has some MB.
const maxBody = 64 << 20

// Config configures a Client.
type Config struct {
	// Addresses are the base URLs of all YARN ResourceManagers, such as
	// http://rm1:8088, see hadoop.Site.RMWebAddresses. At least one.
	Addresses []string
	// User is sent as user.name, by which a cluster without Kerberos knows who
	// asks. Empty asks as YARN's static user, dr.who.
	User string
	// Timeout bounds one HTTP exchange. Default 30 s.
	Timeout time.Duration
	// Retries is how often a reading call is repeated after it failed to reach
	// an active YARN ResourceManager. Default 4; -1 for none. Every address is
	// tried at least once in any case.
	Retries int
	// RetryWait is the wait before the first repetition; it doubles up to 5 s.
	// Default 200 ms.
	RetryWait time.Duration
	// PollInterval is the time between two looks in Kill and Submit. Default 100 ms.
	PollInterval time.Duration
	// Transport carries the requests. Default: a clone of http.DefaultTransport.
	Transport http.RoundTripper
	// Log receives retries at debug level. Default: discarded.
	Log *slog.Logger
}

// Client calls the REST interface of one YARN cluster.
type Client struct {
	cfg   Config
	bases []*url.URL
	http  *http.Client
	retry *retryablehttp.Client
	// current is the index into bases that answered last.
	current atomic.Int32
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("create YARN web-service client: no address given")
	}
	c := &Client{cfg: cfg}
	for _, addr := range cfg.Addresses {
		u, err := url.Parse(strings.TrimRight(addr, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("create YARN web-service client: %q is not a URL such as http://host:8088", addr)
		}
		c.bases = append(c.bases, u)
	}
	c.setDefaults()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("create YARN web-service client: %w", err)
	}
	c.http = &http.Client{
		Transport: c.cfg.Transport,
		Timeout:   c.cfg.Timeout,
		// The hadoop.auth cookie carries the user, which spares a
		// renegotiation per call.
		Jar: jar,
		// A redirect means a standby, which is handled as an address change.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.retry = &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     max(c.cfg.Retries, len(c.bases)-1),
		RetryWaitMin: c.cfg.RetryWait,
		RetryWaitMax: 5 * time.Second,
		Backoff:      retryablehttp.DefaultBackoff,
		CheckRetry:   checkRetry,
		PrepareRetry: c.prepareRetry,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		Logger:       nil,
	}
	return c, nil
}

func (c *Client) setDefaults() {
	if c.cfg.Timeout <= 0 {
		c.cfg.Timeout = 30 * time.Second
	}
	if c.cfg.Retries == 0 {
		c.cfg.Retries = 4
	}
	if c.cfg.RetryWait <= 0 {
		c.cfg.RetryWait = 200 * time.Millisecond
	}
	if c.cfg.PollInterval <= 0 {
		c.cfg.PollInterval = 100 * time.Millisecond
	}
	if c.cfg.Transport == nil {
		c.cfg.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	if c.cfg.Log == nil {
		c.cfg.Log = slog.New(slog.DiscardHandler)
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Address returns the base URL that answered last.
func (c *Client) Address() string { return c.base().String() }

func (c *Client) base() *url.URL { return c.bases[int(c.current.Load())%len(c.bases)] }

// nextAddress moves on from the address that failed, unless another call has
// done so already.
func (c *Client) nextAddress(failed string) {
	i := c.current.Load()
	if c.bases[int(i)%len(c.bases)].Host == failed {
		c.current.CompareAndSwap(i, int32((int(i)+1)%len(c.bases)))
	}
}

// prepareRetry sends the repetition to the next address.
func (c *Client) prepareRetry(req *http.Request) error {
	c.nextAddress(req.URL.Host)
	base := c.base()
	req.URL.Scheme, req.URL.Host, req.Host = base.Scheme, base.Host, ""
	c.cfg.Log.Debug("repeat YARN request", "method", req.Method, "path", req.URL.Path, "address", base.Host)
	return nil
}

// checkRetry repeats what did not reach an active YARN ResourceManager, and
// leaves the judgement on its answers to the caller.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return isStandby(resp) || resp.StatusCode == http.StatusBadGateway ||
		resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout, nil
}

// isStandby recognises a YARN ResourceManager that is not the active one: it
// redirects, or sends a page that refreshes itself when there is no active one.
func isStandby(resp *http.Response) bool {
	return resp.StatusCode == http.StatusTemporaryRedirect || resp.Header.Get("Refresh") != ""
}

func (c *Client) url(path string, query url.Values) string {
	if query == nil {
		query = url.Values{}
	}
	if c.cfg.User != "" {
		query.Set("user.name", c.cfg.User)
	}
	u := *c.base()
	u.Path = strings.TrimRight(u.Path, "/") + apiPath + path
	u.RawQuery = query.Encode()
	return u.String()
}

// get reads path into out, repeating as configured.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.repeatable(ctx, http.MethodGet, path, query, nil, out)
}

// repeatable makes a call that may be made twice without harm. It returns the
// body of a success in out.
func (c *Client) repeatable(ctx context.Context, method, path string, query url.Values, body []byte, out any) error {
	var raw any
	if body != nil {
		raw = body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, c.url(path, query), raw)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	setHeaders(req.Request, body != nil)
	resp, err := c.retry.Do(req)
	if err != nil {
		return c.unreachable(method, path, err)
	}
	_, err = decode(resp, method, path, out)
	return err
}

// once makes a call a single time on the current address.
func (c *Client) once(ctx context.Context, method, path string, body []byte, out any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path, nil), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	setHeaders(req, true)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.unreachable(method, path, err)
	}
	return decode(resp, method, path, out)
}

func setHeaders(req *http.Request, hasBody bool) {
	req.Header.Set("Accept", "application/json")
	// Wanted by clusters that run Hadoop's CSRF filter, ignored by others.
	req.Header.Set("X-XSRF-Header", "weft")
	if hasBody {
		req.Header.Set("Content-Type", "application/json")
	}
}

func (c *Client) unreachable(method, path string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // its text repeats the URL with the query
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	hint := ""
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		hint = "; is YARN running, and yarn.resourcemanager.webapp.address right?"
	}
	return fmt.Errorf("%s %s on the YARN ResourceManager (%s): %w%s", method, path, strings.Join(c.cfg.Addresses, ", "), err, hint)
}

// decode closes the response.
func decode(resp *http.Response, method, path string, out any) (int, error) {
	defer resp.Body.Close()
	limited := &io.LimitedReader{R: resp.Body, N: maxBody + 1}
	body, err := io.ReadAll(limited)
	if err != nil {
		return resp.StatusCode, fmt.Errorf("%s %s: read the reply: %w", method, path, err)
	}
	if limited.N == 0 {
		return resp.StatusCode, fmt.Errorf("%s %s: the reply has more than %d bytes", method, path, maxBody)
	}
	if isStandby(resp) || resp.StatusCode/100 != 2 {
		return resp.StatusCode, remoteError(resp, method, path, body)
	}
	if out == nil || len(bytes.TrimSpace(body)) == 0 {
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return resp.StatusCode, fmt.Errorf("%s %s: understand the reply %q: %w", method, path, excerpt(body), err)
	}
	return resp.StatusCode, nil
}
