package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const terminateVariable = "WEFT_TEST_TERMINATE"

// TestTerminateLate: SIGTERM ends the process only when the commit under way is done, and at once when there is none.
func TestTerminateLate(t *testing.T) {
	switch os.Getenv(terminateVariable) {
	case "committing":
		committing(true)
	case "idle":
		committing(false)
	}
	for _, test := range []struct{ what, says string }{{"committing", "committed"}, {"idle", ""}} {
		t.Run(test.what, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestTerminateLate$")
			cmd.Env = append(os.Environ(), terminateVariable+"="+test.what)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer stuck.Stop()
			lines := bufio.NewReader(out)
			if line, err := lines.ReadString('\n'); line != "ready\n" {
				t.Fatalf("the child says %q, %v", line, err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if test.says != "" {
				if _, err := fmt.Fprintln(in, "go on"); err != nil {
					t.Errorf("the process is gone: %v", err)
				}
			}
			rest, err := io.ReadAll(lines)
			if strings.TrimSpace(string(rest)) != test.says {
				t.Errorf("then the child says %q, %v", rest, err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v, want SIGTERM", err)
			}
		})
	}
}

// committing is the child. It never returns.
func committing(pending bool) {
	var c commits
	if pending {
		c.begin()
	}
	signals := catchTermination()
	go c.terminateLate(signals, make(chan struct{}))
	fmt.Println("ready")
	if pending {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Println("committed")
		c.end()
	}
	select {}
}

// TestCommitsWait: the wait ends with the last commit, or with the time.
func TestCommitsWait(t *testing.T) {
	var c commits
	c.wait(time.Hour)
	c.begin()
	c.wait(time.Millisecond)
	c.begin()
	done := make(chan struct{})
	go func() { c.wait(time.Hour); close(done) }()
	c.end()
	select {
	case <-done:
		t.Error("the wait ended with one commit pending")
	default:
	}
	c.end()
	<-done
}
