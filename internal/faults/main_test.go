//go:build hadoop

package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// parallel is how many applications are disturbed at once: they mostly wait for YARN's heartbeats.
const parallel = 6

func TestMain(m *testing.M) {
	flag.Parse()
	explicit := false
	flag.Visit(func(f *flag.Flag) { explicit = explicit || f.Name == "test.parallel" })
	if !explicit {
		_ = flag.Set("test.parallel", fmt.Sprint(parallel))
	}
	code := m.Run()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

// binary returns an executable of $WEFT_BIN: weft, or examples/<name>.
func binary(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("WEFT_BIN")
	if dir == "" {
		t.Fatal(`WEFT_BIN names no directory: "make build" puts the executables into bin, and "make test" says where they are`)
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("find an executable to test: %v", err)
	}
	return path
}

var builtDir string

// builders builds the applications of this package, each once.
var builders = map[string]func() (string, error){"sums": builder("sums"), "counts": builder("counts")}

var built sync.Mutex // guards builtDir

func builder(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		built.Lock()
		defer built.Unlock()
		if builtDir == "" {
			dir, err := os.MkdirTemp("", "weft-faults-")
			if err != nil {
				return "", err
			}
			builtDir = dir
		}
		path := filepath.Join(builtDir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./apps/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		return path, nil
	})
}

// application returns the executable of one of this package's applications.
func application(t testing.TB, name string) string {
	t.Helper()
	path, err := builders[name]()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
