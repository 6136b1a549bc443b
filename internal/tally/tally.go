// Package tally is what the jobs share that test exactly-once ends: Counter, a function that counts records by key and puts out
// each count as a line, Fuse, which has it panic, and Once, which looks at the files that came of it. Counters belong to their
// subtasks; a Fuse is for any goroutine.
package tally

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/stream"
)

// Numbers is a source of the numbers from 0 to events-1, rate of them per second; 0 is without bound.
func Numbers(events int64, rate float64) stream.Source[int64] {
	return datagen.New(events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, datagen.Rate(rate))
}

// Counter is a process function that counts the records of each key, and emits a Line for every one.
type Counter struct {
	n      *stream.Value[int64]
	before func(record int64)
}

// NewCounter makes the Counter of a subtask. before, if not nil, is called with each record before that is counted; it may panic.
func NewCounter(rt *stream.Runtime, before func(record int64)) *Counter {
	return &Counter{stream.ValueState[int64](rt, "n"), before}
}

// Element counts a record.
func (c *Counter) Element(ctx *stream.Context[int64, string], record int64) error {
	if c.before != nil {
		c.before(record)
	}
	n, _ := c.n.Get()
	c.n.Set(n + 1)
	ctx.Emit(Line(ctx.Key, n+1))
	return nil
}

// Line is the key, a tab and the count.
func Line(key, count int64) string {
	return strconv.FormatInt(key, 10) + "\t" + strconv.FormatInt(count, 10)
}

// Fuse panics once, at a record that Set says. Safe for concurrent use; its zero value never panics.
type Fuse struct{ left atomic.Int64 }

// Set has the records-th Burn from now panic; -1: none does.
func (f *Fuse) Set(records int64) { f.left.Store(records) }

// Relight sets the fuse to what next says, and again each time that it has burnt, until that was done so many times or ctx is done.
func (f *Fuse) Relight(ctx context.Context, times int, next func() int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; times > 0; times-- {
		f.Set(next())
		for f.left.Load() > 0 {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// Burn is called with every record.
func (f *Fuse) Burn(int64) {
	if f.left.Add(-1) == 0 {
		panic("trouble")
	}
}

// Once checks that readers of dir see each line(i) for 0 <= i < n once, and nothing else.
func Once(dir string, n int64, line func(i int64) string) error {
	seen, err := Lines(dir)
	if err != nil {
		return err
	}
	missing, more, example := 0, 0, ""
	for i := range n {
		switch l := line(i); len(seen[l]) {
		case 1:
		case 0:
			if missing++; example == "" {
				example = fmt.Sprintf("%q is missing", l)
			}
		default:
			more++
			example = fmt.Sprintf("%q is there %d times, in %s", l, len(seen[l]), seen[l])
		}
	}
	if missing == 0 && more == 0 && int64(len(seen)) == n {
		return nil
	}
	return fmt.Errorf("%s: of %d lines %d are missing and %d there more than once; there are %d different ones; %s",
		filepath.Base(dir), n, missing, more, len(seen), example)
}

// EveryCountOnce is Once for the numbers from 0 to events-1, counted by their remainders.
func EveryCountOnce(dir string, events, keys int64) error {
	return Once(dir, events, func(i int64) string { return Line(i%keys, i/keys+1) })
}

// Lines are the lines that readers of dir and the directories in it see, each with the files that it is in. Hidden files may go
// meanwhile.
func Lines(dir string) (map[string][]string, error) {
	seen := map[string][]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name != dir {
			return nil
		}
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(name)
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSuffix(line, "\n")
			seen[line] = append(seen[line], e.Name())
		}
		return err
	})
	return seen, err
}
