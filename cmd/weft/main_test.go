package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is also weft: scripts run it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": main})
}

func TestScripts(t *testing.T) {
	examples := t.TempDir()
	for _, name := range []string{"wordcount", "topspeedwindowing"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(examples, name), "../../examples/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
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

// freePort is a port of the loopback interface that nothing listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
