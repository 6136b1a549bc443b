//go:build hadoop

package usertest

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience bounds what anything may take on a machine with much else to do; nothing asserts a time.
const Patience = 2 * time.Minute

// Main is a package's TestMain: it runs the tests and removes what App has built. Up to six tests run at once unless the
// command line says otherwise: they mostly wait for YARN's heartbeats.
func Main(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // m.Run parses the command line
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// Binary returns the path of an executable in $WEFT_BIN: weft, or examples/<name>.
func Binary(t testing.TB, name string) string {
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

// built are the applications of this process.
var built struct {
	mu  sync.Mutex
	dir string
}

// App returns the path of an executable of ./apps/<name>, for this platform or for the one named: its GOOS and GOARCH. It
// is built when it is first wanted.
func App(t testing.TB, name string, platform ...string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "weft-usertest-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, strings.Join(platform, "-"), name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./apps/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if len(platform) == 2 {
		cmd.Env = append(cmd.Env, "GOOS="+platform[0], "GOARCH="+platform[1])
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}
