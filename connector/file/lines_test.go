package file

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads everything that a source's splits hold, with a reader whose blocks have the given size.
func readAll(t testing.TB, block int, sp stream.Splits) []string {
	t.Helper()
	rd, err := Lines().Open(streamtest.NewRuntime(t, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	r := rd.(*reader)
	r.block = block
	var got []string
	for {
		split, more, err := sp.Next(0)
		if err != nil {
			t.Fatal(err)
		}
		if split == nil && !more {
			break
		}
		if err := r.Add(split); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			if more, err = r.Poll(3, func(v *string, at stream.Time) {
				if at != stream.NoTime {
					t.Fatalf("a line has the time %d", at)
				}
				got = append(got, *v)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

func splitsOf(t testing.TB, readers int, paths ...string) stream.Splits {
	t.Helper()
	sp, err := Lines(paths...).Splits(streamtest.NewRuntime(t, -1, readers), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// TestEveryLineOnce cuts random files in every possible way.
func TestEveryLineOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		var text strings.Builder
		var want []string
		n := r.IntN(30)
		for i := range n {
			line := strings.Repeat("x", r.IntN(12)*r.IntN(12)) + fmt.Sprint(i)
			if r.IntN(4) == 0 {
				line = ""
			}
			want = append(want, line)
			text.WriteString(line)
			if i == n-1 && line != "" && r.IntN(2) == 0 {
				break // the last line has no end
			}
			if r.IntN(3) == 0 {
				text.WriteByte('\r')
			}
			text.WriteByte('\n')
		}
		path := write(t, filepath.Join(t.TempDir(), "f"), text.String())
		size := int64(text.Len())
		for _, pieces := range []int64{1, 2, 7, max(1, size)} {
			var list []string
			for i := range pieces {
				from, to := size*i/pieces, size*(i+1)/pieces
				if from < to {
					list = append(list, fmt.Sprintf(`{"uri":"file://%s","offset":%d,"end":%d}`, path, from, to))
				}
			}
			sp := &splits{}
			for _, p := range list {
				sp.left = append(sp.left, []byte("["+p+"]"))
			}
			if got := readAll(t, 16, sp); !slices.Equal(got, want) {
				t.Fatalf("round %d, %d pieces of %q:\ngot  %q\nwant %q", round, pieces, text.String(), got, want)
			}
		}
	}
}

func TestPathsDirectoriesAndPatterns(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.txt", "a\n")
	write(t, dir+"/b.log", "b\n")
	write(t, dir+"/.hidden", "no\n")
	write(t, dir+"/_SUCCESS", "no\n")
	write(t, dir+"/sub/c.txt", "c\n")
	write(t, dir+"/empty.txt", "")
	write(t, dir+"/we[i]rd", "w\n")
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{dir}, "a b w"},
		{[]string{"file://" + dir + "/a.txt"}, "a"},
		{[]string{dir + "/*.txt"}, "a"},
		{[]string{dir + "/{a,b}.*"}, "a b"},
		{[]string{dir + "/*/c.txt", dir + "/b.log"}, "b c"},
		{[]string{dir + "/*"}, "a b c w"},
		{[]string{dir + "/we[i]rd"}, "w"},
	} {
		got := readAll(t, blockSize, splitsOf(t, 2, c.paths...))
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: got %v, want %s", c.paths, got, c.want)
		}
	}
}

func TestMissingInputIsAnErrorBeforeReading(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{dir + "/none", dir + "/*.none"} {
		_, err := Lines(p).Splits(streamtest.NewRuntime(t, -1, 1), nil)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: got %v", p, err)
		}
	}
	if _, err := Lines().Splits(streamtest.NewRuntime(t, -1, 1), nil); err == nil {
		t.Error("no path was accepted")
	}
}

func TestLargeFilesAreCutAndSmallOnesPacked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/large", strings.Repeat(strings.Repeat("y", 99)+"\n", 100_000)) // 10 MB
	for i := range 200 {
		write(t, fmt.Sprintf("%s/small%03d", dir, i), "s\n")
	}
	sp := splitsOf(t, 2, dir).(*splits)
	if n := len(sp.left); n < 8 || n > 20 {
		t.Fatalf("10 MB and 200 small files make %d splits", n)
	}
	if n := len(readAll(t, blockSize, sp)); n != 100_200 {
		t.Fatalf("%d lines, want 100200", n)
	}
}

func TestSnapshotGoesOn(t *testing.T) {
	path := write(t, t.TempDir()+"/f", "a\nb\nc\nd\ne\n")
	rt := streamtest.NewRuntime(t, 0, 1)
	sp := splitsOf(t, 1, path)
	split, _, _ := sp.Next(0)
	r, _ := Lines().Open(rt)
	if err := r.Add(split); err != nil {
		t.Fatal(err)
	}
	var got []string
	emit := func(v *string, _ stream.Time) { got = append(got, *v) }
	if _, err := r.Poll(2, emit); err != nil {
		t.Fatal(err)
	}
	left, err := r.Snapshot()
	if err != nil || len(left) != 1 {
		t.Fatalf("%d splits left, %v", len(left), err)
	}
	sp.TakeBack(left)
	saved, err := sp.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Lines(path).Splits(streamtest.NewRuntime(t, -1, 1), saved)
	if err != nil {
		t.Fatal(err)
	}
	if all := append(got, readAll(t, blockSize, again)...); strings.Join(all, "") != "abcde" {
		t.Fatalf("got %v", all)
	}
}

// TestEveryLineOnceOverRestores stops several readers at random places, snapshots them and the coordinator, and goes on
// with other numbers of readers, whose splits are dealt to them at random.
func TestEveryLineOnceOverRestores(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		dir := t.TempDir()
		var want, got []string
		var left [][]byte
		for f := range 1 + r.IntN(4) {
			var text strings.Builder
			for range r.IntN(40) {
				line := fmt.Sprint(len(want), strings.Repeat("x", r.IntN(30)))
				want = append(want, line)
				text.WriteString(line + []string{"\n", "\r\n"}[r.IntN(2)])
			}
			content := text.String()
			if r.IntN(2) == 0 {
				content = strings.TrimRight(content, "\r\n") // the last line has no end
			}
			path := write(t, fmt.Sprintf("%s/%d", dir, f), content)
			pieces := int64(1 + r.IntN(4))
			for i := range pieces {
				from, to := int64(len(content))*i/pieces, int64(len(content))*(i+1)/pieces
				if from < to {
					left = append(left, fmt.Appendf(nil, `[{"uri":"file://%s","offset":%d,"end":%d}]`, path, from, to))
				}
			}
		}
		first := &splits{left: left}
		snapshot, err := first.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var open [][]byte
		for round := range 6 {
			n, last := 1+r.IntN(3), round == 5
			sp, err := Lines(dir).Splits(streamtest.NewRuntime(t, -1, n), snapshot)
			if err != nil {
				t.Fatal(err)
			}
			readers := make([]*reader, n)
			for i := range readers {
				rd, err := Lines().Open(streamtest.NewRuntime(t, i, n))
				if err != nil {
					t.Fatal(err)
				}
				readers[i] = rd.(*reader)
				readers[i].block = 16
			}
			for _, b := range open {
				must(t, readers[r.IntN(n)].Add(b))
			}
			for steps := r.IntN(20); last || steps > 0; steps-- {
				rd, idle := readers[r.IntN(n)], true
				for _, o := range readers {
					idle = idle && o.f == nil && len(o.left) == 0
				}
				if idle || r.IntN(4) == 0 {
					b, more, _ := sp.Next(0)
					if b == nil && !more && idle {
						break
					}
					if b != nil {
						must(t, rd.Add(b))
					}
				}
				if _, err := rd.Poll(1+r.IntN(3), func(v *string, _ stream.Time) { got = append(got, strings.Clone(*v)) }); err != nil {
					t.Fatal(err)
				}
			}
			if snapshot, err = sp.Snapshot(); err != nil || len(snapshot) == 0 {
				t.Fatal(snapshot, err)
			}
			open = nil
			for _, rd := range readers {
				b, err := rd.Snapshot()
				must(t, err)
				must(t, rd.Close())
				open = append(open, b...)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: read %d lines, want %d:\n%q\n%q", seed, len(got), len(want), got, want)
		}
	}
}

func TestLineTooLong(t *testing.T) {
	path := write(t, t.TempDir()+"/f", "short\n"+strings.Repeat("z", maxLine+2))
	r, _ := Lines().Open(streamtest.NewRuntime(t, 0, 1))
	split, _, _ := splitsOf(t, 1, path).Next(0)
	if err := r.Add(split); err != nil {
		t.Fatal(err)
	}
	var err error
	for more := true; more && err == nil; {
		more, err = r.Poll(100, func(*string, stream.Time) {})
	}
	if err == nil || !strings.Contains(err.Error(), "byte 6 is longer") {
		t.Fatalf("got %v", err)
	}
}

func TestNoAllocationPerLine(t *testing.T) {
	path := write(t, t.TempDir()+"/f", strings.Repeat(strings.Repeat("y", 49)+"\n", 100_000))
	sp := splitsOf(t, 1, path).(*splits)
	r, _ := Lines().Open(streamtest.NewRuntime(t, 0, 1))
	for _, s := range sp.left {
		if err := r.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	lines := 0
	emit := func(*string, stream.Time) { lines++ }
	n := testing.AllocsPerRun(1, func() {
		for range 100 {
			if _, err := r.Poll(400, emit); err != nil {
				t.Fatal(err)
			}
		}
	})
	if perLine := n / 40_000; perLine > 0.01 {
		t.Fatalf("%.3f allocations per line", perLine)
	}
}

func BenchmarkLines(b *testing.B) {
	path := write(b, b.TempDir()+"/f", strings.Repeat(strings.Repeat("y", 39)+"\n", 1<<20))
	b.SetBytes(40 << 20)
	b.ReportAllocs()
	for b.Loop() {
		sp := splitsOf(b, 1, path)
		r, _ := Lines().Open(streamtest.NewRuntime(b, 0, 1))
		for {
			split, _, _ := sp.Next(0)
			if split == nil {
				break
			}
			if err := r.Add(split); err != nil {
				b.Fatal(err)
			}
		}
		for more := true; more; {
			var err error
			if more, err = r.Poll(512, func(*string, stream.Time) {}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
