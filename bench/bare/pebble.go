package bare

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/weftstream/weft/bench/gen"
)

// WindowOnPebble is Window with what it adds up in a Pebble database in dir, which must not exist: every record reads the
// sums of its key and window and writes them back. memory bounds the database's, in bytes. The database has the options of
// the state backend.
func WindowOnPebble(records int64, keys uint64, parallelism int, dir string, memory int64) (sum uint64, err error) {
	cache := pebble.NewCache(memory / 2)
	defer cache.Unref()
	o := &pebble.Options{Cache: cache, DisableWAL: true, Logger: quiet{pebble.DefaultLogger}, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: uint64(min(memory/4, 64<<20)), MemTableStopWritesThreshold: 2, MaxOpenFiles: 256}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := sums{db: db}
	gens := make([]gen.Rand, parallelism)
	left, done := make([]int64, parallelism), make([]int64, parallelism)
	for i := range gens {
		gens[i], left[i] = gen.New(i), gen.Share(records, i, parallelism)
	}
	for busy := true; busy; {
		busy = false
		watermark := int64(-1)
		for i := range gens { // a thousand records of each subtask in turn, then the watermark
			for range min(1000, left[i]-done[i]) {
				e := gens[i].Event(keys)
				ts := done[i] / 1000
				done[i]++
				if err := s.add(ts-ts%1000, e.Key, e.Value); err != nil {
					return 0, err
				}
			}
			if done[i] < left[i] {
				busy = true
				if w := done[i]/1000 - 1; watermark < 0 || w < watermark {
					watermark = w
				}
			}
		}
		if !busy {
			watermark = 1 << 62
		}
		for len(s.open) != 0 && s.open[0]+999 <= watermark {
			n, err := s.fire(s.open[0])
			if err != nil {
				return 0, err
			}
			sum, s.open = sum+n, s.open[1:]
		}
	}
	return sum, nil
}

// sums are the open windows. A key of the database is the window's start and the record's key, a value count and sum.
type sums struct {
	db   *pebble.DB
	open []int64 // the starts of the windows, in order: records come in the order of their times, but for those of others
	key  [16]byte
	val  [16]byte
}

func (s *sums) add(start, key, value int64) error {
	if n := len(s.open); n == 0 || s.open[n-1] < start {
		s.open = append(s.open, start)
	}
	binary.BigEndian.PutUint64(s.key[:], uint64(start))
	binary.BigEndian.PutUint64(s.key[8:], uint64(key))
	var count, sum uint64
	switch b, closer, err := s.db.Get(s.key[:]); {
	case errors.Is(err, pebble.ErrNotFound):
	case err != nil:
		return err
	default:
		count, sum = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		if err := closer.Close(); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint64(s.val[:], count+1)
	binary.LittleEndian.PutUint64(s.val[8:], sum+uint64(value))
	return s.db.Set(s.key[:], s.val[:], pebble.NoSync)
}

// fire adds up PaneSum over a window and removes it.
func (s *sums) fire(start int64) (sum uint64, err error) {
	from, to := binary.BigEndian.AppendUint64(nil, uint64(start)), binary.BigEndian.AppendUint64(nil, uint64(start+1))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return 0, errors.Join(err, it.Close())
		}
		sum += PaneSum(int64(binary.BigEndian.Uint64(it.Key()[8:])), int64(binary.LittleEndian.Uint64(v)), int64(binary.LittleEndian.Uint64(v[8:])), start)
	}
	if err := it.Close(); err != nil {
		return 0, err
	}
	return sum, s.db.DeleteRange(from, to, pebble.NoSync)
}

// quiet drops what the database says of itself.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
