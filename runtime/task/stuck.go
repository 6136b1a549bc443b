package task

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/weftstream/weft/link/linkpb"
)

// maxDump bounds the dump of all goroutines that a subtask's stack is taken from, in bytes. One that comes behind it isn't found.
const maxDump = 16 << 20

// Stuck describes where subtasks are at this moment that don't do what they were asked to: a Failure each, with the stack of the
// subtask's own goroutine, whose message begins with what says. One that has no stack has ended meanwhile, or not begun. All
// goroutines of the process stop while their stacks are taken, so it is nothing to do often. Safe for concurrent use.
func Stuck(tasks []*Task, what string) []*linkpb.Failure {
	dump := stacks()
	all := make([]*linkpb.Failure, len(tasks))
	for i, t := range tasks {
		stack := cutStack(dump, t.goroutine.Load())
		f := &linkpb.Failure{Vertex: t.vertex.GetName(), Subtask: t.ID().GetSubtask(), Host: t.job.Resource, Stack: stack,
			TimeMs: time.Now().UnixMilli(), Message: fmt.Sprintf("%s (%d/%d) %s", t.vertex.GetName(), t.ID().GetSubtask()+1, t.vertex.GetParallelism(), what)}
		if at := position(stack); at != "" {
			f.Message += "; it is in " + at
		}
		all[i] = f
	}
	return all
}

// CancelledAt is when Cancel was first called; zero before.
func (t *Task) CancelledAt() time.Time {
	if at := t.cancelledAt.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Taken says that the subtask has taken its part in a checkpoint, or in a later one; what it took may still be being written.
func (t *Task) Taken(checkpoint int64) bool { return t.taken.Load() >= checkpoint }

// goroutineHeader is the number that the runtime shows of the goroutine that calls it: "goroutine 7 ".
func goroutineHeader() string {
	buf := make([]byte, 64)
	header, _, _ := bytes.Cut(buf[:runtime.Stack(buf, false)], []byte("["))
	return string(header)
}

// stacks is a dump of all goroutines.
func stacks() []byte {
	for size := 1 << 20; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= maxDump {
			return buf[:n]
		}
	}
}

// cutStack cuts a goroutine's stack out of a dump, without its header; "" if it isn't there.
func cutStack(dump []byte, header *string) string {
	if header == nil {
		return ""
	}
	start := bytes.Index(dump, []byte("\n"+*header+"["))
	if bytes.HasPrefix(dump, []byte(*header+"[")) {
		start = 0
	}
	if start < 0 {
		return ""
	}
	stack, _, _ := bytes.Cut(bytes.TrimPrefix(dump[start:], []byte("\n")), []byte("\n\n"))
	_, stack, _ = bytes.Cut(stack, []byte("\n"))
	if len(stack) > maxStack {
		stack = append(bytes.Clone(stack[:maxStack]), "\n..."...)
	}
	return string(stack)
}

// position is the innermost call of a stack that isn't of the standard library: "main.(*slow).Element (/src/job.go:12)".
func position(stack string) string {
	lines := strings.Split(stack, "\n")
	first := ""
	for i := 0; i+1 < len(lines); i += 2 {
		name := lines[i]
		if open := strings.LastIndexByte(name, '('); open > 0 {
			name = name[:open]
		}
		file, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		at := fmt.Sprintf("%s (%s)", name, file)
		if first == "" {
			first = at
		}
		// A path with a dot in its first element, or the program itself.
		if head, _, _ := strings.Cut(name, "/"); strings.HasPrefix(name, "main.") || strings.Contains(name, "/") && strings.Contains(head, ".") {
			return at
		}
	}
	return first
}
