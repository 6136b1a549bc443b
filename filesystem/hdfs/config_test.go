package hdfs_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
)

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestConfig(t *testing.T) {
	ha := map[string]string{
		"fs.defaultFS": "hdfs://prod", "dfs.nameservices": "prod,other",
		"dfs.ha.namenodes.prod": "a, b", "dfs.namenode.rpc-address.prod.a": "127.0.0.1:1", "dfs.namenode.rpc-address.prod.b": "127.0.0.1:2",
		"dfs.ha.namenodes.other": "c", "dfs.namenode.rpc-address.other.c": "127.0.0.1:3",
	}
	for _, c := range []struct {
		name    string
		cfg     hdfs.Config
		uri     string
		dials   []string // named in the error when nothing answers
		without string
		err     string
	}{
		{name: "default", cfg: hdfs.Config{Site: map[string]string{"fs.defaultFS": "hdfs://127.0.0.1:1/"}}, uri: "hdfs://127.0.0.1:1/x", dials: []string{"127.0.0.1:1"}},
		{name: "old key", cfg: hdfs.Config{Site: map[string]string{"fs.default.name": "hdfs://127.0.0.1:1"}}, uri: "hdfs://127.0.0.1:1/x", dials: []string{"127.0.0.1:1"}},
		{name: "port", cfg: hdfs.Config{Authority: "127.0.0.254"}, uri: "hdfs://127.0.0.254/x", dials: []string{"127.0.0.254:8020"}},
		{name: "nameservice", cfg: hdfs.Config{Site: ha}, uri: "hdfs://prod/x", dials: []string{"127.0.0.1:1", "127.0.0.1:2"}, without: "127.0.0.1:3"},
		{name: "other nameservice", cfg: hdfs.Config{Site: ha, Authority: "other"}, uri: "hdfs://other/x", dials: []string{"127.0.0.1:3"}, without: "127.0.0.1:1"},
		{name: "nothing", err: "HADOOP_CONF_DIR"},
		{name: "local default", cfg: hdfs.Config{Site: map[string]string{"fs.defaultFS": "file:///"}}, err: `fs.defaultFS is "file:///"`},
		{name: "NameNode without address", cfg: hdfs.Config{Site: map[string]string{"fs.defaultFS": "hdfs://p", "dfs.ha.namenodes.p": "a"}}, err: "dfs.namenode.rpc-address.p.a isn't set"},
		{name: "Kerberos without login", cfg: hdfs.Config{Authority: "x", Site: map[string]string{"hadoop.security.authentication": "kerberos"}}, err: "Kerberos"},
		{name: "bad time-out", cfg: hdfs.Config{Authority: "x", Site: map[string]string{"dfs.client.socket-timeout": "long"}}, err: "dfs.client.socket-timeout=long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.User = "alice"
			f, err := hdfs.New(c.cfg)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want an error with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.URI("/x") != c.uri || f.User() != "alice" || f.Home() != "/user/alice" {
				t.Errorf("got %s, %s, %s", f.URI("/x"), f.User(), f.Home())
			}
			_, err = f.Stat(t.Context(), "/x")
			if !errors.Is(err, filesystem.ErrUnavailable) || !strings.Contains(err.Error(), "is HDFS running?") {
				t.Fatalf("got %v, want %v", err, filesystem.ErrUnavailable)
			}
			for _, d := range c.dials {
				if !strings.Contains(err.Error(), d) {
					t.Errorf("%s isn't named in %v", d, err)
				}
			}
			if c.without != "" && strings.Contains(err.Error(), c.without) {
				t.Errorf("%s is named in %v", c.without, err)
			}
		})
	}
}

// TestSilentNameNode accepts connections and answers nothing: a call ends with its context or its time-out, and Close
// leaves nothing running.
func TestSilentNameNode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	})
	defer func() {
		l.Close()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	}()
	patient, err := hdfs.New(hdfs.Config{Authority: l.Addr().String(), User: "alice", Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := patient.Stat(ctx, "/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := patient.Close(); err != nil {
		t.Error(err)
	}
	if _, err := patient.Stat(t.Context(), "/"); !errors.Is(err, filesystem.ErrClosed) {
		t.Errorf("got %v, want %v", err, filesystem.ErrClosed)
	}
	hasty, err := hdfs.New(hdfs.Config{Authority: l.Addr().String(), User: "alice", Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hasty.Stat(t.Context(), "/"); !errors.Is(err, filesystem.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, filesystem.ErrUnavailable)
	}
	hasty.Close()
	noGoroutines(t)
}

func TestOpener(t *testing.T) {
	addr := closedPort(t)
	set, err := filesystem.NewSet(filesystem.SetConfig{
		Schemes: map[string]filesystem.Opener{"hdfs": hdfs.Opener(hdfs.Config{Site: map[string]string{"fs.defaultFS": "hdfs://" + addr}, User: "alice"})},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for uri, want := range map[string]string{"hdfs:///x": "hdfs://" + addr + "/x", "hdfs://other:1/x": "hdfs://other:1/x"} {
		f, p, err := set.Resolve(uri)
		if err != nil || f.URI(p) != want {
			t.Errorf("%s: got %v, %v, want %s", uri, f, err, want)
		}
	}
}
