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
