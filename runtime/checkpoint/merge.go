package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// mergedBlock is how many bytes of changed pairs are gathered for a block.
const mergedBlock = 256 << 10

var (
	errNoWhole  = errors.New("it begins with changes of nothing: the checkpoint is damaged")
	errTwoWhole = errors.New("it is written whole behind changes: the checkpoint is damaged")
	errRemoved  = errors.New("a removal where all pairs are written: the checkpoint is damaged")
)

// pairs yields what the blocks of a state hold, as pairs. Data is good until the next; after an error no more is yielded.
func (r *Reader) pairs(s *linkpb.NamedState) iter.Seq2[operator.Block, error] {
	return func(yield func(operator.Block, error) bool) {
		chains, err := chainsOf(s)
		if err != nil {
			yield(operator.Block{}, err)
			return
		}
		for _, b := range s.GetBlocks() {
			if b.GetEntries() {
				continue
			}
			data, err := r.Block(b)
			if err != nil {
				yield(operator.Block{}, inGroup(b.GetGroup(), err))
				return
			}
			if !yield(operator.Block{Group: int(b.GetGroup()), Data: data}, nil) {
				return
			}
		}
		for _, c := range chains {
			m := merge{r: r, group: int(c[0].GetGroup()), yield: yield}
			if err := m.run(c); err != nil {
				yield(operator.Block{}, inGroup(c[0].GetGroup(), err))
				return
			}
			if m.stopped {
				return
			}
		}
	}
}

// inGroup says where a state can't be read; group is -1 where it isn't keyed.
func inGroup(group int32, err error) error {
	if group < 0 {
		return err
	}
	return fmt.Errorf("key group %d: %w", group, err)
}

// chainsOf are the blocks of entries by part and group: those that are whole, then those with changes, oldest first.
func chainsOf(s *linkpb.NamedState) ([][]*linkpb.StateBlock, error) {
	type key struct {
		part  string
		group int32
	}
	var all [][]*linkpb.StateBlock
	at := map[key]int{}
	for _, b := range s.GetBlocks() {
		if !b.GetEntries() {
			continue
		}
		k := key{string(b.GetPart()), b.GetGroup()}
		i, known := at[k]
		switch {
		case !known && b.GetChanges():
			return nil, inGroup(b.GetGroup(), errNoWhole)
		case !known:
			i = len(all)
			at[k] = i
			all = append(all, nil)
		case !b.GetChanges() && all[i][len(all[i])-1].GetChanges():
			return nil, inGroup(b.GetGroup(), errTwoWhole)
		}
		all[i] = append(all[i], b)
	}
	return all, nil
}

// merge makes pairs of the blocks of a group of a part. It holds the changes in memory, of which the writer sees to it that
// they are less than the rest.
type merge struct {
	r       *Reader
	group   int
	yield   func(operator.Block, error) bool
	stopped bool

	changed map[string]int // index in latest, by id
	latest  []operator.Entry
	out     []byte
}

func (m *merge) run(blocks []*linkpb.StateBlock) error {
	whole := 0
	for whole < len(blocks) && !blocks[whole].GetChanges() {
		whole++
	}
	m.changed = map[string]int{}
	for _, b := range blocks[whole:] {
		if err := m.note(b); err != nil {
			return err
		}
	}
	for _, b := range blocks[:whole] {
		if err := m.unchanged(b); err != nil || m.stopped {
			return err
		}
	}
	for _, e := range m.latest {
		if m.out = append(m.out, e.Pair...); len(m.out) >= mergedBlock {
			if m.emit(); m.stopped {
				return nil
			}
		}
	}
	m.emit()
	return nil
}

// note remembers the changes of a block.
func (m *merge) note(b *linkpb.StateBlock) error {
	data, err := m.r.Block(b)
	if err != nil {
		return err
	}
	data = bytes.Clone(data) // the reader's own is used again
	for len(data) > 0 {
		var e operator.Entry
		if e, data, err = operator.ReadEntry(data); err != nil {
			return err
		}
		if i, known := m.changed[string(e.ID)]; known {
			m.latest[i] = e
			continue
		}
		m.changed[string(e.ID)] = len(m.latest)
		m.latest = append(m.latest, e)
	}
	return nil
}

// unchanged passes on those pairs of a block that no change replaces.
func (m *merge) unchanged(b *linkpb.StateBlock) error {
	data, err := m.r.Block(b)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		var e operator.Entry
		if e, data, err = operator.ReadEntry(data); err != nil {
			return err
		}
		if e.Removed {
			return errRemoved
		}
		if _, changed := m.changed[string(e.ID)]; !changed {
			m.out = append(m.out, e.Pair...)
		}
	}
	m.emit()
	return nil
}

// emit yields the pairs that were gathered.
func (m *merge) emit() {
	if len(m.out) > 0 {
		m.stopped = !m.yield(operator.Block{Group: m.group, Data: m.out}, nil)
		m.out = m.out[:0]
	}
}
