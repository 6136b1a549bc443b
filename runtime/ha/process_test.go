package ha

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/filesystem"
)

const childVariable = "WEFT_HA_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		os.Exit(child(spec))
	}
	os.Exit(m.Run())
}

// child is one contender in a process of its own: it acquires and appends in turns, and reports on stdout what it was
// told. spec is its name and the directory.
func child(spec string) int {
	name, dir, _ := strings.Cut(spec, "=")
	l := Open(filesystem.Local{}, dir)
	ctx := context.Background()
	for round := range 8 {
		e, rs, err := l.Acquire(ctx)
		if errors.Is(err, ErrFenced) {
			continue
		}
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("acquired", e.Number(), strings.Join(keysOf(rs), ","))
		for i := range 10 {
			key := fmt.Sprintf("%s-%d-%d", name, round, i)
			err := e.Append(ctx, rec(KindJobResult, key, key))
			if errors.Is(err, ErrFenced) {
				break
			}
			if err != nil {
				fmt.Println("error", err)
				return 1
			}
			fmt.Println("acked", e.Number(), key)
		}
	}
	return 0
}

// TestProcesses races processes for a log on the local file system.
func TestProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ha")
	h := newHistory()
	var children []*exec.Cmd
	var outputs []*bufio.Scanner
	for i := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=p%d=%s", childVariable, i, dir))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children, outputs = append(children, cmd), append(outputs, bufio.NewScanner(out))
	}
	for i, cmd := range children {
		outputs[i].Buffer(nil, 1<<20)
		for outputs[i].Scan() {
			word, rest, _ := strings.Cut(outputs[i].Text(), " ")
			var n uint64
			var arg string
			if word == "error" {
				t.Error(rest)
				continue
			}
			fmt.Sscan(rest, &n, &arg)
			switch word {
			case "acquired":
				h.acquire(t, n, strings.FieldsFunc(arg, func(r rune) bool { return r == ',' }))
			case "acked":
				h.ack(n, arg)
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	e, rs := acquire(t, Open(filesystem.Local{}, dir))
	h.acquire(t, e.Number(), keysOf(rs))
	h.check(t)
	if len(h.acquired) < 8 || len(rs) < 8 {
		t.Fatalf("%d epochs, %d records: the processes did nothing", len(h.acquired), len(rs))
	}
}
