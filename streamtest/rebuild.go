package streamtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/stream"
)

// rebuildVariable tells the other process of Rebuild that it is that: it holds the name of the job.
const rebuildVariable = "WEFT_STREAMTEST_REBUILD"

// maxReport bounds what the other process says.
const maxReport = 16 << 20

type report struct {
	Fingerprint []string `json:"fingerprint"`
	Error       string   `json:"error"`
}

// Rebuild checks that j's build function is pure: it builds the job here and in a fresh process, in another directory,
// with next to no environment, and fails the test if the two graphs differ. It runs the test binary again with only this
// test, up to this call, so what the test does before it is done there, too.
func Rebuild[P any](t testing.TB, j *stream.Job[P], p P) {
	t.Helper()
	if os.Getenv(rebuildVariable) == j.Name() {
		tell(j, p)
	}
	g, err := j.Graph(p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := elsewhere(t, j.Name())
	if err != nil {
		t.Fatalf("build job %q in another process: %v", j.Name(), err)
	}
	if r.Error != "" {
		t.Fatalf("build job %q in another process: %s", j.Name(), r.Error)
	}
	if err := graph.CompareFingerprints(g.Fingerprint(), r.Fingerprint); err != nil {
		t.Fatalf("build job %q in another process: %v", j.Name(), err)
	}
}

// tell is what the other process does instead of the rest of the test.
func tell[P any](j *stream.Job[P], p P) {
	var r report
	g, err := j.Graph(p)
	if err != nil {
		r.Error = err.Error()
	} else {
		r.Fingerprint = g.Fingerprint()
	}
	b, err := json.Marshal(r)
	if err == nil {
		_, err = os.NewFile(3, "report").Write(b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func elsewhere(t testing.TB, job string) (report, error) {
	var rep report
	exe, err := os.Executable()
	if err != nil {
		return rep, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return rep, err
	}
	defer r.Close()
	parts := strings.Split(t.Name(), "/")
	for i := range parts {
		parts[i] = "^" + quote(parts[i]) + "$"
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "-test.run="+strings.Join(parts, "/"), "-test.count=1")
	cmd.Dir, cmd.Env = t.TempDir(), []string{rebuildVariable + "=" + job, "PATH=/nowhere", "TZ=Pacific/Chatham"}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &out, &out, []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return rep, err
	}
	b, readErr := io.ReadAll(io.LimitReader(r, maxReport))
	if err := cmd.Wait(); err != nil {
		return rep, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	if readErr != nil {
		return rep, readErr
	}
	if len(b) == 0 {
		return rep, fmt.Errorf("the test ended there before it came to Rebuild:\n%s", out.Bytes())
	}
	return rep, json.Unmarshal(b, &rep)
}

// quote makes a pattern of a test's name that matches only it.
func quote(name string) string {
	var b strings.Builder
	for _, r := range name {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
