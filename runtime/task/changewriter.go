package task

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// A group of a part is written whole again at the latest when there are maxChain blocks of changes, or when what changed since it
// was written whole is maxChanged of that: changes cost time when state is read, and room meanwhile. From a third of that on it
// depends on chance: groups that change at the same pace would else be written whole by the same checkpoint.
const (
	maxChain   = 20
	maxChanged = 0.75
)

// sharedBlock is how far a block is made longer, instead of another one.
const sharedBlock = 1 << 20

// sharing is the part of an incremental checkpoint that later ones may build on: its file is in the job's shared directory,
// and it refers to files of earlier ones.
type sharing struct {
	file    *stateFile
	base    *base // what it builds on; empty for nothing
	earlier []*earlierFile
	index   map[string]int32 // in earlier, by URI
	inlined []*linkpb.StateBlock
	bytes   int64  // of inlined
	seed    uint64 // of what is left to chance
	log     *slog.Logger
}

// earlierFile is a file of an earlier checkpoint of which this one has blocks.
type earlierFile struct {
	uri        string
	size, live int64 // live is of the blocks
	blocks     []*linkpb.StateBlock
}

// newSharing makes what w needs to be the writer of an incremental checkpoint.
func (t *Task) newSharing(w *stateWriter, b *base) *sharing {
	if b == nil {
		b = &base{}
	}
	f := t.newStateFile(w.ctx, t.job.Settings.SharedDirectory, w.own.inline)
	f.shared = true
	return &sharing{file: f, base: b, index: map[string]int32{}, seed: rand.Uint64(), log: t.log}
}

// keep makes a block of the base one of this checkpoint.
func (s *sharing) keep(b *linkpb.StateBlock) (*linkpb.StateBlock, error) {
	k := &linkpb.StateBlock{Group: b.GetGroup(), File: b.GetFile(), Offset: b.GetOffset(), Length: b.GetLength(), Data: b.GetData(),
		Entries: b.GetEntries(), Part: b.GetPart(), Changes: b.GetChanges()}
	if b.GetFile() < 0 {
		s.inlined = append(s.inlined, k)
		s.bytes += k.GetLength()
		return k, nil
	}
	if int(b.GetFile()) >= len(s.base.state.GetFiles()) {
		return nil, fmt.Errorf("the base has a block in file %d of %d", b.GetFile(), len(s.base.state.GetFiles()))
	}
	uri := s.base.state.GetFiles()[b.GetFile()]
	at, known := s.index[uri]
	if !known {
		at = int32(len(s.earlier))
		s.index[uri] = at
		s.earlier = append(s.earlier, &earlierFile{uri: uri, size: s.base.sizes[uri]})
	}
	k.File = earlierFiles + at
	e := s.earlier[at]
	e.live += k.GetLength()
	e.blocks = append(e.blocks, k)
	return k, nil
}

// fill moves what the base has inline into the file, if there is one: what is inline stays little.
func (s *sharing) fill() error {
	if s.file.small() && s.file.size()+s.bytes <= s.file.inline {
		return nil
	}
	for _, b := range s.inlined {
		at, err := s.file.put(b.GetData())
		if err != nil {
			return err
		}
		b.File, b.Offset, b.Data = sharedFile, at, nil
	}
	return nil
}

// sizes are those of the files that a later checkpoint may build on.
func (s *sharing) sizes() map[string]int64 {
	all := map[string]int64{}
	if s.file.uri != "" {
		all[s.file.uri] = s.file.size()
	}
	for _, e := range s.earlier {
		all[e.uri] = e.size
	}
	return all
}

// changeWriter is the operator.ChangeWriter of an incremental checkpoint.
type changeWriter struct {
	*stateWriter
	mode  writeMode
	parts map[string]bool     // those begun
	part  string              // the last of them
	base  map[chainKey]*chain // of the state, nil before its first part
	done  map[int32]groupMode // of the part
}

// writeMode is how a state is written.
type writeMode int

const (
	writesNothing writeMode = iota
	writesBlocks
	writesParts
)

// groupMode is how a group of a part is written.
type groupMode int

const (
	writesWhole groupMode = iota + 1
	writesChanges
)

// chainKey is a group of a part.
type chainKey struct {
	part  string
	group int32
}

// chain is what the base has of a group of a part.
type chain struct {
	blocks         []*linkpb.StateBlock
	whole, changes int64 // bytes
	changed        int   // blocks of changes
}

var _ operator.ChangeWriter = (*changeWriter)(nil)

// Begin implements operator.StateWriter.
func (w *changeWriter) Begin(d operator.StateDescriptor) error {
	w.mode, w.parts, w.base, w.done = writesNothing, nil, nil, nil
	return w.stateWriter.Begin(d)
}

// Block implements operator.StateWriter.
func (w *changeWriter) Block(group int, data []byte) error {
	if w.mode == writesParts {
		return fmt.Errorf("write a block of state %q: it is written in parts", w.named.GetName())
	}
	w.mode = writesBlocks
	return w.stateWriter.Block(group, data)
}

// Part implements operator.ChangeWriter.
func (w *changeWriter) Part(name []byte) error {
	switch {
	case w.named == nil:
		return errors.New("begin a part of a state: no state was begun")
	case operator.StateKind(w.named.GetKind()) != operator.KeyedState:
		return fmt.Errorf("begin a part of state %q: only keyed states have parts", w.named.GetName())
	case w.mode == writesBlocks:
		return fmt.Errorf("begin a part of state %q: it is written in blocks", w.named.GetName())
	case w.parts[string(name)]:
		return fmt.Errorf("begin part %x of state %q: it was begun before", name, w.named.GetName())
	}
	if w.mode == writesNothing {
		w.mode, w.parts, w.base = writesParts, map[string]bool{}, w.chains()
	}
	w.part = string(name)
	w.parts[w.part] = true
	w.done = map[int32]groupMode{}
	return nil
}

// chains is what the base has of the state.
func (w *changeWriter) chains() map[chainKey]*chain {
	all := map[chainKey]*chain{}
	for _, o := range w.share.base.state.GetOperators() {
		if string(o.GetOperator()) != string(w.op.GetOperator()) {
			continue
		}
		for _, s := range o.GetStates() {
			if s.GetName() != w.named.GetName() {
				continue
			}
			for _, b := range s.GetBlocks() {
				if !b.GetEntries() {
					continue // it was written in blocks then
				}
				k := chainKey{string(b.GetPart()), b.GetGroup()}
				c := all[k]
				if c == nil {
					c = &chain{}
					all[k] = c
				}
				c.blocks = append(c.blocks, b)
				if b.GetChanges() {
					c.changes += b.GetLength()
					c.changed++
				} else {
					c.whole += b.GetLength()
				}
			}
		}
	}
	return all
}

// Builds implements operator.ChangeWriter.
func (w *changeWriter) Builds(group int) bool {
	c := w.base[chainKey{w.part, int32(group)}]
	if c == nil {
		return false
	}
	chance := rand.New(rand.NewPCG(w.share.seed, uint64(group))).Float64() // the same for each call of a checkpoint
	return max(float64(c.changed)/maxChain, float64(c.changes)/(maxChanged*float64(c.whole))) < (1+2*chance)/3
}

// Whole implements operator.ChangeWriter.
func (w *changeWriter) Whole(group int, entries []byte) error {
	if err := w.may(group, writesWhole); err != nil {
		return err
	}
	w.done[int32(group)] = writesWhole
	return w.add(group, entries, false)
}

// Changes implements operator.ChangeWriter.
func (w *changeWriter) Changes(group int, entries []byte) error {
	if err := w.may(group, writesChanges); err != nil {
		return err
	}
	if w.done[int32(group)] == 0 {
		if !w.Builds(group) {
			return fmt.Errorf("write changes of key group %d of state %q: it is to be written whole", group, w.named.GetName())
		}
		for _, b := range w.base[chainKey{w.part, int32(group)}].blocks {
			k, err := w.share.keep(b)
			if err != nil {
				return fmt.Errorf("keep key group %d of state %q: %w", group, w.named.GetName(), err)
			}
			w.named.Blocks = append(w.named.Blocks, k)
			w.state.Bytes += k.GetLength()
		}
		w.done[int32(group)] = writesChanges
	}
	return w.add(group, entries, true)
}

// may checks that a group may be written so.
func (w *changeWriter) may(group int, how groupMode) error {
	switch {
	case w.done == nil:
		return errors.New("write entries of a state: no part was begun")
	case group < 0:
		return fmt.Errorf("write entries of state %q: key group %d doesn't suit its kind", w.named.GetName(), group)
	case w.done[int32(group)] != 0 && w.done[int32(group)] != how:
		return fmt.Errorf("write entries of key group %d of state %q: it is written both whole and as changes", group, w.named.GetName())
	}
	return w.ctx.Err()
}

// add puts entries into the shared file, in a block that follows those of the group.
func (w *changeWriter) add(group int, entries []byte, changes bool) error {
	if len(entries) == 0 {
		return nil
	}
	at, err := w.share.file.put(entries)
	w.state.Bytes += int64(len(entries))
	if n := len(w.named.Blocks); n > 0 {
		if b := w.named.Blocks[n-1]; b.GetFile() == sharedFile && b.GetGroup() == int32(group) && b.GetChanges() == changes && string(b.GetPart()) == w.part &&
			b.GetOffset()+b.GetLength() == at && b.GetLength()+int64(len(entries)) <= sharedBlock {
			b.Length += int64(len(entries))
			return err
		}
	}
	w.named.Blocks = append(w.named.Blocks, &linkpb.StateBlock{Group: int32(group), File: sharedFile, Offset: at, Length: int64(len(entries)),
		Entries: true, Changes: changes, Part: []byte(w.part)})
	return err
}
