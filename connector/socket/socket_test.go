package socket

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

func TestLinesUntilTheServerCloses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var want []string
	for i := range 5000 {
		want = append(want, fmt.Sprint("line ", i))
	}
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = fmt.Fprint(c, strings.Join(want, "\r\n"))
			c.Close()
		}
		served <- err
	}()
	out := streamtest.Collect[string]()
	streamtest.Run(t, func(env *stream.Env) { stream.From(env, Lines(l.Addr().String())).To(out) })
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if got := out.Records(); !slices.Equal(got, want) {
		t.Fatalf("%d lines, want %d in order", len(got), len(want))
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, a := range []string{address, "nowhere"} {
		_, err := streamtest.Try(t, func(env *stream.Env) {
			stream.From(env, Lines(a)).To(streamtest.Collect[string]())
		})
		if err == nil || !strings.Contains(err.Error(), a) {
			t.Errorf("%s: got %v", a, err)
		}
	}
}

// Only the subtask that is connected has something in a checkpoint; after a restore it connects again.
func TestTheConnectionIsInTheCheckpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := Lines(l.Addr().String())
	co := streamtest.NewRuntime(t, -1, 2)
	sp, err := s.Splits(co, nil)
	if err != nil {
		t.Fatal(err)
	}
	split, _, _ := sp.Next(1)
	snapshot, err := sp.Snapshot()
	if err != nil || split == nil {
		t.Fatal(split, err)
	}
	connected := open(t, s)
	defer connected.Close()
	if err := connected.Add(split); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	state, err := connected.Snapshot()
	if err != nil || len(state) != 1 {
		t.Fatalf("state %q, %v", state, err)
	}
	if state, err := open(t, s).Snapshot(); err != nil || len(state) != 0 {
		t.Fatalf("a reader without a connection has state %q, %v", state, err)
	}

	again, err := s.Splits(co, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if b, more, _ := again.Next(0); b != nil || more {
		t.Fatal("a second connection is given")
	}
	restored := open(t, s)
	defer restored.Close()
	if err := restored.Add(state[0]); err != nil {
		t.Fatal(err)
	}
	second, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	again.TakeBack(state)
	if b, _, _ := again.Next(0); b == nil {
		t.Fatal("the connection of a lost reader is not given again")
	}

	server.Close()
	for more := true; more; {
		if more, err = connected.Poll(1, func(*string, stream.Time) {}); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := connected.Snapshot(); err != nil || len(state) != 0 {
		t.Fatalf("a reader whose connection has ended has state %q, %v", state, err)
	}
}

func open(t *testing.T, s stream.Source[string]) *reader {
	t.Helper()
	r, err := s.Open(streamtest.NewRuntime(t, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	return r.(*reader)
}
