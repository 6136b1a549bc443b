package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// marks emits for every line the watermark that it saw.
type marks struct{}

func (marks) Element(c *stream.Context[stream.NoKey, stream.Time], _ string) error {
	c.Emit(c.Watermark())
	return nil
}

// Files are splits of their own for the watermark: while one is read it counts alone, and when it has been read no more.
func TestWatermarkFollowsTheFileThatIsRead(t *testing.T) {
	dir := t.TempDir()
	const first, lines = 10, 5000
	for name, from := range map[string]int{"a": 0, "b": 1_000_000} {
		var text strings.Builder
		n := map[string]int{"a": first, "b": lines}[name]
		for i := range n {
			fmt.Fprintln(&text, from+i)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := streamtest.Collect[stream.Time]()
	streamtest.Run(t, func(env *stream.Env) {
		at := func(line string) stream.Time {
			n, _ := strconv.Atoi(line)
			return stream.Time(n)
		}
		s := stream.From(env, Lines(dir), stream.EventTime(at))
		stream.ProcessEach(s, func(*stream.Runtime) marks { return marks{} }).To(got)
	}, streamtest.Parallelism(1))
	all := got.Timed()
	if len(all) != first+lines {
		t.Fatalf("%d lines, want %d", len(all), first+lines)
	}
	for _, r := range all[:first] {
		if r.V != stream.NoTime {
			t.Errorf("the watermark is %d in the first file, which is one batch", r.V)
		}
	}
	if last := all[len(all)-1]; last.At != 1_000_000+lines-1 || last.V < 1_000_000 || last.V >= last.At {
		t.Errorf("the last line has the time %d and the watermark %d: want that of the second file", last.At, last.V)
	}
}
