package task_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// place is where a pair of a register is: its key group, its part and its key.
type place struct {
	group, part, key byte
}

// id is the place as a pair begins with it.
func (p place) id() []byte { return []byte{p.part, p.key, p.group} }

// registers is an operator.Incremental over a map, which doesn't need to be good.
type registers struct {
	Base
	mu       sync.Mutex
	rnd      *rand.Rand
	from, to int // key groups
	state    map[place]uint64
	seq      int64
	changed  map[place]int64            // the seq of the last change
	barriers map[int64]int64            // seq by checkpoint
	views    map[int64]map[place]uint64 // the state at barriers
	taken    chan struct{}              // a value for every snapshot
	gates    map[int64]chan struct{}    // closed when the snapshot may be written
	tidy     bool                       // a group that is empty is left out
	restored map[place]uint64
	shared   *sync.Mutex
	built    *int // groups written as changes; guarded by shared
}

var errBase = errors.New("a base that was no incremental checkpoint, or is forgotten")

func (o *registers) Input(int) operator.Input           { return nil }
func (o *registers) Poll() (time.Duration, bool, error) { return time.Hour, false, nil }

// change changes the state at random.
func (o *registers) change() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range o.rnd.IntN(6) {
		o.seq++
		p := place{byte(o.from + o.rnd.IntN(o.to-o.from)), byte(o.rnd.IntN(3)), byte(o.rnd.IntN(100))}
		switch o.rnd.IntN(100) {
		case 0: // a part goes
			for other := range o.state {
				if other.part == p.part {
					delete(o.state, other)
					o.changed[other] = o.seq
				}
			}
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
			delete(o.state, p)
			o.changed[p] = o.seq
		default:
			o.state[p] = o.rnd.Uint64()
			o.changed[p] = o.seq
		}
	}
}

func (o *registers) Snapshot(id int64) (operator.StateSnapshot, error) { return o.snapshot(id, nil) }

func (o *registers) SnapshotSince(id, base int64) (operator.StateSnapshot, error) {
	return o.snapshot(id, &base)
}

func (o *registers) snapshot(id int64, base *int64) (operator.StateSnapshot, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := &registerSnapshot{o: o, state: maps.Clone(o.state), gate: make(chan struct{}), base: base, rnd: rand.New(rand.NewPCG(o.rnd.Uint64(), 1)),
		changed: map[place]bool{}}
	o.views[id], o.gates[id] = s.state, s.gate
	if base != nil {
		since, known := o.barriers[*base]
		if *base != 0 && !known {
			return nil, errBase
		}
		for p, at := range o.changed {
			if *base == 0 || at > since {
				s.changed[p] = true
			} else if _, there := o.state[p]; !there {
				delete(o.changed, p)
			}
		}
		maps.DeleteFunc(o.barriers, func(id, _ int64) bool { return id < *base })
		o.barriers[id] = o.seq
	}
	o.taken <- struct{}{}
	return s, nil
}

func (o *registers) Restore(r operator.StateReader) error {
	for b, err := range r.Blocks("registers") {
		if err != nil {
			return err
		}
		if err := addPairs(o.state, b.Data); err != nil {
			return err
		}
	}
	o.restored = maps.Clone(o.state)
	for p := range o.state {
		o.changed[p] = 0
	}
	return nil
}

// addPairs adds the pairs of a block to a state; each has to be there once.
func addPairs(state map[place]uint64, data []byte) error {
	for ; len(data) > 0; data = data[11:] {
		p := place{data[2], data[0], data[1]}
		if _, twice := state[p]; twice {
			return fmt.Errorf("%v is in the state twice", p)
		}
		state[p] = binary.BigEndian.Uint64(data[3:11])
	}
	return nil
}

type registerSnapshot struct {
	o       *registers
	state   map[place]uint64
	changed map[place]bool
	base    *int64 // nil for a whole snapshot
	gate    chan struct{}
	rnd     *rand.Rand
}

func (s *registerSnapshot) Release() {}

func (s *registerSnapshot) Write(w operator.StateWriter) error {
	select {
	case <-s.gate:
	case <-s.o.Env.Runtime.Context().Done():
	}
	if err := w.Begin(operator.StateDescriptor{Name: "registers", Kind: operator.KeyedState}); err != nil {
		return err
	}
	c, ok := w.(operator.ChangeWriter)
	if ok != (s.base != nil) {
		return fmt.Errorf("a writer %T for base %v", w, s.base)
	}
	if !ok {
		return s.writeBlocks(w)
	}
	for part := range byte(3) {
		if err := s.writePart(c, part); err != nil {
			return err
		}
	}
	if err := w.Begin(operator.StateDescriptor{Name: "list", Kind: operator.ListState}); err != nil {
		return err
	}
	return w.Block(-1, bytes.Repeat([]byte{7}, 30))
}

func (s *registerSnapshot) writeBlocks(w operator.StateWriter) error {
	for p, v := range s.state {
		if err := w.Block(int(p.group), binary.BigEndian.AppendUint64(p.id(), v)); err != nil {
			return err
		}
	}
	return nil
}

func (s *registerSnapshot) writePart(w operator.ChangeWriter, part byte) error {
	of := func(places func(func(place) bool), group int) (all []place) {
		for p := range places {
			if p.part == part && int(p.group) == group {
				all = append(all, p)
			}
		}
		slices.SortFunc(all, func(a, b place) int { return int(a.key) - int(b.key) })
		return all
	}
	begun := false
	for group := s.o.from; group < s.o.to; group++ {
		there := of(maps.Keys(s.state), group)
		if len(there) == 0 && (s.o.tidy || s.rnd.IntN(2) == 0) {
			continue
		}
		if !begun {
			if err := w.Part([]byte{part}); err != nil {
				return err
			}
			begun = true
		}
		write, places := w.Whole, there
		if *s.base != 0 && w.Builds(group) {
			write, places = w.Changes, of(maps.Keys(s.changed), group)
			s.o.shared.Lock()
			*s.o.built++
			s.o.shared.Unlock()
		} else if !w.Builds(group) && s.rnd.IntN(20) == 0 && w.Changes(group, nil) == nil {
			return errors.New("changes are taken of what is to be written whole")
		}
		if err := s.writeEntries(group, places, write); err != nil {
			return err
		}
	}
	return nil
}

func (s *registerSnapshot) writeEntries(group int, places []place, write func(int, []byte) error) error {
	var entries []byte
	for _, p := range places {
		if v, there := s.state[p]; there {
			entries = operator.AppendEntry(entries, p.id(), binary.BigEndian.AppendUint64(nil, v))
		} else {
			entries = operator.AppendRemoval(entries, p.id())
		}
		if s.rnd.IntN(4) == 0 {
			if err := write(group, entries); err != nil {
				return err
			}
			clear(entries) // the caller's again
			entries = entries[:0]
		}
	}
	return write(group, entries)
}
