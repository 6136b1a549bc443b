package pebble

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

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
	trouble  atomic.Pointer[trouble]
}

// trouble is the last failure of the database to put on disk what it has. It tries again and again, and nothing is lost
// meanwhile, but what is written has nowhere to go.
type trouble struct {
	err error
	at  time.Time
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
		return nil, fmt.Errorf("open the state store in %s: it gets %d bytes of memory and needs at least %d; raise state.backend.pebble.memory.fixed-per-host", c.Dir, c.Memory, MinMemory)
	}
	s := &Store{dir: c.Dir, fs: c.FS, memory: int64(float64(c.Memory) * c.CacheRatio)}
	own := c.Memory - s.memory
	s.cache = pebble.NewCache(own / 2)
	o := &pebble.Options{
		FS: patient{c.FS, s}, Cache: s.cache, DisableWAL: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		// One buffer is filled while another is written.
		MemTableSize:                uint64(min(max(own/4, minBuffer), maxBuffer)),
		MemTableStopWritesThreshold: 2,
		MaxOpenFiles:                256,
		ErrorIfExists:               true,
		EventListener:               &pebble.EventListener{BackgroundError: func(err error) { s.trouble.Store(&trouble{err, time.Now()}) }},
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
func (s *Store) Get(key []byte, use func([]byte) error) (bool, error) { return s.get(s.db, key, use) }

func (s *Store) get(from pebble.Reader, key []byte, use func([]byte) error) (bool, error) {
	b, closer, err := from.Get(key)
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
	err := s.writable()
	if err == nil {
		err = s.db.DeleteRange(from, to, pebble.NoSync)
	}
	return s.failed("delete from", err)
}

// retryPause is between two attempts of the database to write a file, when one has failed; troubleLasts is how long the
// failure of one counts.
const (
	retryPause   = 50 * time.Millisecond
	troubleLasts = time.Second
)

// writable is an error while the database can't put on disk what it has: a write would soon wait for that, and a subtask
// that waits here can't be cancelled.
func (s *Store) writable() error {
	if t := s.trouble.Load(); t != nil && time.Since(t.at) < troubleLasts {
		return t.err
	}
	return nil
}

// patient is a file system for a database that doesn't pause between attempts.
type patient struct {
	vfs.FS
	s *Store
}

// Create implements vfs.FS.
func (p patient) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if p.s.writable() != nil {
		time.Sleep(retryPause)
	}
	return p.FS.Create(name, c)
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

func (b *batch) commit() error {
	if err := b.s.writable(); err != nil {
		return err
	}
	return b.b.Commit(pebble.NoSync)
}

// view is a snapshot of the database.
type view struct {
	s    *Store
	snap *pebble.Snapshot
}

func (v *view) Get(key []byte, use func([]byte) error) (bool, error) {
	return v.s.get(v.snap, key, use)
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
