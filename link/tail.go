package link

import (
	"bytes"
	"strings"
	"sync"
)

const (
	// TailSize is how much of an application's stderr is reported with its end, in bytes.
	TailSize = 8 << 10

	// crashSize is how much of that is kept for the beginning of the Go runtime's crash report: the traceback of all
	// goroutines that follows may be much longer than TailSize.
	crashSize = 3 << 10
)

// crashMarks begin a line of the Go runtime's crash report.
var crashMarks = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("runtime: out of memory"), []byte("SIGQUIT: ")}

// Tail keeps the end of a stream and the beginning of the last crash report in it. One goroutine writes; reading is
// safe at any time.
type Tail struct {
	mu       sync.Mutex
	last     []byte // the end: at most 2*TailSize, cut to TailSize when read
	cut      bool   // more was written than is in last
	line     []byte // the beginning of the line that is being written, as far as marks go
	lineDone bool   // line is known to be no mark, or one
	crash    []byte
	inCrash  bool // crash is being collected
}

// Write never fails.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last = append(t.last, b...); len(t.last) > 2*TailSize {
		t.last, t.cut = append(t.last[:0], t.last[len(t.last)-TailSize:]...), true
	}
	n := len(b)
	for len(b) > 0 {
		part := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			part = b[:i+1]
		}
		t.scan(part)
		b = b[len(part):]
	}
	return n, nil
}

// scan takes a line or a part of one.
func (t *Tail) scan(part []byte) {
	const enough = 32 // longer than every mark
	if t.inCrash {
		t.collect(part)
	}
	if !t.lineDone {
		t.line = append(t.line, part[:min(len(part), enough)]...)
		for _, mark := range crashMarks {
			// The report of running out of memory has several lines with marks: the first one begins it.
			if bytes.HasPrefix(t.line, mark) && (!t.inCrash || len(t.crash) >= crashSize) {
				t.crash, t.inCrash = t.crash[:0], true
				t.collect(t.line)
				if len(part) > enough {
					t.collect(part[enough:])
				}
				t.lineDone = true
				break
			}
		}
		t.lineDone = t.lineDone || len(t.line) >= enough
	}
	if part[len(part)-1] == '\n' {
		t.line, t.lineDone = t.line[:0], false
	}
}

func (t *Tail) collect(part []byte) {
	t.crash = append(t.crash, part[:min(len(part), crashSize-len(t.crash))]...)
}

// Crash is the beginning of the last crash report, or "".
func (t *Tail) Crash() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.crash), "\uFFFD")
}

// String is the last TailSize bytes at most, from the beginning of a line; if a crash report began before them, it begins with that.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := t.last
	if len(end) > TailSize {
		end = end[len(end)-TailSize:]
	}
	if t.cut || len(t.last) > TailSize {
		if i := bytes.IndexByte(end, '\n'); i >= 0 && i+1 < len(end) {
			end = end[i+1:]
		}
	}
	out := string(end)
	if len(t.crash) > 0 && !bytes.Contains(end, t.crash) {
		const gap = "\n...\n"
		out = string(t.crash) + gap + string(end[max(0, len(end)-(TailSize-len(t.crash)-len(gap))):])
	}
	return strings.ToValidUTF8(out, "\uFFFD")
}
