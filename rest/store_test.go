package rest

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/runtime/artifact"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestStoreKeepsNothingOfFailures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := artifact.Key(sha256.Sum256([]byte("content")))
	if _, err := s.Put(t.Context(), key, strings.NewReader("other")); !errors.Is(err, artifact.ErrChecksum) {
		t.Errorf("wrong content: %v", err)
	}
	broken := errors.New("connection reset")
	if _, err := s.Put(t.Context(), key, failing{broken}); !errors.Is(err, broken) {
		t.Errorf("broken off: %v", err)
	}
	s.free = func(string) (int64, error) { return 1 << 20, nil }
	if _, err := s.Put(t.Context(), key, strings.NewReader("content")); !errors.Is(err, ErrNoRoom) {
		t.Errorf("full disk: %v", err)
	}
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := s.Open(t.Context(), key[:]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open what isn't there: %v", err)
	}
	if _, err := s.Open(t.Context(), []byte("../../etc")); err == nil {
		t.Error("opened a hash of the wrong length")
	}
}

func TestStoreRemovesUnfinishedUploads(t *testing.T) {
	dir := t.TempDir()
	s, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := artifact.Key(sha256.Sum256([]byte("content")))
	if n, err := s.Put(t.Context(), key, strings.NewReader("content")); err != nil || n != 7 {
		t.Fatalf("put: %d, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(dir, uploadPrefix+"1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = NewStore(dir); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, dir); len(left) != 1 || left[0] != key.String() {
		t.Errorf("after reopening: %v", left)
	}
	if n, ok, err := s.Size(t.Context(), key); n != 7 || !ok || err != nil {
		t.Errorf("size: %d, %v, %v", n, ok, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
