package link

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds a program below testdata for a platform.
func build(t *testing.T, name, platform string, flags ...string) string {
	t.Helper()
	goos, goarch, _ := strings.Cut(platform, "/")
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestReadExecutable(t *testing.T) {
	for _, test := range []struct {
		platform string
		static   bool
		flags    []string
	}{
		{"linux/amd64", true, nil},
		{"linux/amd64", true, []string{"-ldflags=-s -w", "-trimpath"}},
		{"darwin/arm64", false, nil},
	} {
		t.Run(test.platform, func(t *testing.T) {
			info, err := ReadExecutable(build(t, "app", test.platform, test.flags...))
			if err != nil {
				t.Fatal(err)
			}
			if info.Platform() != test.platform || info.WeftVersion != Version || info.Static != test.static ||
				info.Module != modulePath || info.Main != modulePath+"/link/testdata/app" ||
				!strings.HasPrefix(info.GoVersion, "go1.") || info.Size < 100_000 {
				t.Errorf("got %+v", info)
			}
			if err := info.CheckVersion(); err != nil {
				t.Error(err)
			}
			if err := info.CheckPlatform(test.platform); err != nil {
				t.Error(err)
			}
			err = info.CheckPlatform("linux/riscv64")
			var other *PlatformError
			if !errors.As(err, &other) || !errors.Is(err, ErrPlatform) || !strings.Contains(err.Error(),
				"CGO_ENABLED=0 GOOS=linux GOARCH=riscv64 go build "+modulePath+"/link/testdata/app") {
				t.Errorf("got %v", err)
			}
			if w := info.Warning(); w != "" {
				t.Errorf("warning %q", w)
			}
		})
	}
}

func TestWarning(t *testing.T) {
	dynamic := Info{Path: "app", GOOS: "linux"}
	if w := dynamic.Warning(); !strings.Contains(w, "app is dynamically linked") || !strings.Contains(w, "CGO_ENABLED=0") {
		t.Errorf("got %q", w)
	}
}

// The test binary itself is built with cgo where there is a compiler; the shell never is a Go program but is dynamic.
func TestReadExecutableRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, path string
		want       error
		text       string
	}{
		{"missing", filepath.Join(dir, "missing"), os.ErrNotExist, "missing"},
		{"directory", dir, ErrNotExecutable, "a directory"},
		{"script", write("script", "#!/bin/sh\necho\n"), ErrNotExecutable, "it is a script"},
		{"source", write("main.go", "package main\n"), ErrNotExecutable, "go build"},
		{"empty", write("empty", ""), ErrNotExecutable, "go build"},
		{"cut", write("cut", "\x7fELF\x02\x01\x01"), ErrNotExecutable, "cut"},
		{"no Go program", "/bin/sh", ErrNotWeft, "no Go build information"},
		{"no application", build(t, "plain", "linux/amd64"), ErrNotWeft, "stream.Main"},
	} {
		t.Run(test.name, func(t *testing.T) {
			info, err := ReadExecutable(test.path)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %+v, %v, want %v and %q", info, err, test.want, test.text)
			}
		})
	}
}

func FuzzReadExecutable(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01\x00"))
	f.Add([]byte("MZ" + versionMark))
	f.Add([]byte("#!/bin/sh"))
	path := filepath.Join(f.TempDir(), "app")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExecutable(path); err == nil {
			t.Error("accepted")
		}
	})
}
