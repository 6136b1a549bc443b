//go:build linux

package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/stream"
)

// role is what a process of this executable is; task hosts are told by package link.
type role string

const (
	jobManager  role = "jobmanager"
	taskManager role = "taskmanager"
)

// envAssignment is the variable that makes a process one of the cluster's.
const envAssignment = "WEFT_FAILOVER_TEST"

// assignment is what a process of the cluster is told.
type assignment struct {
	Role role
	// Name is the process' resource id, and that of its log file.
	Name string
	// Dir is the cluster's directory.
	Dir string
	// Address is the file with the address of a JobManager: one that writes it, or one that reads it.
	Address string

	// Of a JobManager: where it stops, what the job is, and its configuration.
	Stop   *step
	Job    params
	Config map[string]string

	// Of a TaskManager: it ends with its JobManager.
	Bound bool
}

func (a *assignment) path(name ...string) string {
	return filepath.Join(append([]string{a.Dir}, name...)...)
}

func TestMain(m *testing.M) {
	if r, err := link.Detect(); err != nil || r == link.TaskHost {
		stream.Main(func(context.Context, *stream.Driver) error { return errors.New("a task host only") })
	}
	if text := os.Getenv(envAssignment); text != "" {
		os.Exit(serve(text))
	}
	os.Exit(m.Run())
}

// Exit codes of the cluster's processes.
const (
	exitOK     = 0
	exitBroken = 1
	exitFatal  = 2 // a JobManager that couldn't go on
)

func serve(text string) int {
	var a assignment
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitBroken
	}
	file, err := os.OpenFile(a.path(a.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitBroken
	}
	defer file.Close()
	log := slog.New(slog.NewTextHandler(file, nil))
	run := runTaskManager
	if a.Role == jobManager {
		run = runJobManager
	}
	code, err := run(&a, log)
	if err != nil {
		log.Error("process failed", "error", err)
		say("failed", err.Error())
	}
	return code
}

var saying sync.Mutex

// say tells the test something: a word, and what belongs to it as JSON.
func say(word string, what any) {
	b, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	saying.Lock()
	defer saying.Unlock()
	fmt.Printf("%s %s\n", word, b)
}

// leaf is a certificate for a process of the cluster.
func (a *assignment) leaf(r rpc.Role) (*rpc.Leaf, error) {
	pem, err := os.ReadFile(a.path(authorityFile))
	if err != nil {
		return nil, err
	}
	authority, err := rpc.ParseAuthority(pem)
	if err != nil {
		return nil, err
	}
	return authority.Issue(r, a.Name)
}

const authorityFile = "authority.pem"

// poll is how often a condition is looked at.
const poll = time.Millisecond
