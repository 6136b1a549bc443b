package filesystem

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Split is a piece of a file of lines. A line belongs to the split in which its first byte lies, so that any division
// of a file yields every line exactly once.
type Split struct {
	// Path of the file.
	Path string
	// Offset and Length in bytes.
	Offset, Length int64
}

// Splits divides a file into pieces of about size bytes, the last of which may be half as large again. size 0 means
// the file's block size, and one piece where there are no blocks. An empty file has none.
func Splits(i Info, size int64) []Split {
	if size <= 0 {
		size = i.BlockSize
	}
	if size <= 0 {
		size = i.Size
	}
	var splits []Split
	for off := int64(0); off < i.Size; {
		n := size
		if rest := i.Size - off; rest < size+size/2 {
			n = rest
		}
		splits = append(splits, Split{Path: i.Path, Offset: off, Length: n})
		off += n
	}
	return splits
}

// ErrLineTooLong is returned by LineReader.Next for a line beyond LineOptions.MaxLine.
var ErrLineTooLong = errors.New("line too long")

// LineOptions configures a LineReader.
type LineOptions struct {
	// MaxLine is the longest line in bytes; 0 means 16 MiB.
	MaxLine int
	// Buffer is the size of the read buffer in bytes; 0 means 256 KiB.
	Buffer int
}

// LineReader reads the lines of a Split. It belongs to one goroutine.
type LineReader struct {
	f       File
	path    string
	r       *bufio.Reader
	pos     int64 // of the next line
	end     int64 // lines that start here or later belong to the next split
	maxLine int
	long    []byte // a line that didn't fit into the buffer
}

// OpenLines returns a reader of the lines of s. To go on after a checkpoint, open the split that starts at Position and
// ends where the first one did.
func OpenLines(ctx context.Context, fsys FileSystem, s Split, o LineOptions) (*LineReader, error) {
	if o.MaxLine <= 0 {
		o.MaxLine = 16 << 20
	}
	if o.Buffer <= 0 {
		o.Buffer = 256 << 10
	}
	f, err := fsys.Open(ctx, s.Path)
	if err != nil {
		return nil, err
	}
	l := &LineReader{
		f: f, path: fsys.URI(s.Path), r: bufio.NewReaderSize(f, o.Buffer),
		pos: s.Offset, end: s.Offset + s.Length, maxLine: o.MaxLine,
	}
	if s.Offset > 0 {
		if err := l.skipPartial(); err != nil {
			f.Close()
			return nil, err
		}
	}
	return l, nil
}

// skipPartial moves to the first line that starts at or after the offset. It begins one byte earlier: if that is a line
// feed, a line starts right at the offset.
func (l *LineReader) skipPartial() error {
	l.pos--
	if _, err := l.f.Seek(l.pos, io.SeekStart); err != nil {
		return err
	}
	for {
		part, err := l.r.ReadSlice('\n')
		l.pos += int64(len(part))
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read %s: %w", l.path, err)
		case l.pos >= l.end:
			return nil // no line starts in this split
		}
	}
}

// Next returns the next line without its line feed or carriage return and line feed, and the offset of its first byte.
// The slice is valid until the next call. At the end of the split the error is io.EOF. The last line of a file needs no
// line feed.
func (l *LineReader) Next() (line []byte, offset int64, err error) {
	if l.pos >= l.end {
		return nil, 0, io.EOF
	}
	start := l.pos
	line, err = l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.readLong(line)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("read %s: line at byte %d: %w", l.path, start, err)
	}
	if len(line) == 0 {
		return nil, 0, io.EOF
	}
	l.pos += int64(len(line))
	line = bytes.TrimSuffix(line, []byte{'\n'})
	if len(line) > l.maxLine {
		return nil, 0, fmt.Errorf("read %s: line at byte %d: %w (%d bytes, at most %d)", l.path, start, ErrLineTooLong, len(line), l.maxLine)
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), start, nil
}

func (l *LineReader) readLong(first []byte) ([]byte, error) {
	l.long = append(l.long[:0], first...)
	for {
		part, err := l.r.ReadSlice('\n')
		l.long = append(l.long, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
		if len(l.long) > l.maxLine {
			return nil, fmt.Errorf("%w (at most %d bytes)", ErrLineTooLong, l.maxLine)
		}
	}
}

// Position is the offset of the next line: what a checkpoint stores.
func (l *LineReader) Position() int64 { return l.pos }

// Close closes the file.
func (l *LineReader) Close() error { return l.f.Close() }
