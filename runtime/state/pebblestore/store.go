// Package pebblestore keeps keyed state in a Pebble database on local disk: the store behind the caches of package
// runtime/state, for jobs whose state.backend.type is pebble.
//
// One Store serves all subtasks of a task host. It has no write-ahead log: checkpoints are what survives the host.
package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/weftstream/weft/operator"
)

// Config is what a Store is made with.
type Config struct {
	// Dir is where the database is; it must not exist yet, or be empty.
	Dir string
	// Memory bounds what the store and the caches before it take, in bytes; at least MinMemory.
	Memory int64
	// CacheRatio is the share of Memory that the caches before the store get, 0 < CacheRatio < 1. Pebble's own block cache
	// and write buffers share the rest.
	CacheRatio float64
	// FS is the file system, the operating system's when nil.
	FS vfs.FS
}

// MinMemory is the least memory of a store.
const MinMemory = 4 << 20

// Store is an operator.StateStore. Its methods are safe for concurrent use.
type Store struct {
	db       *pebble.DB
	cache    *pebble.Cache
	dir      string
	fs       vfs.FS
	memory   int64 // of the caches before it
	members  atomic.Int64
	prefixes atomic.Uint32
}

// minBuffer and maxBuffer bound a write buffer of the database, in bytes.
const (
	minBuffer = 256 << 10
	maxBuffer = 64 << 20
)

// Open makes an empty store.
func Open(c Config) (*Store, error) {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Memory < MinMemory {
		return nil, fmt.Errorf("open the state store in %s: it gets %d bytes of memory and needs at least %d", c.Dir, c.Memory, MinMemory)
	}
	s := &Store{dir: c.Dir, fs: c.FS, memory: int64(float64(c.Memory) * c.CacheRatio)}
	own := c.Memory - s.memory
	s.cache = pebble.NewCache(own / 2)
	o := &pebble.Options{
		FS: c.FS, Cache: s.cache, DisableWAL: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		// One buffer is filled while another is written.
		MemTableSize:                uint64(min(max(own/4, minBuffer), maxBuffer)),
		MemTableStopWritesThreshold: 2,
		MaxOpenFiles:                256,
		ErrorIfExists:               true,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(c.Dir, o)
	if err != nil {
		s.cache.Unref()
		return nil, fmt.Errorf("open the state store in %s: %w", c.Dir, err)
	}
	s.db = db
	return s, nil
}

// Close ends the store and removes its directory. All views must be closed.
func (s *Store) Close() error {
	err := s.db.Close()
	s.cache.Unref()
	if e := s.fs.RemoveAll(s.dir); err == nil && !errors.Is(e, os.ErrNotExist) {
		err = e
	}
	if err != nil {
		return fmt.Errorf("close the state store in %s: %w", s.dir, err)
	}
	return nil
}

// Prefix implements operator.StateStore.
func (s *Store) Prefix() uint32 { return s.prefixes.Add(1) }

// Join implements operator.StateStore.
func (s *Store) Join() { s.members.Add(1) }

// Leave implements operator.StateStore.
func (s *Store) Leave() { s.members.Add(-1) }

// Share implements operator.StateStore.
func (s *Store) Share() int64 { return s.memory / max(1, s.members.Load()) }

// Get implements operator.StateStore.
func (s *Store) Get(key []byte, use func([]byte) error) (bool, error) {
	b, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = use(b)
		if e := closer.Close(); err == nil {
			err = e
		}
	}
	return err == nil, s.failed("read from", err)
}

// batchSize is the size in bytes after which a batch is applied; a buffer must have room for it.
const batchSize = minBuffer / 4

// Apply implements operator.StateStore. What is large is made visible in parts.
func (s *Store) Apply(fill func(operator.StateBatch) error) error {
	b := &batch{s: s, b: s.db.NewBatch()}
	err := fill(b)
	if err == nil {
		err = b.commit()
	}
	if e := b.b.Close(); err == nil {
		err = e
	}
	return s.failed("write to", err)
}

// DeleteRange implements operator.StateStore.
func (s *Store) DeleteRange(from, to []byte) error {
	return s.failed("delete from", s.db.DeleteRange(from, to, pebble.NoSync))
}

// View implements operator.StateStore.
func (s *Store) View() (operator.StateView, error) { return &view{s, s.db.NewSnapshot()}, nil }

func (s *Store) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the state store in %s: %w", what, s.dir, err)
}

// batch is a batch of the database.
type batch struct {
	s *Store
	b *pebble.Batch
}

func (b *batch) Set(key, value []byte) error {
	if err := b.b.Set(key, value, nil); err != nil {
		return err
	}
	return b.full()
}

func (b *batch) Delete(key []byte) error {
	if err := b.b.Delete(key, nil); err != nil {
		return err
	}
	return b.full()
}

func (b *batch) full() error {
	if b.b.Len() < batchSize {
		return nil
	}
	err := b.commit()
	b.b.Reset()
	return err
}

func (b *batch) commit() error { return b.b.Commit(pebble.NoSync) }

// view is a snapshot of the database.
type view struct {
	s    *Store
	snap *pebble.Snapshot
}

func (v *view) Scan(from, to []byte, yield func(key, value []byte) error) error {
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return v.s.failed("read from", err)
	}
	var stop error
	for ok := it.First(); ok && stop == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		stop = yield(it.Key(), value)
	}
	if e := it.Close(); err == nil {
		err = e
	}
	if stop != nil {
		return stop
	}
	return v.s.failed("read from", err)
}

func (v *view) Close() error { return v.snap.Close() }

// quiet drops what the database says of itself, except what ends the process.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("state store: "+format, args...))
}
