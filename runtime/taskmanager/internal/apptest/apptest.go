// Package apptest is an application for the tests of package taskmanager. In the task host role it does what the
// configuration's "mode" says, without a graph and without runtime/host, so that tests decide how a task host behaves.
package apptest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// EnvBefore is the variable that says what goes wrong before the application attaches: "exit", "hang", "version".
const EnvBefore = "APPTEST_BEFORE"

// Main runs the application if this process is in the task host role, and doesn't return then.
func Main() {
	role, err := link.Detect()
	if err != nil {
		fatal("detect the role: %v", err)
	}
	if role != link.TaskHost {
		return
	}
	switch os.Getenv(EnvBefore) {
	case "exit":
		os.Exit(0)
	case "hang":
		select {}
	}
	source, err := link.InheritedData()
	if err != nil {
		fatal("%v", err)
	}
	c, err := link.AttachHost(context.Background())
	if err != nil {
		fatal("%v", err)
	}
	version := link.ThisVersion()
	if os.Getenv(EnvBefore) == "version" {
		version.Version = "0.0.9"
	}
	send(c, &linkpb.FromHost{Message: &linkpb.FromHost_Hello{Hello: &linkpb.HostHello{Version: version, Pid: int32(os.Getpid())}}})
	m, err := c.Recv()
	if err != nil {
		fatal("%v", err)
	}
	start := m.GetStart()
	if start == nil {
		fatal("the first message is %T", m.GetMessage())
	}
	go echoData(source)
	run(c, start)
	c.Close()
	os.Exit(0)
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(90)
}

func send(c *link.HostClient, m *linkpb.FromHost) {
	if err := c.Send(m); err != nil {
		fatal("send: %v", err)
	}
}

// say reports text to the test.
func say(c *link.HostClient, seq int64, text string) {
	send(c, &linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorResponse{
		CoordinatorResponse: &linkpb.CoordinatorResponse{Seq: seq, Payload: []byte(text)}}})
}

func run(c *link.HostClient, start *linkpb.HostStart) {
	mode, arg, _ := strings.Cut(start.GetConfig()["mode"], ":")
	switch mode {
	case "exit":
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "panic":
		for range 300 {
			go func() { select {} }()
		}
		fmt.Fprintln(os.Stderr, "a line before")
		panic(arg)
	case "environment":
		dir, _ := os.Getwd()
		say(c, 1, strings.Join(append(os.Environ(), "cwd="+dir, "temp="+start.GetTempDir(),
			fmt.Sprintf("memory=%d", start.GetMemory()), fmt.Sprintf("processors=%d", start.GetProcessors())), "\n"))
	case "print":
		n, _ := strconv.Atoi(arg)
		for i := range n {
			fmt.Fprintf(os.Stdout, "line %09d\n", i)
		}
	case "orphan":
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			fatal("%v", err)
		}
		say(c, int64(cmd.Process.Pid), "orphan")
	case "stuck":
		signal.Ignore(syscall.SIGTERM)
		say(c, int64(os.Getpid()), "stuck")
		select {}
	}
	serve(c)
}

// serve echoes requests until Shutdown.
func serve(c *link.HostClient) {
	send(c, &linkpb.FromHost{Message: &linkpb.FromHost_Ready{Ready: &linkpb.HostReady{}}})
	for {
		m, err := c.Recv()
		if err != nil {
			return
		}
		if m.GetShutdown() != nil {
			return
		}
		r := m.GetCoordinatorRequest()
		if r == nil {
			continue
		}
		switch text := string(r.GetPayload()); text {
		case "leak":
			leak()
		case "churn":
			churn()
			say(c, r.GetSeq(), "churned")
		case "data limit":
			var l syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_DATA, &l); err != nil {
				fatal("%v", err)
			}
			say(c, r.GetSeq(), strconv.FormatUint(l.Cur, 10))
		case "die":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		default:
			say(c, r.GetSeq(), text)
		}
	}
}

// churn keeps 50 MiB of everything between 16 bytes and 1 MiB and replaces 2 GiB of it.
func churn() {
	kept := map[int][]byte{}
	size := 0
	for total := 0; total < 2<<30; {
		b := make([]byte, 1<<(4+rand.IntN(17)))
		for i := 0; i < len(b); i += 512 {
			b[i] = 1
		}
		total += len(b)
		k := rand.IntN(1 << 20)
		size += len(b) - len(kept[k])
		kept[k] = b
		for k, v := range kept {
			if size <= 50<<20 {
				break
			}
			size -= len(v)
			delete(kept, k)
		}
	}
}

var leaked [][]byte

func leak() {
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		leaked = append(leaked, b)
		time.Sleep(100 * time.Microsecond)
	}
}

// echoData answers each line on a data connection with the preamble's length and the line.
func echoData(source *link.DataSource) {
	for {
		conn, preamble, err := source.Accept()
		if err != nil {
			return
		}
		go func(conn net.Conn) {
			defer conn.Close()
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil && err != io.EOF {
				return
			}
			fmt.Fprintf(conn, "%d %s", len(preamble), line)
		}(conn)
	}
}
