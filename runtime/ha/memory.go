package ha

import (
	"bytes"
	"context"
	"strconv"
	"sync"
)

// NewMemory returns a log that lives as long as the process: for a MiniCluster, or where no directory is configured.
func NewMemory() *Log { return &Log{store: &memory{entries: map[uint64]Record{}}, where: "in memory"} }

type memory struct {
	mu      sync.Mutex // guards the fields below
	epoch   uint64
	next    uint64
	entries map[uint64]Record
}

func (m *memory) acquire(ctx context.Context) (epochStore, []entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	return &memoryEpoch{m: m, n: m.epoch}, m.list(), nil
}

func (m *memory) read(ctx context.Context) ([]entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(), ctx.Err()
}

func (m *memory) list() []entry {
	var all []entry
	for n := range m.next {
		if r, ok := m.entries[n]; ok {
			all = append(all, entry{cloneRecord(r), strconv.FormatUint(n, 10)})
		}
	}
	return all
}

func cloneRecord(r Record) Record {
	r.Payload = bytes.Clone(r.Payload)
	return r
}

type memoryEpoch struct {
	m *memory
	n uint64
}

func (e *memoryEpoch) number() uint64 { return e.n }

func (e *memoryEpoch) append(_ context.Context, r Record) (string, error) {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	if e.m.epoch != e.n {
		return "", ErrFenced
	}
	n := e.m.next
	e.m.next++
	e.m.entries[n] = cloneRecord(r)
	return strconv.FormatUint(n, 10), nil
}

func (e *memoryEpoch) discard(_ context.Context, ref string) error {
	n, err := strconv.ParseUint(ref, 10, 64)
	if err != nil {
		return err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	delete(e.m.entries, n)
	return nil
}

func (e *memoryEpoch) check(context.Context) error {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	if e.m.epoch != e.n {
		return ErrFenced
	}
	return nil
}
