package file

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/stream"
)

const (
	// maxOpen bounds the parts that a subtask has open at a time.
	maxOpen = 128
	// blockOut is the buffer of a part; bucketBlock that of one of many.
	blockOut    = 256 << 10
	bucketBlock = 32 << 10
)

// Open makes the writer of a subtask, which makes a file when the first record comes.
func (s *FileSink[T]) Open(rt *stream.Runtime) (stream.SinkWriter[T], error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.what(), err)
	}
	return &writer[T]{sink: s, rt: rt, fsys: fsys, dir: dir, id: writerID(sinkID(rt.Operator(), s.dir)), open: map[string]*openPart[T]{}, now: rt.Now}, nil
}

type writer[T any] struct {
	sink *FileSink[T]
	rt   *stream.Runtime
	fsys filesystem.FileSystem
	dir  string
	id   string
	now  func() stream.Time

	parts  int                     // made so far
	last   *openPart[T]            // that got the last record; nil if it is closed
	open   map[string]*openPart[T] // by bucket
	order  []*openPart[T]          // those open, the oldest first
	closed []part                  // since the last Flush
	given  []part                  // handed out by Flush, and still hidden when last looked at
}

// openPart is a part that is being written.
type openPart[T any] struct {
	part
	bucket  string
	f       counted
	buf     *bufio.Writer
	encode  func(*T) error
	began   stream.Time
	touched stream.Time // the time of the last batch that wrote to it
	dirty   bool        // in this batch
}

// counted counts what was written.
type counted struct {
	filesystem.Writer
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}

func (w *writer[T]) Write(v *T, _ stream.Time) error {
	var bucket string
	if w.sink.bucket != nil {
		bucket = w.sink.bucket(*v)
	}
	p := w.last
	if p == nil || p.bucket != bucket {
		var err error
		if p, err = w.in(bucket); err != nil {
			return err
		}
		w.last = p
	}
	p.dirty = true
	if err := p.encode(v); err != nil {
		return w.failed(&p.part, err)
	}
	if size := w.sink.roll.size; size > 0 && p.f.n+int64(p.buf.Buffered()) >= size {
		return w.end(p)
	}
	return nil
}

// in is the open part of a bucket.
func (w *writer[T]) in(bucket string) (*openPart[T], error) {
	if p := w.open[bucket]; p != nil {
		return p, nil
	}
	if err := checkBucket(bucket); err != nil {
		return nil, fmt.Errorf("%s: %w", w.sink.what(), err)
	}
	if len(w.order) >= maxOpen {
		if err := w.end(w.order[0]); err != nil {
			return nil, err
		}
	}
	return w.create(bucket)
}

func (w *writer[T]) create(bucket string) (*openPart[T], error) {
	s := w.sink
	stem := fmt.Sprintf("%s-%d-%d-%d", s.prefix, w.rt.Subtask, w.rt.Attempt(), w.parts)
	w.parts++
	p := &openPart[T]{bucket: bucket, began: w.now(), part: part{
		From: path.Join(bucket, hiddenName(stem+s.suffix, w.rt.Job(), run{w.rt.Epoch(), w.rt.Attempt()}, w.id)), To: path.Join(bucket, stem+s.suffix),
		Spare: path.Join(bucket, stem+"-"+w.id+s.suffix), Job: w.rt.Job(), run: run{w.rt.Epoch(), w.rt.Attempt()}}}
	at := path.Join(w.dir, p.From)
	if err := w.fsys.MkdirAll(w.rt.Context(), path.Dir(at), 0o755); err != nil {
		return nil, w.failed(&p.part, err)
	}
	f, err := w.fsys.Create(w.rt.Context(), at, filesystem.CreateOptions{})
	if err != nil {
		return nil, w.failed(&p.part, err)
	}
	size := blockOut
	if s.bucket != nil {
		size = bucketBlock
	}
	p.f.Writer = f
	p.touched = p.began
	p.buf = bufio.NewWriterSize(&p.f, size)
	w.open[bucket], w.order = p, append(w.order, p) // from here on Close removes it
	if p.encode, err = s.format.open(p.buf); err != nil {
		return nil, w.failed(&p.part, err)
	}
	return p, nil
}

func (w *writer[T]) failed(p *part, err error) error {
	return fmt.Errorf("%s: part %s: %w", w.sink.what(), w.fsys.URI(path.Join(w.dir, p.From)), err)
}

// end makes a part durable. It stays among the open ones if that fails, so that Close removes it.
func (w *writer[T]) end(p *openPart[T]) error {
	if err := p.buf.Flush(); err != nil {
		return w.failed(&p.part, err)
	}
	if err := p.f.Close(); err != nil {
		return w.failed(&p.part, err)
	}
	w.closed = append(w.closed, p.part)
	delete(w.open, p.bucket)
	w.order = slices.DeleteFunc(w.order, func(o *openPart[T]) bool { return o == p })
	if w.last == p {
		w.last = nil
	}
	return nil
}

// EndBatch ends the parts whose time has come.
func (w *writer[T]) EndBatch() error {
	roll := w.sink.roll
	if roll.interval == 0 && roll.inactivity == 0 || len(w.order) == 0 {
		return nil
	}
	now := w.now()
	for _, p := range slices.Clone(w.order) {
		if p.dirty {
			p.dirty, p.touched = false, now
		}
		over := roll.interval > 0 && int64(now-p.began) >= roll.interval.Milliseconds()
		idle := roll.inactivity > 0 && int64(now-p.touched) >= roll.inactivity.Milliseconds()
		if over || idle {
			if err := w.end(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush ends all parts: at a barrier, or at the end of the input. The next record begins new ones. Parts that it handed
// out before and that are hidden still are handed out once more: their checkpoint may have been aborted, and then nobody
// else remembers them. Committing one twice does no harm.
func (w *writer[T]) Flush() ([][]byte, error) {
	for len(w.order) != 0 {
		if err := w.end(w.order[0]); err != nil {
			return nil, err
		}
	}
	w.given = slices.DeleteFunc(w.given, w.committed)
	for i := range w.given {
		w.given[i].Again = true
	}
	w.given = append(w.given, w.closed...)
	w.closed = nil // not this writer's to remove any more
	out := make([][]byte, 0, len(w.given))
	for i := range w.given {
		b, err := json.Marshal(w.given[i])
		if err != nil {
			return nil, w.failed(&w.given[i], err)
		}
		out = append(out, b)
	}
	return out, nil
}

// committed says that a part is hidden no more. What can't be found out isn't known to be.
func (w *writer[T]) committed(p part) bool {
	there, err := filesystem.Exists(w.rt.Context(), w.fsys, path.Join(w.dir, p.From))
	return err == nil && !there
}

// Close removes the parts that were not flushed. The subtask's context may have ended, so removing gets one of its own.
func (w *writer[T]) Close() error {
	ctx := context.WithoutCancel(w.rt.Context())
	var errs error
	for _, p := range w.order {
		errs = errors.Join(errs, p.f.Abort())
		w.closed = append(w.closed, p.part)
	}
	for i := range w.closed {
		err := w.fsys.Remove(ctx, path.Join(w.dir, w.closed[i].From), false)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	w.order, w.closed, w.last = nil, nil, nil
	clear(w.open)
	return errs
}
