package nexmark

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/weftstream/weft/stream"
)

// source gives each subtask a generator.
type source struct{ events, rate int64 }

func (s source) String() string { return "Nexmark" }
func (s source) Bounded() bool  { return true }

// Splits are as many as subtasks at first: the next number of a generator, its first and its end.
func (s source) Splits(rt *stream.Runtime, snapshot []byte) (stream.Splits, error) {
	if snapshot != nil {
		return parseSplits(snapshot)
	}
	sp := &splits{}
	for i := range rt.Parallelism {
		g := NewGenerator(s.events, s.rate, i, rt.Parallelism)
		sp.left = append(sp.left, encodeSplit(g.First, g))
	}
	return sp, nil
}

func (s source) Open(*stream.Runtime) (stream.SourceReader[Event], error) {
	return &reader{rate: s.rate}, nil
}

const splitBytes = 24

func encodeSplit(next int64, g Generator) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(next))
	b = binary.LittleEndian.AppendUint64(b, uint64(g.First))
	return binary.LittleEndian.AppendUint64(b, uint64(g.End))
}

type splits struct{ left [][]byte }

func parseSplits(b []byte) (*splits, error) {
	if len(b)%splitBytes != 0 {
		return nil, fmt.Errorf("nexmark: splits of %d bytes", len(b))
	}
	sp := &splits{}
	for ; len(b) > 0; b = b[splitBytes:] {
		sp.left = append(sp.left, b[:splitBytes])
	}
	return sp, nil
}

func (s *splits) Next(int) ([]byte, bool, error) {
	if len(s.left) == 0 {
		return nil, false, nil
	}
	split := s.left[0]
	s.left = s.left[1:]
	return split, len(s.left) > 0, nil
}

func (s *splits) TakeBack(splits [][]byte) { s.left = append(s.left, splits...) }

func (s *splits) Snapshot() ([]byte, error) {
	b := []byte{}
	for _, split := range s.left {
		b = append(b, split...)
	}
	return b, nil
}

type reader struct {
	rate int64
	open []*position
	e    Event // here, since what emit is given would escape
}

type position struct {
	Generator
	next int64
}

func (r *reader) Add(split []byte) error {
	if len(split) != splitBytes {
		return fmt.Errorf("nexmark: split of %d bytes", len(split))
	}
	u := binary.LittleEndian.Uint64
	r.open = append(r.open, &position{Generator{int64(u(split[8:])), int64(u(split[16:])), r.rate}, int64(u(split))})
	return nil
}

// Poll reads from the generator that is furthest behind.
func (r *reader) Poll(max int, emit func(v *Event, t stream.Time)) (bool, error) {
	for ; max > 0 && len(r.open) > 0; max-- {
		behind := 0
		for i, p := range r.open {
			if p.next-p.First < r.open[behind].next-r.open[behind].First {
				behind = i
			}
		}
		p := r.open[behind]
		if p.next >= p.End {
			r.open = slices.Delete(r.open, behind, behind+1)
			continue
		}
		p.Event(p.next, &r.e)
		p.next++
		emit(&r.e, stream.NoTime)
	}
	return len(r.open) > 0, nil
}

func (r *reader) Snapshot() ([][]byte, error) {
	var all [][]byte
	for _, p := range r.open {
		all = append(all, encodeSplit(p.next, p.Generator))
	}
	return all, nil
}
