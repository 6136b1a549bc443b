package task

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network"
)

// maxStack bounds the stack that a Failure carries.
const maxStack = 16 << 10

// errGoexit is the failure of a subtask whose user code ended its goroutine.
var errGoexit = errors.New("user code called runtime.Goexit (testing.T.FailNow does, too); return an error instead")

// PanicError is a recovered panic of user code.
type PanicError struct {
	// Value is what panic was called with.
	Value any
	// Stack is the goroutine's stack, from the frame that panicked.
	Stack string
}

// Error says what the panic was; one line.
func (e *PanicError) Error() string {
	line, _, _ := strings.Cut(fmt.Sprint(e.Value), "\n")
	return "panic: " + line
}

// Unwrap returns the value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Protect calls f and turns a panic into a *PanicError.
func Protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: trimStack(string(debug.Stack()))}
		}
	}()
	return f()
}

// protect is Protect that blames the operator that ran.
func (t *Task) protect(f func() error) error {
	err := Protect(f)
	var p *PanicError
	if errors.As(err, &p) && t.current >= 0 {
		_ = t.blame(t.current, err)
	}
	return err
}

// blame notes which operator an error comes from: the first that returned it, as the others only pass it on.
func (t *Task) blame(at int, err error) error {
	if t.blamed < 0 {
		t.blamed = at
	}
	return err
}

// trimStack cuts the goroutine's header and what the panic itself called: the stack begins at the frame that panicked.
func trimStack(stack string) string {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	first := 1
	for i := 1; i+1 < len(lines); i += 2 {
		if strings.HasPrefix(lines[i], "panic(") {
			first = i + 2
			break
		}
	}
	for first+1 < len(lines) && strings.HasPrefix(lines[first], "runtime.") {
		first += 2
	}
	text := strings.Join(lines[min(first, len(lines)):], "\n")
	if len(text) > maxStack {
		text = text[:maxStack] + "\n..."
	}
	return text
}

// failure describes err for people and for the JobMaster.
func (t *Task) failure(err error) *linkpb.Failure {
	f := FailureOf(err)
	f.Vertex, f.Subtask, f.Host = t.vertex.GetName(), t.ID().GetSubtask(), t.job.Resource
	where := t.vertex.GetName()
	if t.blamed >= 0 && t.blamed < len(t.chain) {
		f.Operator = t.chain[t.blamed].node.Name
		where = f.Operator
	}
	f.Message = fmt.Sprintf("%s (%d/%d): %s", where, t.ID().GetSubtask()+1, t.vertex.GetParallelism(), f.GetMessage())
	return f
}

// FailureOf makes the part of a Failure that follows from err alone. A lost connection to a peer is secondary.
func FailureOf(err error) *linkpb.Failure {
	f := &linkpb.Failure{Message: oneLine(err.Error()), TimeMs: time.Now().UnixMilli(), Permanent: operator.IsPermanent(err)}
	var p *PanicError
	if errors.As(err, &p) {
		f.Stack = p.Stack
	}
	var lost *network.PeerLostError
	if errors.As(err, &lost) && !errors.Is(err, network.ErrHandshake) {
		f.Secondary, f.LostPeer = true, lost.Peer
	}
	// Cancelled without a Cancel: the host is closing under the subtask.
	if errors.Is(err, operator.ErrCancelled) || errors.Is(err, network.ErrClosed) {
		f.Secondary = true
	}
	return f
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }
