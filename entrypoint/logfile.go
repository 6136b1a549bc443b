package entrypoint

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/weftstream/weft/conf"
)

// logMaxSize is the size of a log file in bytes; env.log.max is how many rolled ones are kept.
const logMaxSize = 10 << 20

// rolled is a log file that is renamed when it is full: name, name.1 (the one before), name.2 … It is safe for concurrent
// use.
type rolled struct {
	path string
	max  int64
	keep int // rolled files beside the present one

	mu   sync.Mutex // guards what follows
	f    *os.File
	size int64
}

// openRolled opens a log file for appending: that of an earlier process of the same name is continued.
func openRolled(path string, max int64, keep int) (*rolled, error) {
	r := &rolled{path: path, max: max, keep: keep}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rolled) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log file: %w", err), f.Close())
	}
	r.f, r.size = f, fi.Size()
	return nil
}

// Write appends b, which is not divided between files.
func (r *rolled) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size > 0 && r.size+int64(len(b)) > r.max {
		if err := r.roll(); err != nil {
			return 0, err
		}
	}
	n, err := r.f.Write(b)
	r.size += int64(n)
	return n, err
}

func (r *rolled) roll() error {
	if err := r.f.Close(); err != nil {
		return err
	}
	name := func(i int) string { return fmt.Sprintf("%s.%d", r.path, i) }
	if r.keep == 0 {
		if err := os.Remove(r.path); err != nil {
			return err
		}
	}
	for i := r.keep - 1; i >= 0; i-- {
		from := name(i)
		if i == 0 {
			from = r.path
		}
		if err := os.Rename(from, name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return r.open()
}

// Close closes the file.
func (r *rolled) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.f.Close()
}

// openLog opens the log file of a process, or takes standard error where there is no directory for one.
func openLog(p Process, name string) (*slog.Logger, io.Closer, error) {
	level := map[string]slog.Level{
		"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARN": slog.LevelWarn, "ERROR": slog.LevelError,
		"OFF": slog.LevelError + 4,
	}[conf.Get(p.Configuration(), conf.EnvLogLevel)]
	options := &slog.HandlerOptions{Level: level}
	if p.LogDir() == "" {
		return slog.New(slog.NewTextHandler(os.Stderr, options)), io.NopCloser(nil), nil
	}
	f, err := openProcessLog(p, name)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, options)), f, nil
}

// openProcessLog opens one of a process' log files.
func openProcessLog(p Process, name string) (*rolled, error) {
	return openRolled(filepath.Join(p.LogDir(), name), logMaxSize, conf.Get(p.Configuration(), conf.EnvLogMax))
}
