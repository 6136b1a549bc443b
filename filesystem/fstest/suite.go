package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
)

// Run runs the conformance suite. open returns a file system and an empty directory in it, and cleans up after the test.
func Run(t *testing.T, open func(t *testing.T) (fsys filesystem.FileSystem, dir string)) {
	for _, c := range []struct {
		name string
		test func(*env)
	}{
		{"create and read", (*env).createAndRead},
		{"create refuses", (*env).createRefuses},
		{"overwrite", (*env).overwrite},
		{"large file", (*env).largeFile},
		{"seek and read at", (*env).seekAndReadAt},
		{"abort", (*env).abort},
		{"info", (*env).info},
		{"list", (*env).list},
		{"mkdir", (*env).mkdir},
		{"chmod", (*env).chmod},
		{"rename", (*env).rename},
		{"rename refuses", (*env).renameRefuses},
		{"rename of directories lets one win", (*env).renameRace},
		{"remove", (*env).remove},
		{"glob", (*env).glob},
		{"atomic write", (*env).atomicWrite},
		{"cancelled context", (*env).cancelled},
		{"concurrent use", (*env).concurrent},
		{"odd names", (*env).oddNames},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys, dir := open(t)
			c.test(&env{T: t, FileSystem: fsys, dir: dir, ctx: t.Context()})
		})
	}
}

type env struct {
	*testing.T
	filesystem.FileSystem
	dir string
	ctx context.Context
}

func (e *env) p(name string) string { return path.Join(e.dir, name) }

func (e *env) write(name, data string) string {
	e.Helper()
	return e.writeWith(name, data, filesystem.CreateOptions{})
}

func (e *env) writeWith(name, data string, o filesystem.CreateOptions) string {
	e.Helper()
	w, err := e.Create(e.ctx, e.p(name), o)
	e.ok(err)
	_, err = io.WriteString(w, data)
	e.ok(err)
	e.ok(w.Close())
	return e.p(name)
}

func (e *env) content(p string) string {
	e.Helper()
	b, err := filesystem.ReadFile(e.ctx, e.FileSystem, p, 64<<20)
	e.ok(err)
	return string(b)
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) is(err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func (e *env) equal(got, want any) {
	e.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		e.Fatalf("got %v, want %v", got, want)
	}
}

func (e *env) names(infos []filesystem.Info) []string {
	var names []string
	for _, i := range infos {
		names = append(names, i.Name())
	}
	return names
}

func (e *env) createAndRead() {
	p := e.write("f", "hello")
	e.equal(e.content(p), "hello")
	empty := e.write("empty", "")
	e.equal(e.content(empty), "")
	_, err := e.Open(e.ctx, e.p("missing"))
	e.is(err, fs.ErrNotExist)
	w, err := e.Create(e.ctx, e.p("closed"), filesystem.CreateOptions{})
	e.ok(err)
	e.ok(w.Close())
	e.ok(w.Close())
	if _, err := w.Write([]byte("x")); err == nil {
		e.Fatal("a closed writer takes data")
	}
	if d, err := e.Open(e.ctx, e.dir); err == nil {
		if _, err := d.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			e.Fatalf("reading a directory: got %v, want an error", err)
		}
		d.Close()
	}
}

func (e *env) createRefuses() {
	p := e.write("f", "old")
	_, err := e.Create(e.ctx, p, filesystem.CreateOptions{})
	e.is(err, fs.ErrExist)
	e.equal(e.content(p), "old")
	_, err = e.Create(e.ctx, e.p("no/such/parent"), filesystem.CreateOptions{})
	e.is(err, fs.ErrNotExist)
	e.ok(e.MkdirAll(e.ctx, e.p("d"), 0o755))
	_, err = e.Create(e.ctx, e.p("d"), filesystem.CreateOptions{Overwrite: true})
	e.is(err, fs.ErrExist)
}

func (e *env) overwrite() {
	p := e.write("f", "a long old content")
	e.writeWith("f", "new", filesystem.CreateOptions{Overwrite: true})
	e.equal(e.content(p), "new")
	i, err := e.Stat(e.ctx, p)
	e.ok(err)
	e.equal(i.Size, 3)
}

func (e *env) largeFile() {
	data := make([]byte, 5<<20+123)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	w, err := e.Create(e.ctx, e.p("large"), filesystem.CreateOptions{BlockSize: 1 << 20})
	e.ok(err)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+rnd.IntN(200<<10))
		_, err := w.Write(rest[:n])
		e.ok(err)
		rest = rest[n:]
	}
	e.ok(w.Close())
	f, err := e.Open(e.ctx, e.p("large"))
	e.ok(err)
	defer f.Close()
	got, err := io.ReadAll(f)
	e.ok(err)
	if !bytes.Equal(got, data) {
		e.Fatal("content differs")
	}
	var wg sync.WaitGroup
	var bad atomic.Int32
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(3, uint64(g)))
			buf := make([]byte, 100<<10)
			for range 5 {
				off := rnd.IntN(len(data) - len(buf))
				if n, err := f.ReadAt(buf, int64(off)); err != nil || n != len(buf) || !bytes.Equal(buf, data[off:off+n]) {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	e.equal(bad.Load(), 0)
}

func (e *env) seekAndReadAt() {
	f, err := e.Open(e.ctx, e.write("f", "0123456789"))
	e.ok(err)
	buf := make([]byte, 4)
	_, err = f.Seek(6, io.SeekStart)
	e.ok(err)
	n, err := f.ReadAt(buf, 1)
	e.ok(err)
	e.equal(string(buf[:n]), "1234")
	_, err = io.ReadFull(f, buf)
	e.ok(err)
	e.equal(string(buf), "6789")
	n, err = f.ReadAt(buf, 8)
	e.equal(n, 2)
	e.equal(err, io.EOF)
	off, err := f.Seek(-3, io.SeekEnd)
	e.ok(err)
	e.equal(off, 7)
	_, err = f.Seek(-8, io.SeekCurrent)
	if err == nil {
		e.Fatal("seeking before the beginning succeeds")
	}
	e.ok(f.Close())
	if _, err := f.Read(buf); err == nil {
		e.Fatal("a closed file gives data")
	}
	if _, err := f.ReadAt(buf, 0); err == nil {
		e.Fatal("a closed file gives data")
	}
}

func (e *env) abort() {
	w, err := e.Create(e.ctx, e.p("f"), filesystem.CreateOptions{})
	e.ok(err)
	_, err = w.Write(make([]byte, 100<<10))
	e.ok(err)
	e.ok(w.Abort())
	_, err = e.Stat(e.ctx, e.p("f"))
	e.is(err, fs.ErrNotExist)
	e.ok(w.Close())
	_, err = e.Stat(e.ctx, e.p("f"))
	e.is(err, fs.ErrNotExist)
}

func (e *env) info() {
	before := time.Now().UnixMilli()
	p := e.writeWith("f", "12345", filesystem.CreateOptions{Mode: 0o640})
	i, err := e.Stat(e.ctx, p)
	e.ok(err)
	e.equal([]any{i.Path, i.Name(), i.Size, i.Mode, i.IsDir, i.Owner}, []any{p, "f", 5, fs.FileMode(0o640), false, e.User()})
	// Clocks of one machine; a file system may round to the second.
	if i.MTime < before-2000 || i.MTime > time.Now().UnixMilli()+2000 {
		e.Fatalf("mtime %d isn't about now (%d)", i.MTime, before)
	}
	i, err = e.Stat(e.ctx, e.dir)
	e.ok(err)
	e.equal([]any{i.IsDir, i.Mode.IsDir(), i.Size}, []any{true, true, 0})
	_, err = e.Stat(e.ctx, e.p("missing"))
	e.is(err, fs.ErrNotExist)
	_, err = e.Stat(e.ctx, e.p("missing/deeper"))
	e.is(err, fs.ErrNotExist)
}

func (e *env) list() {
	infos, err := e.List(e.ctx, e.dir)
	e.ok(err)
	e.equal(len(infos), 0)
	for _, n := range []string{"b", "a", ".hidden", "c"} {
		e.write(n, n)
	}
	e.ok(e.MkdirAll(e.ctx, e.p("d/e"), 0o755))
	infos, err = e.List(e.ctx, e.dir)
	e.ok(err)
	e.equal(e.names(infos), []string{".hidden", "a", "b", "c", "d"})
	e.equal([]any{infos[1].Path, infos[1].Size, infos[4].IsDir}, []any{e.p("a"), 1, true})
	_, err = e.List(e.ctx, e.p("missing"))
	e.is(err, fs.ErrNotExist)
	if _, err = e.List(e.ctx, e.p("a")); err == nil {
		e.Fatal("a file can be listed")
	}
}

func (e *env) mkdir() {
	e.ok(e.MkdirAll(e.ctx, e.p("x/y/z"), 0o700))
	e.ok(e.MkdirAll(e.ctx, e.p("x/y/z"), 0o755))
	i, err := e.Stat(e.ctx, e.p("x/y/z"))
	e.ok(err)
	e.equal(i.Mode, fs.ModeDir|0o700)
	e.ok(e.MkdirAll(e.ctx, e.p("sticky"), fs.ModeSticky|0o777))
	i, err = e.Stat(e.ctx, e.p("sticky"))
	e.ok(err)
	e.equal(i.Mode, fs.ModeDir|fs.ModeSticky|0o777)
	p := e.write("f", "")
	e.is(e.MkdirAll(e.ctx, p, 0o755), fs.ErrExist)
}

func (e *env) chmod() {
	p := e.write("f", "x")
	before, err := e.Stat(e.ctx, p)
	e.ok(err)
	e.ok(e.Chmod(e.ctx, p, 0o600))
	i, err := e.Stat(e.ctx, p)
	e.ok(err)
	e.equal([]any{i.Mode, i.MTime}, []any{fs.FileMode(0o600), before.MTime})
	e.is(e.Chmod(e.ctx, e.p("missing"), 0o600), fs.ErrNotExist)
}

func (e *env) rename() {
	a := e.write("a", "from a")
	before, err := e.Stat(e.ctx, a)
	e.ok(err)
	e.ok(e.Rename(e.ctx, a, e.p("b"), false))
	after, err := e.Stat(e.ctx, e.p("b"))
	e.ok(err)
	e.equal([]any{after.MTime, after.Size}, []any{before.MTime, before.Size})
	_, err = e.Stat(e.ctx, a)
	e.is(err, fs.ErrNotExist)
	c := e.write("c", "from c")
	e.ok(e.Rename(e.ctx, c, e.p("b"), true))
	e.equal(e.content(e.p("b")), "from c")
	e.ok(e.MkdirAll(e.ctx, e.p("d/sub"), 0o755))
	e.ok(e.Rename(e.ctx, e.p("b"), e.p("d/sub/b"), false))
	e.ok(e.Rename(e.ctx, e.p("d"), e.p("e"), false))
	e.equal(e.content(e.p("e/sub/b")), "from c")
	e.ok(e.MkdirAll(e.ctx, e.p("empty"), 0o755))
	e.ok(e.Rename(e.ctx, e.p("e"), e.p("empty"), true))
	e.equal(e.content(e.p("empty/sub/b")), "from c")
}

func (e *env) renameRefuses() {
	a, b := e.write("a", "a"), e.write("b", "b")
	e.ok(e.MkdirAll(e.ctx, e.p("d1"), 0o755))
	e.ok(e.MkdirAll(e.ctx, e.p("d2"), 0o755))
	in1, in2 := e.write("d1/x", "1"), e.write("d2/x", "2")
	for _, c := range []struct {
		src, dst  string
		overwrite bool
		want      error
	}{
		{a, b, false, fs.ErrExist},
		{e.p("d1"), e.p("d2"), false, fs.ErrExist},
		{e.p("d1"), e.p("d2"), true, fs.ErrExist}, // it has entries
		{a, e.p("d1"), true, fs.ErrExist},
		{e.p("d1"), a, true, fs.ErrExist},
		{e.p("missing"), e.p("new"), false, fs.ErrNotExist},
		{e.p("missing"), b, true, fs.ErrNotExist},
		{a, e.p("missing/new"), true, fs.ErrNotExist},
	} {
		if err := e.Rename(e.ctx, c.src, c.dst, c.overwrite); !errors.Is(err, c.want) {
			e.Errorf("rename %s to %s, overwrite %v: got %v, want %v", c.src, c.dst, c.overwrite, err, c.want)
		}
	}
	e.equal(e.content(a)+e.content(b)+e.content(in1)+e.content(in2), "ab12")
}

// renameRace is what the high-availability log rests on.
func (e *env) renameRace() {
	for round := range 5 {
		target := e.p(fmt.Sprintf("epoch-%d", round))
		const n = 6
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range n {
			src := e.p(fmt.Sprintf("prepared-%d-%d", round, i))
			e.ok(e.MkdirAll(e.ctx, src, 0o755))
			e.ok(filesystem.WriteFile(e.ctx, e.FileSystem, path.Join(src, "owner"), []byte(src), filesystem.CreateOptions{}))
			wg.Go(func() {
				switch err := e.Rename(e.ctx, src, target, i%2 == 0); {
				case err == nil:
					won.Add(1)
					winner.Store(src)
				case !errors.Is(err, fs.ErrExist):
					e.Errorf("a loser got %v, want %v", err, fs.ErrExist)
				}
			})
		}
		wg.Wait()
		e.equal(won.Load(), 1)
		e.equal(e.content(path.Join(target, "owner")), winner.Load())
	}
}

func (e *env) remove() {
	p := e.write("f", "x")
	e.ok(e.Remove(e.ctx, p, false))
	e.is(e.Remove(e.ctx, p, false), fs.ErrNotExist)
	e.is(e.Remove(e.ctx, p, true), fs.ErrNotExist)
	e.ok(e.MkdirAll(e.ctx, e.p("d/e"), 0o755))
	e.write("d/e/f", "x")
	e.is(e.Remove(e.ctx, e.p("d"), false), fs.ErrExist)
	e.ok(e.Remove(e.ctx, e.p("d"), true))
	_, err := e.Stat(e.ctx, e.p("d"))
	e.is(err, fs.ErrNotExist)
	e.ok(e.MkdirAll(e.ctx, e.p("empty"), 0o755))
	e.ok(e.Remove(e.ctx, e.p("empty"), false))
}

func (e *env) glob() {
	for _, n := range []string{"a/1.txt", "a/2.txt", "a/3.log", "b/1.txt", "b/sub/1.txt"} {
		e.ok(e.MkdirAll(e.ctx, path.Dir(e.p(n)), 0o755))
		e.write(n, n)
	}
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"a/*.txt", []string{"a/1.txt", "a/2.txt"}},
		{"*/1.txt", []string{"a/1.txt", "b/1.txt"}},
		{"*/*/1.txt", []string{"b/sub/1.txt"}},
		{"a/{1.txt,3.*}", []string{"a/1.txt", "a/3.log"}},
		{"{a,b}/[12].txt", []string{"a/1.txt", "a/2.txt", "b/1.txt"}},
		{"a/1.txt", []string{"a/1.txt"}},
		{"none/*", nil},
		{"a/1.txt/*", nil},
		{"?", []string{"a", "b"}},
	} {
		infos, err := e.Glob(e.ctx, e.p(c.pattern))
		e.ok(err)
		var got, want []string
		for _, i := range infos {
			got = append(got, i.Path)
		}
		for _, w := range c.want {
			want = append(want, e.p(w))
		}
		e.equal(got, want)
	}
	for _, bad := range []string{"[", "{a", "a}"} {
		_, err := e.Glob(e.ctx, e.p(bad))
		e.is(err, path.ErrBadPattern)
	}
}

func (e *env) atomicWrite() {
	p := e.p("f")
	a, err := filesystem.CreateAtomic(e.ctx, e.FileSystem, p, filesystem.CreateOptions{Mode: 0o600})
	e.ok(err)
	_, err = io.WriteString(a, "content")
	e.ok(err)
	_, err = e.Stat(e.ctx, p)
	e.is(err, fs.ErrNotExist)
	e.ok(a.Commit(e.ctx))
	e.ok(a.Abort())
	e.equal(e.content(p), "content")
	e.is(filesystem.WriteFile(e.ctx, e.FileSystem, p, []byte("2"), filesystem.CreateOptions{}), fs.ErrExist)
	e.ok(filesystem.WriteFile(e.ctx, e.FileSystem, p, []byte("3"), filesystem.CreateOptions{Overwrite: true}))
	e.equal(e.content(p), "3")
	a, err = filesystem.CreateAtomic(e.ctx, e.FileSystem, p, filesystem.CreateOptions{Overwrite: true})
	e.ok(err)
	e.ok(a.Abort())
	e.equal(e.content(p), "3")
	infos, err := e.List(e.ctx, e.dir)
	e.ok(err)
	e.equal(e.names(infos), []string{"f"})
}

func (e *env) cancelled() {
	p := e.write("f", "x")
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Stat(ctx, p)
	e.is(err, context.Canceled)
	_, err = e.Open(ctx, p)
	e.is(err, context.Canceled)
	_, err = e.Create(ctx, e.p("g"), filesystem.CreateOptions{})
	e.is(err, context.Canceled)
	e.is(e.Rename(ctx, p, e.p("g"), false), context.Canceled)
	e.is(e.Remove(ctx, p, false), context.Canceled)
	e.is(e.MkdirAll(ctx, e.p("d"), 0o755), context.Canceled)
	e.equal(e.content(p), "x")
	infos, err := e.List(e.ctx, e.dir)
	e.ok(err)
	e.equal(e.names(infos), []string{"f"})
}

func (e *env) concurrent() {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("d%d/f", i)
			data := bytes.Repeat([]byte{byte('a' + i)}, 10_000*(i+1))
			if err := e.MkdirAll(e.ctx, path.Dir(e.p(name)), 0o755); err != nil {
				e.Error(err)
				return
			}
			for range 3 {
				if err := filesystem.WriteFile(e.ctx, e.FileSystem, e.p(name), data, filesystem.CreateOptions{Overwrite: true}); err != nil {
					e.Error(err)
					return
				}
				if got, err := filesystem.ReadFile(e.ctx, e.FileSystem, e.p(name), 1<<20); err != nil || !bytes.Equal(got, data) {
					e.Errorf("read back %d bytes, error %v, want %d bytes", len(got), err, len(data))
				}
			}
		})
	}
	wg.Wait()
	infos, err := e.List(e.ctx, e.dir)
	e.ok(err)
	e.equal(len(infos), 8)
}

func (e *env) oddNames() {
	for _, name := range []string{"with space", "per%20cent", "plus+and&", "uni-\u00e4\u20ac", "a=b", "-dash", "hash#x"} {
		p := e.write(name, name)
		e.equal(e.content(p), name)
		i, err := e.Stat(e.ctx, p)
		e.ok(err)
		e.equal(i.Name(), name)
		e.ok(e.Rename(e.ctx, p, p+".2", false))
		infos, err := e.Glob(e.ctx, e.p("*.2"))
		e.ok(err)
		e.equal(e.names(infos), []string{name + ".2"})
		e.ok(e.Remove(e.ctx, p+".2", false))
	}
}
