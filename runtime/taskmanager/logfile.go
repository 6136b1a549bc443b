package taskmanager

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// rollingFile is a log file that is renamed when it is full: name, name.1 (the one before), … name.<keep-1>. It is used
// by one goroutine.
type rollingFile struct {
	path string
	max  int64 // bytes in a file
	keep int   // files, the present one included
	f    *os.File
	size int64
}

func openRolling(path string, max int64, keep int) (*rollingFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the task host's log: %w", err)
	}
	return &rollingFile{path: path, max: max, keep: keep, f: f}, nil
}

// Write writes all of b, rolling where a file becomes full. Lines aren't kept together: a task host writes what it wants.
func (r *rollingFile) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		if r.size >= r.max {
			if err := r.roll(); err != nil {
				return written, err
			}
		}
		n, err := r.f.Write(b[:min(int64(len(b)), r.max-r.size)])
		written += n
		r.size += int64(n)
		if err != nil {
			return written, fmt.Errorf("write the task host's log: %w", err)
		}
		b = b[n:]
	}
	return written, nil
}

func (r *rollingFile) roll() error {
	closeErr := r.f.Close()
	for i := r.keep - 1; i > 0; i-- {
		if err := os.Rename(r.name(i-1), r.name(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("roll the task host's log: %w", err)
		}
	}
	next, err := openRolling(r.path, r.max, r.keep)
	if err != nil {
		return err
	}
	r.f, r.size = next.f, 0
	return closeErr
}

func (r *rollingFile) name(i int) string {
	if i == 0 {
		return r.path
	}
	return fmt.Sprintf("%s.%d", r.path, i)
}

// Close closes the file.
func (r *rollingFile) Close() error { return r.f.Close() }

// hostLogs removes the logs of the task hosts that ended longest ago. It is safe for concurrent use.
type hostLogs struct {
	dir  string
	keep int // task hosts

	mu    sync.Mutex
	ended []string // names of task hosts, oldest first
}

// hostEnded says that nobody writes the logs of that name any more.
func (l *hostLogs) hostEnded(name string) error {
	l.mu.Lock()
	l.ended = append(l.ended, name)
	n := max(0, len(l.ended)-l.keep)
	old := slices.Clone(l.ended[:n])
	l.ended = slices.Delete(l.ended, 0, n)
	l.mu.Unlock()
	var errs []error
	for _, name := range old {
		for _, stream := range []string{".out", ".err"} {
			base := filepath.Join(l.dir, name+stream)
			errs = append(errs, remove(base))
			for i := 1; ; i++ {
				err := os.Remove(fmt.Sprintf("%s.%d", base, i))
				if err != nil {
					if !errors.Is(err, os.ErrNotExist) {
						errs = append(errs, err)
					}
					break
				}
			}
		}
	}
	return errors.Join(errs...)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
