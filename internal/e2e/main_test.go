//go:build hadoop

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// parallel is how many tests run at once: they mostly wait for YARN's heartbeats.
const parallel = 6

func TestMain(m *testing.M) {
	flag.Parse()
	explicit := false
	flag.Visit(func(f *flag.Flag) { explicit = explicit || f.Name == "test.parallel" })
	if !explicit {
		_ = flag.Set("test.parallel", fmt.Sprint(parallel))
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
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

// built are the test applications of this process, each built when it is first wanted.
var built struct {
	mu    sync.Mutex
	dir   string
	apps  map[string]string
	fails map[string]error
}

// app builds a program below apps, for this platform or for the one named.
func app(t testing.TB, name string, platform ...string) string {
	t.Helper()
	key := fmt.Sprint(name, platform)
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.apps == nil {
		dir, err := os.MkdirTemp("", "weft-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.apps, built.fails = dir, map[string]string{}, map[string]error{}
	}
	if built.apps[key] == "" && built.fails[key] == nil {
		path := filepath.Join(built.dir, fmt.Sprint(len(built.apps)), name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./apps/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if len(platform) == 2 {
			cmd.Env = append(cmd.Env, "GOOS="+platform[0], "GOARCH="+platform[1])
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			built.fails[key] = fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		built.apps[key] = path
	}
	if err := built.fails[key]; err != nil {
		t.Fatal(err)
	}
	return built.apps[key]
}

func faulty(t testing.TB) string     { t.Helper(); return app(t, "faulty") }
func wordcount(t testing.TB) string  { t.Helper(); return binary(t, "examples/wordcount") }
func topspeed(t testing.TB) string   { t.Helper(); return binary(t, "examples/topspeedwindowing") }
func chainedApp(t testing.TB) string { t.Helper(); return binary(t, "examples/chained") }
func weftBinary(t testing.TB) string { t.Helper(); return binary(t, "weft") }
