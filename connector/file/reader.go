package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/stream"
)

const (
	blockSize = 256 << 10
	maxLine   = 16 << 20
)

// Open makes a reader.
func (source) Open(rt *stream.Runtime) (stream.SourceReader[string], error) {
	return &reader{rt: rt, block: blockSize}, nil
}

// reader reads the lines of pieces, a block at a time. Lines are strings over their block, so a block is never written
// again once it is full, and there is no copy and no allocation per line.
type reader struct {
	rt    *stream.Runtime
	block int // size of a new block
	left  []piece
	track *stream.SplitTracker
	split int // of the current piece, for track

	f    filesystem.File // of the current piece; nil when none is open
	uri  string
	end  int64 // lines that begin here or later aren't ours
	at   int64 // of the next line
	buf  []byte
	next int // of the next line in buf
	scan int // buf[next:scan] has no end of line
	eof  bool
	line string // here, since what emit is given would escape
}

// Track makes each piece a split of its own for the watermark, from its first line to its last.
func (r *reader) Track(t *stream.SplitTracker) { r.track = t }

func (r *reader) Add(split []byte) error {
	var pieces []piece
	if err := json.Unmarshal(split, &pieces); err != nil {
		return fmt.Errorf("read lines: split of %d bytes: %w", len(split), err)
	}
	r.left = append(r.left, pieces...)
	return nil
}

// Poll emits up to max lines, of one piece at most.
func (r *reader) Poll(max int, emit func(v *string, t stream.Time)) (bool, error) {
	if r.f == nil {
		if len(r.left) == 0 {
			return false, nil
		}
		if err := r.open(r.left[0]); err != nil {
			return false, err
		}
		r.left = r.left[1:]
	}
	for n := 0; n < max; {
		if r.at >= r.end {
			return r.finish()
		}
		i := bytes.IndexByte(r.buf[r.scan:], '\n')
		switch {
		case i >= 0:
			r.take(r.scan+i, 1, emit)
			n++
		case !r.eof:
			if err := r.fill(); err != nil {
				return false, err
			}
		default:
			if r.next < len(r.buf) {
				r.take(len(r.buf), 0, emit) // the last line has no end
			}
			return r.finish()
		}
	}
	return true, nil
}

// take emits the line that ends before to; skip is the length of its end.
func (r *reader) take(to, skip int, emit func(v *string, t stream.Time)) {
	line := r.buf[r.next:to]
	r.at += int64(len(line) + skip)
	r.next, r.scan = to+skip, to+skip
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	r.line = unsafe.String(unsafe.SliceData(line), len(line))
	emit(&r.line, stream.NoTime)
}

// open begins a piece. A line that began before it isn't ours, so reading begins a byte earlier: at that line's end.
func (r *reader) open(p piece) error {
	fsys, path, err := r.rt.Files().Resolve(p.URI)
	if err != nil {
		return fmt.Errorf("read lines: %w", err)
	}
	f, err := fsys.Open(r.rt.Context(), path)
	if err != nil {
		return fmt.Errorf("read lines of %s: %w", p.URI, err)
	}
	r.f, r.uri, r.end, r.at, r.eof = f, p.URI, p.End, p.Offset, false
	r.buf, r.next, r.scan = r.buf[len(r.buf):], 0, 0
	r.split = r.track.Open()
	r.track.Select(r.split)
	if p.Offset == 0 {
		return nil
	}
	if _, err := f.Seek(p.Offset-1, io.SeekStart); err != nil {
		return fmt.Errorf("read lines of %s: go to byte %d: %w", p.URI, p.Offset-1, err)
	}
	r.at = p.Offset - 1
	for {
		if i := bytes.IndexByte(r.buf[r.scan:], '\n'); i >= 0 {
			r.at += int64(i + 1)
			r.next, r.scan = r.scan+i+1, r.scan+i+1
			return nil
		}
		r.at += int64(len(r.buf) - r.scan)
		r.next, r.scan = len(r.buf), len(r.buf)
		if r.eof || r.at >= r.end {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// fill reads more behind what is left of the block, in a new block where the old one has no room: lines point into it.
func (r *reader) fill() error {
	rest := r.buf[r.next:]
	if len(rest) > maxLine {
		return fmt.Errorf("read lines of %s: the line at byte %d is longer than %d bytes", r.uri, r.at, maxLine)
	}
	if free := cap(rest) - len(rest); free < r.block/4 {
		b := make([]byte, len(rest), max(r.block, 2*len(rest)))
		copy(b, rest)
		rest = b
	}
	r.buf, r.next, r.scan = rest, 0, len(rest)
	n, err := io.ReadAtLeast(r.f, r.buf[len(r.buf):cap(r.buf)], 1)
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case errors.Is(err, io.EOF):
		r.eof = true
	case err != nil:
		return fmt.Errorf("read lines of %s at byte %d: %w", r.uri, r.at, err)
	}
	return nil
}

// finish ends a piece and says whether there are more.
func (r *reader) finish() (bool, error) {
	f := r.f
	r.f = nil
	r.track.Close(r.split)
	if err := f.Close(); err != nil {
		return false, fmt.Errorf("read lines of %s: close: %w", r.uri, err)
	}
	return len(r.left) != 0, nil
}

func (r *reader) Snapshot() ([][]byte, error) {
	left := r.left
	if r.f != nil && r.at < r.end {
		left = append([]piece{{r.uri, r.at, r.end}}, left...)
	}
	if len(left) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(left)
	return [][]byte{b}, err
}

// Close closes what is open.
func (r *reader) Close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	return f.Close()
}
