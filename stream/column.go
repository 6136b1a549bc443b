package stream

import (
	"runtime"
	"slices"
	"sync/atomic"
)

// Columns are kept in pages of 512 entries, so that a snapshot can share them: the first change to a page after a snapshot
// copies that page, not the column.
const (
	pageBits = 9
	pageMask = 1<<pageBits - 1
)

// column holds a state's values by slot.
type column[V any] struct {
	n       int
	pages   [][]cell[V]
	expires [][]int64 // as the pages, where there are times of expiry
	frozen  []bool    // by page: a view may have it
	// shared says by page and entry that a view may have what the value points to; nil: of none of the page.
	shared [][]bool

	timed bool // that there are times of expiry
	// own makes a value, copied bit by bit, own what it points to; nil where nothing is changed through a pointer.
	own func(*V)
	// views counts the snapshots that are still read; it is shared by the states of an operator.
	views *atomic.Int32
}

// cell is an entry. The zero value is one that isn't set.
type cell[V any] struct {
	val V
	set bool
}

// grow makes room for n slots.
func (c *column[V]) grow(n int) {
	for ; c.n < n; c.n++ {
		i := c.n >> pageBits
		if c.n&pageMask == 0 {
			c.pages, c.frozen = append(c.pages, nil), append(c.frozen, false)
			if c.own != nil {
				c.shared = append(c.shared, nil)
			}
			if c.timed {
				c.expires = append(c.expires, nil)
			}
		}
		// A view has no more than was there, so what it has doesn't change.
		c.pages[i] = append(c.pages[i], cell[V]{})
		if c.timed {
			c.expires[i] = append(c.expires[i], 0)
		}
		if c.own != nil && c.shared[i] != nil {
			c.shared[i] = append(c.shared[i], false)
		}
	}
}

// at is the cell of slot to read.
func (c *column[V]) at(slot int32) *cell[V] { return &c.pages[slot>>pageBits][slot&pageMask] }

// edit is the cell of slot to change; what its value points to may be a view's.
func (c *column[V]) edit(slot int32) *cell[V] {
	i := slot >> pageBits
	if c.frozen[i] {
		c.thaw(i)
	}
	return &c.pages[i][slot&pageMask]
}

// thaw makes a page the column's own. Nothing is copied when every view has been released.
func (c *column[V]) thaw(i int32) {
	c.frozen[i] = false
	if c.views.Load() == 0 {
		return
	}
	// After a barrier nearly every record copies a page for a while. Other subtasks of the host needn't wait for the end of that.
	if i%16 == 0 {
		runtime.Gosched()
	}
	c.pages[i] = slices.Clone(c.pages[i])
	if c.timed {
		c.expires[i] = slices.Clone(c.expires[i])
	}
	if c.own != nil {
		s := make([]bool, len(c.pages[i]))
		for j := range s {
			s[j] = c.pages[i][j].set
		}
		c.shared[i] = s
	}
}

// unshare makes the value of slot, which edit has returned, own what it points to.
func (c *column[V]) unshare(slot int32, v *V) {
	if s := c.shared[slot>>pageBits]; s != nil && s[slot&pageMask] {
		s[slot&pageMask] = false
		c.own(v)
	}
}

// renewed says that the value of slot is a new one, which no view has.
func (c *column[V]) renewed(slot int32) {
	if s := c.shared[slot>>pageBits]; s != nil {
		s[slot&pageMask] = false
	}
}

// columnView is what a column held.
type columnView[V any] struct {
	pages   [][]cell[V]
	expires [][]int64
}

// freeze shares the pages with a view.
func (c *column[V]) freeze() columnView[V] {
	for i := range c.frozen {
		c.frozen[i] = true
	}
	return columnView[V]{slices.Clone(c.pages), slices.Clone(c.expires)}
}

// vector is a list in pages. Its zero value is empty; views is needed before the first freeze.
type vector[T any] struct {
	n      int
	pages  [][]T
	frozen []bool // by page: a view may have it
	views  *atomic.Int32
}

func (l *vector[T]) at(i int) *T { return &l.pages[i>>pageBits][i&pageMask] }

func (l *vector[T]) edit(i int) *T {
	p := i >> pageBits
	if l.frozen[p] {
		l.thaw(p)
	}
	return &l.pages[p][i&pageMask]
}

func (l *vector[T]) thaw(p int) {
	l.frozen[p] = false
	if l.views.Load() != 0 {
		l.pages[p] = slices.Clone(l.pages[p])
	}
}

func (l *vector[T]) push(v T) {
	p := l.n >> pageBits
	switch {
	case p == len(l.pages):
		l.pages, l.frozen = append(l.pages, nil), append(l.frozen, false)
	case l.frozen[p]:
		l.thaw(p) // a view may have an entry here that was popped since
	}
	l.pages[p] = append(l.pages[p], v)
	l.n++
}

// pop removes the last entry.
func (l *vector[T]) pop() {
	l.n--
	p := l.n >> pageBits
	if l.frozen[p] {
		l.thaw(p)
	}
	clear(l.pages[p][l.n&pageMask:])
	l.pages[p] = l.pages[p][:l.n&pageMask]
}

// freeze shares the pages with a view.
func (l *vector[T]) freeze() [][]T {
	for i := range l.frozen {
		l.frozen[i] = true
	}
	return slices.Clone(l.pages)
}
