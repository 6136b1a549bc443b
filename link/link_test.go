//go:build linux

package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
)

func TestDriverProcess(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c, output := child(t, Driver, "driver")
	s := newService()
	close(s.finish)
	if err := ServeDriver(t.Context(), c.Link, s); err != nil {
		t.Error(err)
	}
	if code := exitCode(t, c, output); code != 0 || output.String() != "wordcount FINISHED true\n" {
		t.Errorf("exit code %d, output %q", code, output)
	}
}

// An application doesn't outlive the end of its link, whatever it is doing.
func TestProcessEndsWithLink(t *testing.T) {
	t.Run("driver", func(t *testing.T) {
		c, output := child(t, Driver, "driver")
		s := newService()
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the executor goes away")
		go func() { <-s.awaited; cancel(gone) }()
		if err := ServeDriver(ctx, c.Link, s); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
		if code := exitCode(t, c, output); code != ExitLinkEnded && code != 99 { // Await's error may be quicker
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("host", func(t *testing.T) {
		c, output := child(t, TaskHost, "host")
		err := ServeHost(t.Context(), c.Link, func(st *HostStream) error {
			c.Link.Close()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if code := exitCode(t, c, output); code != ExitLinkEnded || !strings.Contains(output.String(), "link to the TaskManager") {
			t.Errorf("exit code %d, output %q", code, output)
		}
	})
}

func TestDataConnections(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c, _ := child(t, TaskHost, "host")
	served := make(chan error, 1)
	go func() {
		served <- ServeHost(t.Context(), c.Link, func(st *HostStream) error { _, err := st.Recv(); return err })
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 50 {
		ours, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		preamble := bytes.Repeat([]byte{byte(i + 1)}, i+1)
		if err := c.Data.Send(theirs, preamble); err != nil {
			t.Fatal(err)
		}
		ours.SetDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(ours) // to the end: nobody but the host holds the connection
		if err != nil || !bytes.Equal(got, preamble) {
			t.Fatalf("connection %d: got %v, %v", i, got, err)
		}
		ours.Close()
	}
	a, b := net.Pipe()
	defer a.Close()
	if err := c.Data.Send(b, []byte("x")); err == nil {
		t.Error("a connection without descriptor was passed")
	}
	if _, err := b.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Error("a connection that can't be passed stays open")
	}
	for _, size := range []int{0, MaxPreamble + 1} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Data.Send(conn, make([]byte, size)); err == nil {
			t.Errorf("a preamble of %d bytes was passed", size)
		}
	}
	if err := c.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Cmd.Wait()
	if err := <-served; err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Data.Send(conn, []byte("x")); err == nil {
		t.Error("passing to an ended host succeeded")
	}
}

// A message that isn't one descriptor and a preamble is refused, closes what it brought, and doesn't end the source.
func TestDataSourceRefuses(t *testing.T) {
	sender, fd, err := dataPair()
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	conn, err := fdConn(fd, "data")
	if err != nil {
		t.Fatal(err)
	}
	source, err := newDataSource(conn)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, control := range [][]byte{nil, unix.UnixRights(int(w.Fd()), int(w.Fd()))} {
		if _, _, err := sender.conn.WriteMsgUnix([]byte("x"), control, nil); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	good, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	address := good.LocalAddr().String()
	if err := sender.Send(good, []byte("good")); err != nil {
		t.Fatal(err)
	}
	got, preamble, err := source.Accept()
	if err != nil || string(preamble) != "good" || got.LocalAddr().String() != address {
		t.Fatalf("got %q, %v", preamble, err)
	}
	got.Close()
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("refused descriptors stay open: %v", err)
	}
	r.Close()
	sender.Close()
	if _, _, err := source.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the sender's end: %v", err)
	}
	source.Close()
	if _, _, err := source.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// pair is a link within this process.
func pair(t *testing.T) (parent, application net.Conn) {
	t.Helper()
	parent, fd, err := socketpair(unix.SOCK_STREAM, "link")
	if err != nil {
		t.Fatal(err)
	}
	application, err = fdConn(fd, "link")
	if err != nil {
		t.Fatal(err)
	}
	return parent, application
}

func TestDriverErrors(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	parent, application := pair(t)
	s := newService()
	served := make(chan error, 1)
	go func() { served <- ServeDriver(t.Context(), parent, s) }()
	c, err := NewDriverClient(t.Context(), application, func(error) { t.Error("a link that was closed counts as broken") })
	if err != nil {
		t.Fatal(err)
	}
	var remote *RemoteError
	if _, err := c.Submit(t.Context(), &graph.JobGraph{JobId: make([]byte, 16)}); !errors.As(err, &remote) ||
		err.Error() != "queue etl is full" {
		t.Errorf("got %v", err)
	}
	if _, err := c.Submit(t.Context(), &graph.JobGraph{Name: "x"}); !errors.As(err, &remote) {
		t.Errorf("a graph without an id: %v", err)
	}
	if err := c.Cancel(t.Context(), graph.JobID{1}); !errors.As(err, &remote) || !strings.Contains(err.Error(), "is unknown") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.awaited; cancel() }()
	if _, err := c.Await(ctx, graph.JobID{7}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := c.Submit(t.Context(), &graph.JobGraph{}); err == nil {
		t.Error("submitted over a closed link")
	}
}

// A broken link is told, and ends what is waiting.
func TestDriverLinkBreaks(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	parent, application := pair(t)
	s := newService()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeDriver(ctx, parent, s) }()
	broken := make(chan error, 2)
	c, err := NewDriverClient(t.Context(), application, func(err error) { broken <- err })
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-s.awaited; cancel() }()
	if _, err := c.Await(t.Context(), graph.JobID{7}); err == nil {
		t.Error("no error")
	}
	select {
	case <-broken:
	case <-time.After(patience):
		t.Error("the end wasn't told")
	}
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Submit(t.Context(), &graph.JobGraph{JobId: make([]byte, 16)}); !errors.Is(err, errLinkEnded) {
		t.Errorf("got %v", err)
	}
	c.Close()
	if len(broken) > 0 {
		t.Error("told twice")
	}
}

func TestHostAttach(t *testing.T) {
	old := &linkpb.Version{Version: "0.0.1", ProtocolMin: 1, ProtocolMax: 1}
	for _, test := range []struct {
		name  string
		first *linkpb.FromHost
		want  string
	}{
		{"right", hello(ThisVersion()), ""},
		{"another version", hello(old), "the application has Weft 0.0.1"},
		{"no hello", &linkpb.FromHost{Message: &linkpb.FromHost_Ready{Ready: &linkpb.HostReady{}}}, "has to be HostHello"},
	} {
		t.Run(test.name, func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			parent, application := pair(t)
			served := make(chan error, 1)
			go func() {
				served <- ServeHost(t.Context(), parent, func(st *HostStream) error {
					if st.Hello().GetPid() != 42 {
						t.Errorf("got %v", st.Hello())
					}
					st.Send(&linkpb.ToHost{Message: &linkpb.ToHost_Shutdown{}})
					_, err := st.Recv()
					return err
				})
			}()
			c, err := NewHostClient(t.Context(), application, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send(test.first); err != nil {
				t.Fatal(err)
			}
			_, err = c.Recv()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			c.Close()
			err = <-served
			var version *VersionError
			if refused := strings.Contains(test.want, "0.0.1"); refused != errors.As(err, &version) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func hello(v *linkpb.Version) *linkpb.FromHost {
	return &linkpb.FromHost{Message: &linkpb.FromHost_Hello{Hello: &linkpb.HostHello{Version: v, Pid: 42}}}
}

func TestInherit(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open := strconv.Itoa(int(f.Fd()))
	for _, test := range []struct {
		role, link, data string
		want             Role
		ok               bool
	}{
		{"", "", "", Local, true},
		{"", "7", "8", Local, true},
		{"driver", open, "", Driver, true},
		{"taskhost", open, open, TaskHost, true},
		{"taskhost", open, "", TaskHost, false},
		{"driver", "", "", Driver, false},
		{"driver", "1", "", Driver, false},
		{"driver", "x", "", Driver, false},
		{"driver", "99999", "", Driver, false},
		{"local", "", "", Local, false},
		{"jobmanager", open, "", Local, false},
	} {
		env := map[string]string{envRole: test.role, envLinkFD: test.link, envDataFD: test.data, "OTHER": "x"}
		in := inherit(func(name string) string { return env[name] }, func(name string) error { delete(env, name); return nil })
		if in.role != test.want || (in.err == nil) != test.ok {
			t.Errorf("%q %q %q: got %s, %v", test.role, test.link, test.data, in.role, in.err)
		}
		if len(env) != 1 {
			t.Errorf("%q: the environment still has %v", test.role, env)
		}
	}
	if role, err := Detect(); role != Local || err != nil {
		t.Errorf("the test is in role %s, %v", role, err)
	}
}

// The configuration of the local role is read once and removed, is nobody else's, and has a bound.
func TestLocalEnvironment(t *testing.T) {
	config := map[string]string{"parallelism.default": "3", "a": "b=c\nd"}
	list, err := LocalEnvironment([]string{"OTHER=x", envRole + "=driver", envConfig + "=old"}, config)
	if err != nil || len(list) != 2 || list[0] != "OTHER=x" {
		t.Fatalf("got %q, %v", list, err)
	}
	_, text, _ := strings.Cut(list[1], "=")
	for _, test := range []struct {
		role, text string
		want       map[string]string
		ok         bool
	}{{"", text, config, true}, {"", "nonsense", nil, false}, {"driver", text, nil, false}} {
		env := map[string]string{envRole: test.role, envConfig: test.text}
		in := inherit(func(name string) string { return env[name] }, func(name string) error { delete(env, name); return nil })
		if (in.err == nil) != test.ok || !maps.Equal(in.config, test.want) || len(env) != 0 {
			t.Errorf("%q %q: got %v, %v, environment %v", test.role, test.text, in.config, in.err, env)
		}
	}
	if _, err := LocalEnvironment(nil, map[string]string{"a": strings.Repeat("x", maxConfig)}); err == nil {
		t.Error("more than a variable can hold was taken")
	}
}

func TestCommandRefuses(t *testing.T) {
	if _, err := Command(Local, "/bin/true"); err == nil {
		t.Error("started in the local role")
	}
	testkit.NoGoroutinesLeft(t)
	s := NewSpawner()
	c, err := Command(TaskHost, "/no/such/file")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Link.Write([]byte("x")); err == nil {
		t.Error("the link of a child that wasn't started is open")
	}
	s.Close()
	s.Close()
	if c, err = Command(Driver, "/bin/true"); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(c); err == nil {
		t.Error("a closed spawner starts processes")
	}
}

func TestVersions(t *testing.T) {
	v := func(version string, low, high int32) *linkpb.Version {
		return &linkpb.Version{Version: version, ProtocolMin: low, ProtocolMax: high}
	}
	for _, test := range []struct {
		ours, theirs *linkpb.Version
		ok           bool
	}{
		{v("0.1.0", 1, 1), v("0.1.0", 1, 1), true},
		{v("0.1.0", 1, 1), v("0.1.1", 1, 1), false},
		{v("0.1.0", 1, 1), v("0.1.0", 1, 2), false},
		{v("0.1.0", 1, 1), v("1.0.0", 1, 1), false},
		{v("1.0.0", 1, 2), v("1.1.0", 2, 3), true},
		{v("v1.0.0", 1, 2), v("1.9.0", 3, 4), false},
		{v("1.0.0", 1, 2), nil, false},
	} {
		err := checkVersions("peer", test.ours, test.theirs)
		if (err == nil) != test.ok {
			t.Errorf("%v and %v: %v", test.ours, test.theirs, err)
		}
		if err != nil && (!errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), test.ours.GetVersion()) ||
			!strings.Contains(err.Error(), test.theirs.GetVersion())) {
			t.Errorf("%q doesn't name both versions", err)
		}
	}
	if got := ThisVersion(); got.GetVersion() != Version || got.GetProtocolMin() != ProtocolMin || got.GetProtocolMax() != ProtocolMax {
		t.Errorf("the version mark says %v", got)
	}
}
