package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link/linkpb"
)

// copied writes a copy in two pieces.
func copied(l *LocalCopies, id int64, uri, content string) {
	c := l.Create(id, uri)
	c.Write([]byte(content[:len(content)/2]))
	c.Write([]byte(content[len(content)/2:]))
	c.Finish(uri)
}

// kept are the files below dir.
func kept(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			all = append(all, rel)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestReaderPrefersLocalCopies: what is read is the copy, though the file isn't there; and the file where the copy is
// missing, damaged in any way, or another file's.
func TestReaderPrefersLocalCopies(t *testing.T) {
	primary, dir := t.TempDir(), filepath.Join(t.TempDir(), "made", "when needed")
	uri := filesystem.Local{}.URI(filepath.Join(primary, "state-1"))
	const content = "the state of a subtask"
	copyAt := filepath.Join(dir, "chk-7", "state-1")
	read := func(log *bytes.Buffer) (string, error) {
		state := &linkpb.TaskState{Files: []string{uri}}
		r := NewReader(t.Context(), &filesystem.Set{}, state)
		defer r.Close()
		r.Prefer(NewLocalCopies(dir, slog.New(slog.NewTextHandler(log, nil))))
		b, err := r.Block(&linkpb.StateBlock{Offset: 4, Length: int64(len(content)) - 4})
		return string(b), err
	}
	l := NewLocalCopies(dir, slog.New(slog.DiscardHandler))
	copied(l, 7, uri, content)
	var log bytes.Buffer
	if got, err := read(&log); got != content[4:] || err != nil || !strings.Contains(log.String(), "local copy") {
		t.Fatalf("without the file: %q, %v; log %s", got, err, &log)
	}
	whole, err := os.ReadFile(copyAt)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(content, "state", "STATE", 1)
	for name, damage := range map[string]func(){
		"flipped": func() {
			b := bytes.Clone(whole)
			b[9] ^= 1
			_ = os.WriteFile(copyAt, b, 0o600)
		},
		"torn":    func() { _ = os.WriteFile(copyAt, whole[:len(whole)-3], 0o600) },
		"empty":   func() { _ = os.WriteFile(copyAt, nil, 0o600) },
		"another": func() { _ = os.Remove(copyAt); copied(l, 7, uri+"/../state-1", other) },
		"missing": func() { _ = os.Remove(copyAt) },
	} {
		_ = os.Remove(filepath.Join(primary, "state-1"))
		damage()
		if got, err := read(&log); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, without the file: %q, %v", name, got, err)
		}
		if err := os.WriteFile(filepath.Join(primary, "state-1"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if got, err := read(&log); got != content[4:] || err != nil || !strings.Contains(log.String(), "state is read from the checkpoint") {
			t.Errorf("%s: %q, %v; log %s", name, got, err, &log)
		}
	}
}

// TestLocalCopiesGoWithTheirCheckpoint: those of superseded and aborted checkpoints, and of files that were given up.
func TestLocalCopiesGoWithTheirCheckpoint(t *testing.T) {
	dir := t.TempDir()
	l := NewLocalCopies(dir, slog.New(slog.DiscardHandler))
	l.Completed(3)
	copied(l, 4, "file:/x/a", "aaaa")
	copied(l, 5, "file:/x/b", "bbbb")
	copied(l, 6, "file:/x/c", "cccc")
	given := l.Create(6, "file:/x/d")
	given.Write([]byte("dd"))
	given.Abort()
	given.Write([]byte("dd"))
	given.Finish("file:/x/d")
	if got := kept(t, dir); got != "chk-4/a chk-5/b chk-6/c" {
		t.Errorf("at first: %s", got)
	}
	l.Completed(5)
	if got := kept(t, dir); got != "chk-5/b chk-6/c" {
		t.Errorf("after 5 is complete: %s", got)
	}
	l.Aborted(6)
	if got := kept(t, dir); got != "chk-5/b" {
		t.Errorf("after 6 was aborted: %s", got)
	}
	// One that can't be written is none, and harms nobody.
	broken := NewLocalCopies(filepath.Join(dir, "chk-5", "b"), slog.New(slog.DiscardHandler))
	copied(broken, 8, "file:/x/e", "eeee")
	var none *LocalCopies
	copied(none, 8, "file:/x/e", "eeee")
	if got := kept(t, dir); got != "chk-5/b" {
		t.Errorf("at last: %s", got)
	}
}

// TestLocalCopiesOfSharedFiles: the copies of earlier checkpoints' files stay that the completed one needs, or a later one may.
func TestLocalCopiesOfSharedFiles(t *testing.T) {
	dir := t.TempDir()
	l := NewLocalCopies(dir, slog.New(slog.DiscardHandler))
	taken := func(id int64, own string, needs ...string) {
		copied(l, id, "hdfs://nn/c/shared/"+own, own+own)
		copied(l, id, "hdfs://nn/c/chk/"+own+"-own", own+own)
		var uris []string
		for _, name := range append(needs, own) {
			uris = append(uris, "hdfs://nn/c/shared/"+name)
		}
		l.Needs(id, uris)
	}
	check := func(when, want string) {
		t.Helper()
		if got := kept(t, dir); got != want {
			t.Errorf("%s: %s", when, got)
		}
	}
	taken(1, "a")
	taken(2, "b", "a")
	taken(3, "c", "a") // builds on 1, too
	l.Completed(2)
	check("2 is complete", "chk-1/a chk-2/b chk-2/b-own chk-3/c chk-3/c-own")
	l.Aborted(3)
	check("3 is aborted", "chk-1/a chk-2/b chk-2/b-own")
	l.Completed(4) // a savepoint
	check("a savepoint is complete", "chk-1/a chk-2/b")
	taken(5, "d", "b")
	check("5 is taken", "chk-1/a chk-2/b chk-5/d chk-5/d-own")
	l.Completed(5)
	check("5 is complete", "chk-2/b chk-5/d chk-5/d-own")
	taken(6, "e")
	l.Completed(6)
	check("6 is complete, which is whole", "chk-6/e chk-6/e-own")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("directories are left: %v, %v", entries, err)
	}
}
