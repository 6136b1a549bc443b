package console

import (
	"bytes"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

type point struct{ X, Y int }

func TestLinesAndPrefix(t *testing.T) {
	for parallelism, want := range map[int]string{1: "{1 2}\n{3 4}\n", 4: "3> {1 2}\n3> {3 4}\n"} {
		var out bytes.Buffer
		w, err := To[point](&out).Open(streamtest.NewRuntime(t, 2%parallelism, parallelism))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []point{{1, 2}, {3, 4}} {
			if err := w.Write(&p, stream.NoTime); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.(interface{ EndBatch() error }).EndBatch(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("parallelism %d: got %q, want %q", parallelism, out.String(), want)
		}
	}
}
