package stream

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/weftstream/weft/operator"
)

// rigGroup is a key group of a part of a state.
type rigGroup struct {
	part  string
	group int
}

// rigChain is what a checkpoint has of a group of a part, with what it took from its base: pairs by id.
type rigChain struct {
	pairs   map[string]string
	changes bool
	length  int // of changes upon changes
}

// rigParts are the parts of a state.
type rigParts struct {
	groups map[rigGroup]*rigChain
	begun  map[string]bool
}

// rigChanges is a rigPart of an incremental checkpoint: a ChangeWriter.
type rigChanges struct {
	*rigPart
	part string
}

func (p *rigChanges) Part(name []byte) error {
	n := len(p.states) - 1
	if len(p.blocks[n]) != 0 || p.states[n].Kind != operator.KeyedState {
		return fmt.Errorf("state %q has a part", p.states[n].Name)
	}
	if p.parts[n] == nil {
		p.parts[n] = &rigParts{map[rigGroup]*rigChain{}, map[string]bool{}}
	}
	if p.part = string(name); p.parts[n].begun[p.part] {
		return fmt.Errorf("part %x of state %q is begun twice", name, p.states[n].Name)
	}
	p.parts[n].begun[p.part] = true
	return nil
}

// base is what the base has of the current part's group.
func (p *rigChanges) ofBase(group int) *rigChain {
	name := p.states[len(p.states)-1].Name
	if p.base == nil {
		return nil
	}
	for i, s := range p.base.states {
		if s.Name == name && p.base.parts[i] != nil {
			return p.base.parts[i].groups[rigGroup{p.part, group}]
		}
	}
	return nil
}

func (p *rigChanges) Builds(group int) bool {
	b := p.ofBase(group)
	return b != nil && b.length < 5
}

func (p *rigChanges) Whole(group int, entries []byte) error {
	c := p.chain(group)
	if c.changes {
		return fmt.Errorf("group %d is written both ways", group)
	}
	return p.apply(c, entries)
}

func (p *rigChanges) Changes(group int, entries []byte) error {
	if !p.Builds(group) {
		return fmt.Errorf("changes of group %d, which is to be written whole", group)
	}
	c := p.chain(group)
	if !c.changes {
		if len(c.pairs) != 0 {
			return fmt.Errorf("group %d is written both ways", group)
		}
		b := p.ofBase(group)
		c.pairs, c.changes, c.length = maps.Clone(b.pairs), true, b.length
		if len(entries) > 0 {
			c.length++
		}
	}
	return p.apply(c, entries)
}

func (p *rigChanges) chain(group int) *rigChain {
	groups, k := p.parts[len(p.states)-1].groups, rigGroup{p.part, group}
	if groups[k] == nil {
		groups[k] = &rigChain{pairs: map[string]string{}}
	}
	return groups[k]
}

func (p *rigChanges) apply(c *rigChain, entries []byte) error {
	for len(entries) > 0 {
		e, rest, err := operator.ReadEntry(entries)
		if err != nil {
			return err
		}
		_, there := c.pairs[string(e.ID)]
		switch {
		case !c.changes && (e.Removed || there):
			return fmt.Errorf("%x is there twice, or removed, in a group that is written whole", e.ID)
		case e.Removed:
			delete(c.pairs, string(e.ID))
		default:
			c.pairs[string(e.ID)] = string(e.Pair)
		}
		p.written[p.states[len(p.states)-1].Name]++
		entries = rest
	}
	return nil
}

// merged makes blocks of what the parts hold.
func (p *rigPart) merged() {
	for i, parts := range p.parts {
		if parts == nil {
			continue
		}
		for k, c := range parts.groups {
			for _, pair := range c.pairs {
				p.blocks[i] = append(p.blocks[i], operator.Block{Group: k.group, Data: bytes.Clone([]byte(pair))})
			}
		}
	}
}

// rigLine is a run's line of checkpoints that build on earlier ones.
type rigLine struct {
	id      int64
	base    *rigImage // the latest complete one
	pending []*rigImage
}

// take takes a checkpoint, and ends some of those that were taken: they complete, or not.
func (l *rigLine) take(r *rig, random *rand.Rand) {
	r.t.Helper()
	r.flush()
	if _, ok := r.ops[0].(operator.Incremental); !ok {
		return
	}
	l.id += 1 + random.Int64N(3)
	at := make(chan struct{})
	close(at)
	l.pending = append(l.pending, r.image(l.id, l.base, at))
	for len(l.pending) > 0 && random.IntN(3) != 0 {
		img := l.pending[0]
		l.pending = l.pending[1:]
		if r.wait(img); random.IntN(4) != 0 {
			l.base = img
		}
	}
}

// last takes the checkpoint that is restored: one of the line or, at random, a savepoint.
func (l *rigLine) last(r *rig, random *rand.Rand, at <-chan struct{}) *rigImage {
	r.t.Helper()
	if random.IntN(4) == 0 {
		return r.checkpointAt(at)
	}
	r.flush()
	l.id++
	img := r.image(l.id, l.base, at)
	r.dump = func(string, operator.Batch) {}
	return img
}

// entries is how many entries img has written of each state.
func (img *rigImage) entries() map[string]int {
	n := map[string]int{}
	for _, p := range img.parts {
		for name, m := range p.written {
			n[name] += m
		}
	}
	return n
}

// pairs are all pairs of an image's keyed state, in no order that means anything.
func (img *rigImage) pairs(name string) []string {
	var all []string
	for _, p := range img.parts {
		for i, s := range p.states {
			if s.Name == name {
				for _, b := range p.blocks[i] {
					all = append(all, string(b.Data))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
