package tally

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryCountOnce(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"":                           {"a": "0\t1\n1\t1\n", "b/part": "0\t2\n", ".part": "0\t1\n"},
		`"0\t2" is missing`:          {"a": "0\t1\n1\t1\n"},
		`"1\t1" is there 2 times`:    {"a": "0\t1\n1\t1\n", "b/part": "0\t2\n1\t1\n"},
		"there are 4 different ones": {"a": "0\t1\n1\t1\n0\t2\n0\t3\n"},
	} {
		dir := t.TempDir()
		for name, text := range files {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := EveryCountOnce(dir, 3, 2)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("of %v: %v, want %q", files, err, want)
		}
	}
	if err := EveryCountOnce(filepath.Join(t.TempDir(), "none"), 1, 1); err == nil {
		t.Error("a directory that isn't there has everything")
	}
}

func TestFuse(t *testing.T) {
	var f Fuse
	panics := func(burns int) (at int) {
		defer func() { _ = recover() }()
		for ; at < burns; at++ {
			f.Burn(0)
		}
		return -1
	}
	if at := panics(10); at != -1 {
		t.Errorf("a fuse that wasn't set panics at %d", at)
	}
	f.Set(3)
	if at := panics(10); at != 2 {
		t.Errorf("a fuse of 3 panics at %d", at)
	}
	if at := panics(10); at != -1 {
		t.Errorf("it panics again, at %d", at)
	}
}
