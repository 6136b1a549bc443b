//go:build hadoop

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// proxied gives the user a HADOOP_CONF_DIR whose YARN ResourceManager is a proxy; seen is called with each request, and
// says whether it is to be forwarded and whether the answer is to be lost.
func (u *testUser) proxied(seen func(r *http.Request) (forward, lose bool)) {
	u.T.Helper()
	target, err := url.Parse(u.Cluster.REST)
	if err != nil {
		u.T.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward, lose := seen(r)
		if !forward {
			panic(http.ErrAbortHandler)
		}
		if lose {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	u.T.Cleanup(server.Close)
	confDir := u.T.TempDir()
	u.Env["HADOOP_CONF_DIR"] = confDir
	for _, name := range []string{"core-site.xml", "hdfs-site.xml", "yarn-site.xml"} {
		data, err := os.ReadFile(filepath.Join(u.Cluster.ConfDir, name))
		if err != nil {
			u.T.Fatal(err)
		}
		before := []byte("<name>yarn.resourcemanager.webapp.address</name><value>" + target.Host + "<")
		after := []byte("<name>yarn.resourcemanager.webapp.address</name><value>" + strings.TrimPrefix(server.URL, "http://") + "<")
		if name == "yarn-site.xml" && !bytes.Contains(data, before) {
			u.T.Fatalf("%s doesn't name %s", name, target.Host)
		}
		if err := os.WriteFile(filepath.Join(confDir, name), bytes.Replace(data, before, after, 1), 0o644); err != nil {
			u.T.Fatal(err)
		}
	}
}

// isSubmission says whether a request is the one that makes an application exist.
func isSubmission(r *http.Request) bool {
	return r.Method == http.MethodPost && path.Base(r.URL.Path) == "apps"
}

// TestClientKilledBeforeSubmission: the application's directory may stay in staging, but no application exists, and the
// next command works.
func TestClientKilledBeforeSubmission(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	reached := make(chan struct{}, 1)
	u.proxied(func(r *http.Request) (bool, bool) {
		if !isSubmission(r) {
			return true, false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		reached <- struct{}{}
		<-r.Context().Done() // the client has gone
		return false, false
	})
	w := u.Start(inApplication(faulty(t))...)
	<-reached
	w.Signal(syscall.SIGKILL)
	w.Ended(128 + int(syscall.SIGKILL))
	if apps := u.Apps(); len(apps) != 0 {
		t.Errorf("it exists: %v", apps)
	}
	// An id that YARN doesn't know could be that of a client that is about to submit: so its directory stays for a day, and
	// isn't in the next submission's way.
	u.CheckStaging = func() {}
	u.Env["HADOOP_CONF_DIR"] = u.Cluster.ConfDir
	u.Run(inApplication(faulty(t))...).Ended(0, "seen (int64): 100")
}

// TestUploadCutInHalf: a client that is killed while it uploads leaves nothing that a later submission would use.
func TestUploadCutInHalf(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	u.CheckStaging = func() {} // as above
	w := u.Start(inApplication(faulty(t))...)
	hadooptest.Await(t, usertest.Patience, "the upload begins", func() (bool, string) {
		return len(u.Cluster.Walk(t, u.Staging())) > 0, ""
	})
	w.Signal(syscall.SIGKILL)
	w.Wait()
	u.Run(inApplication(faulty(t))...).Ended(0, "seen (int64): 100")
	for file := range u.cached() {
		if strings.HasPrefix(path.Base(path.Dir(file)), ".") {
			continue // under its temporary name
		}
		sum := sha256.Sum256(u.Cluster.ReadFile(t, file))
		if got, want := hex.EncodeToString(sum[:]), path.Base(path.Dir(file)); got != want {
			t.Errorf("%s holds what has the hash %s", file, got)
		}
	}
}

// TestClientInterruptedBeforeSubmission: Ctrl-C leaves nothing at all.
func TestClientInterruptedBeforeSubmission(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	reached := make(chan struct{}, 1)
	u.proxied(func(r *http.Request) (bool, bool) {
		if !isSubmission(r) {
			return true, false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		reached <- struct{}{}
		<-r.Context().Done()
		return false, false
	})
	w := u.Start(inApplication(faulty(t))...)
	<-reached
	w.Signal(syscall.SIGINT)
	w.Ended(128 + int(syscall.SIGINT))
	if apps := u.Apps(); len(apps) != 0 {
		t.Errorf("it exists: %v", apps)
	}
}

// TestSubmissionAnswerLost: YARN has the application, the client doesn't know: its retry must not make a second one.
func TestSubmissionAnswerLost(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	var once sync.Once
	u.proxied(func(r *http.Request) (bool, bool) {
		lose := false
		if isSubmission(r) {
			once.Do(func() { lose = true })
		}
		return true, lose
	})
	w := u.Run(inApplication(faulty(t))...).Ended(0, "seen (int64): 100")
	if apps := u.Apps(); len(apps) != 1 || apps[0].ID != w.App() {
		t.Errorf("applications %v", apps)
	}
}

// TestSlowYARN: answers that take their time are waited for; here each needs a retry.
func TestSlowYARN(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	var mu sync.Mutex
	failed := map[string]bool{}
	u.proxied(func(r *http.Request) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		first := !failed[r.Method+r.URL.Path]
		failed[r.Method+r.URL.Path] = true
		return !first, false
	})
	u.Run(inApplication(faulty(t))...).Ended(0, "seen (int64): 100")
}

// TestClientKilledAfterSubmission: the application lives on, whatever ends its client, unless -sae says otherwise. The rows
// are those of docs/lifecycle.md.
func TestClientKilledAfterSubmission(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	perJob := []string{"run", "-t", "yarn-per-job"}
	tests := []struct {
		name   string
		signal syscall.Signal
		more   []string
		final  string
	}{
		{"per-job killed", syscall.SIGKILL, perJob, "SUCCEEDED"},
		{"per-job interrupted", syscall.SIGINT, perJob, "SUCCEEDED"},
		{"per-job interrupted with -sae", syscall.SIGINT, append(slices.Clone(perJob), "-sae"), "KILLED"},
		{"per-job killed with -sae", syscall.SIGKILL, append(slices.Clone(perJob), "-sae", "-Dclient.heartbeat.interval=500 ms",
			"-Dclient.heartbeat.timeout=3 s"), "KILLED"},
		{"killed", syscall.SIGKILL, nil, "SUCCEEDED"},
		{"killed with -sae", syscall.SIGKILL, []string{"-sae"}, "SUCCEEDED"},
		{"interrupted", syscall.SIGINT, nil, "SUCCEEDED"},
		{"terminated", syscall.SIGTERM, nil, "SUCCEEDED"},
		{"interrupted with -sae", syscall.SIGINT, []string{"-sae"}, "SUCCEEDED"},
	}
	for _, i := range sample(t, len(tests), 4) {
		test := tests[i]
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			args := inApplication(test.more...)
			if len(test.more) > 0 && test.more[0] == "run" {
				args = test.more
			}
			w := u.Start(append(slices.Clone(args), faulty(t), "--events", "50", "--rate", "10")...)
			id := w.App()
			w.Job() // it runs
			u.AwaitProcesses(id, usertest.TaskHost, 1)
			w.Signal(test.signal)
			w.Ended(128 + int(test.signal))
			u.YARNSays(id, test.final)
		})
	}
}
