package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weftstream/weft/internal/testkit"
)

// The test binary is also weft: scripts run it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": main})
}

func TestScripts(t *testing.T) {
	examples := t.TempDir()
	for _, name := range []string{"wordcount", "topspeedwindowing"} {
		build(t, examples, name)
	}
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script"), Setup: func(e *testscript.Env) error {
		e.Setenv("EXAMPLES", examples)
		e.Setenv("GORACE", "atexit_sleep_ms=0") // by default a process that is built with -race takes a second to end
		e.Setenv("HOME", e.WorkDir)
		e.Setenv("TMPDIR", filepath.Join(e.WorkDir, ".tmp"))
		for _, name := range []string{"RPC", "REST"} {
			port, err := freePort()
			if err != nil {
				return err
			}
			e.Setenv(name, strconv.Itoa(port))
		}
		return nil
	}})
}

// build builds an example into dir.
func build(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", path, "../../examples/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// TestKilledLocalRun: a weft that is killed takes the application with it that it runs locally.
func TestKilledLocalRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only Linux can
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("weft", "run", "-t", "local", build(t, t.TempDir(), "topspeedwindowing"), "--rate", "1000")
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(testkit.Patience)); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(r)
	for line := ""; !strings.HasSuffix(line, ")\n"); { // a car
		if line, err = out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := io.Copy(io.Discard, out); err != nil { // the pipe ends with the last process that writes into it
		t.Errorf("the application goes on: %v", err)
	}
}

// freePort is a port of the loopback interface that nothing listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
