package filesystem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

// named is a file system that says which one it is.
type named struct {
	filesystem.FileSystem
	name   string
	closed *[]string
}

func (n named) URI(p string) string { return n.name + p }
func (n named) Close() error        { *n.closed = append(*n.closed, n.name); return nil }

func TestSetResolve(t *testing.T) {
	var closed []string
	open := func(authority string) (filesystem.FileSystem, error) {
		if authority == "bad" {
			return nil, errors.New("no such nameservice")
		}
		return named{fstest.NewMemory("alice"), "hdfs://" + authority, &closed}, nil
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		def, uri, want string // want: the URI of what it resolves to
	}{
		{"", "/tmp/x", "file:///tmp/x"},
		{"", "file:///tmp/x", "file:///tmp/x"},
		{"", "file:/tmp/x", "file:///tmp/x"},
		{"", "file://localhost/tmp/x", "file:///tmp/x"},
		{"", "x/../y", "file://" + wd + "/y"},
		{"", "a:b", "file://" + wd + "/a:b"},
		{"", "/a b%20c", "file:///a b%20c"},
		{"", "hdfs:///x", "hdfs:///x"},
		{"", "hdfs://nn:8020/x//y/", "hdfs://nn:8020/x/y"},
		{"", "HDFS://nn:8020/x", "hdfs://nn:8020/x"},
		{"", "hdfs://nn:8020", "hdfs://nn:8020/"},
		{"hdfs", "/x", "hdfs:///x"},
		{"hdfs://nn:8020/", "/x", "hdfs://nn:8020/x"},
		{"hdfs://nn:8020/", "x", "hdfs://nn:8020/user/alice/x"},
		{"hdfs://nn:8020/", "file:///x", "file:///x"},
		{"file:///", "/x", "file:///x"},
		{"", "s3://bucket/x", "unknown file system scheme"},
		{"", "file://host/x", "file: has no host"},
		{"", "hdfs://bad/x", "no such nameservice"},
		{"", "", "is empty"},
	} {
		set, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{"hdfs": open}, DefaultScheme: c.def})
		if err != nil {
			t.Fatal(err)
		}
		f, p, err := set.Resolve(c.uri)
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("default %q, %q: error %v, want %s", c.def, c.uri, err, c.want)
		case err == nil && f.URI(p) != c.want:
			t.Errorf("default %q, %q: got %s, want %s", c.def, c.uri, f.URI(p), c.want)
		}
	}
	if _, err := filesystem.NewSet(filesystem.SetConfig{DefaultScheme: "hdfs://nn/"}); !errors.Is(err, filesystem.ErrUnknownScheme) {
		t.Errorf("got %v, want %v", err, filesystem.ErrUnknownScheme)
	}
	var zero filesystem.Set
	if f, p, err := zero.Resolve("/x"); err != nil || f.URI(p) != "file:///x" {
		t.Errorf("the zero Set: %v", err)
	}
}

func TestSetSharesAndCloses(t *testing.T) {
	var closed []string
	opened := 0
	set, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"hdfs": func(a string) (filesystem.FileSystem, error) {
			opened++
			return named{fstest.NewMemory("alice"), a, &closed}, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, _, err := set.Resolve(fmt.Sprintf("hdfs://nn%d/x", i%2)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if opened != 2 {
		t.Fatalf("opened %d file systems, want 2", opened)
	}
	if err := set.Close(); err != nil || len(closed) != 2 {
		t.Fatalf("closed %v, %v", closed, err)
	}
	if _, _, err := set.Resolve("hdfs://nn0/x"); !errors.Is(err, filesystem.ErrClosed) {
		t.Fatalf("got %v, want %v", err, filesystem.ErrClosed)
	}
}

// TestAtomicFaults lets every call of an atomic write fail: the old content stays, or the new is there, and no
// temporary file is left unless its removal is what failed.
func TestAtomicFaults(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n, hit := 1, true; hit; n++ {
			m := fstest.NewMemory("alice")
			if err := filesystem.WriteFile(t.Context(), m, "/f", []byte("old"), filesystem.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			faulty, ctl := fstest.NewFaulty(m)
			fault := fstest.Fault{Before: fstest.ErrInjected}
			if after {
				fault = fstest.Fault{After: fstest.ErrInjected}
			}
			hook := fstest.FailNth(n, fault)
			hit = false
			ctl.SetHook(func(c fstest.Call) fstest.Fault {
				f := hook(c)
				hit = hit || f != (fstest.Fault{})
				return f
			})
			err := filesystem.WriteFile(t.Context(), faulty, "/f", []byte("new"), filesystem.CreateOptions{Overwrite: true})
			got, rerr := filesystem.ReadFile(t.Context(), m, "/f", 10)
			if rerr != nil || err == nil && string(got) != "new" || string(got) != "new" && string(got) != "old" {
				t.Fatalf("call %d: write: %v; then %q, %v", n, err, got, rerr)
			}
			if after && err != nil {
				t.Errorf("call %d: a lost answer wasn't made good: %v", n, err)
			}
			infos, err := m.List(t.Context(), "/")
			if err != nil || len(infos) != 1 {
				t.Fatalf("call %d: left behind: %v, %v", n, infos, err)
			}
		}
	}
}

func TestAtomicCleansUpAfterCancel(t *testing.T) {
	m := fstest.NewMemory("alice")
	ctx, cancel := context.WithCancel(t.Context())
	a, err := filesystem.CreateAtomic(ctx, m, "/f", filesystem.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := a.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	if infos, err := m.List(t.Context(), "/"); err != nil || len(infos) != 0 {
		t.Fatalf("left behind: %v, %v", infos, err)
	}
}

func TestReadFileLimit(t *testing.T) {
	p := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(p, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := filesystem.ReadFile(t.Context(), filesystem.Local{}, p, 5); string(b) != "12345" || err != nil {
		t.Fatalf("got %q, %v", b, err)
	}
	if _, err := filesystem.ReadFile(t.Context(), filesystem.Local{}, p, 4); err == nil {
		t.Fatal("a file beyond the limit was read")
	}
}

// TestErrorKinds leaves out what is forbidden: for root nothing is.
func TestErrorKinds(t *testing.T) {
	var l filesystem.Local
	for _, c := range []struct {
		err, want error
	}{
		{second(l.Stat(t.Context(), "/no/such")), fs.ErrNotExist},
		{second(l.Create(t.Context(), "/", filesystem.CreateOptions{Overwrite: true})), fs.ErrExist},
		{l.MkdirAll(t.Context(), "/dev/null", 0o755), fs.ErrExist},
		{writeTo(t, "/dev/full"), filesystem.ErrNoSpace},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("got %v, want %v", c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// writeTo writes to a device, without the sync that devices refuse.
func writeTo(t *testing.T, p string) error {
	w, err := (filesystem.Local{}).Create(t.Context(), p, filesystem.CreateOptions{Overwrite: true, Mode: 0o666})
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.Write([]byte("x"))
	return err
}

func lines(t *testing.T, s filesystem.Split, o filesystem.LineOptions) ([]string, []int64) {
	t.Helper()
	r, err := filesystem.OpenLines(t.Context(), filesystem.Local{}, s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	var offsets []int64
	for {
		line, off, err := r.Next()
		if err == io.EOF {
			return got, offsets
		}
		if err != nil {
			t.Fatal(err)
		}
		got, offsets = append(got, string(line)), append(offsets, off)
	}
}

// TestLinesOfAnySplit divides random files in random ways: each line comes once, in order, and again from the position
// after any line.
func TestLinesOfAnySplit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var want []string
		var b strings.Builder
		for i := range rnd.IntN(30) {
			line := strings.Repeat("x", rnd.IntN(40)) + fmt.Sprint(i)
			if rnd.IntN(4) == 0 {
				line = ""
			}
			want = append(want, line)
			b.WriteString(line)
			b.WriteString([]string{"\n", "\r\n"}[rnd.IntN(2)])
		}
		content := b.String()
		if rnd.IntN(2) == 0 && len(want) > 0 && want[len(want)-1] != "" {
			content = strings.TrimRight(content, "\r\n")
		}
		p := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		o := filesystem.LineOptions{Buffer: 16} // the smallest that bufio makes
		var got []string
		next := int64(0)
		for _, s := range filesystem.Splits(filesystem.Info{Path: p, Size: int64(len(content))}, 1+rnd.Int64N(60)) {
			if s.Offset != next {
				t.Fatalf("split at %d, want %d", s.Offset, next)
			}
			next += s.Length
			ls, offsets := lines(t, s, o)
			got = append(got, ls...)
			if len(offsets) > 0 {
				i := rnd.IntN(len(offsets))
				rest, _ := lines(t, filesystem.Split{Path: p, Offset: offsets[i], Length: s.Offset + s.Length - offsets[i]}, o)
				if fmt.Sprint(rest) != fmt.Sprint(ls[i:]) {
					t.Fatalf("from offset %d: got %q, want %q", offsets[i], rest, ls[i:])
				}
			}
		}
		if next != int64(len(content)) || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	}
}

func TestLineTooLong(t *testing.T) {
	p := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(p, []byte("short\n"+strings.Repeat("x", 1000)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, buffer := range []int{16, 4096} {
		r, err := filesystem.OpenLines(t.Context(), filesystem.Local{}, filesystem.Split{Path: p, Length: 1006}, filesystem.LineOptions{MaxLine: 100, Buffer: buffer})
		if err != nil {
			t.Fatal(err)
		}
		if line, _, err := r.Next(); string(line) != "short" || err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		if _, _, err := r.Next(); !errors.Is(err, filesystem.ErrLineTooLong) || !strings.Contains(err.Error(), "byte 6") {
			t.Fatalf("got %v, want %v at byte 6", err, filesystem.ErrLineTooLong)
		}
		r.Close()
	}
}
