package stream

import (
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// The states of the window operators and of the rolling reduce. What follows from them is not kept: which timers are due,
// where the watermark stood.
const (
	windowState  = "_windows" // a pair for each key and window
	globalState  = "_global"
	rollingState = "_reduce"
)

// paneState is what a checkpoint keeps of one key's window, beside the key.
type paneState[A any] struct {
	// Start and End are the window's bounds.
	Start, End int64
	// Fired says that the result that holds all of Acc has been emitted.
	Fired bool
	Acc   A
}

// globalPaneState is what a checkpoint keeps of a key's global window.
type globalPaneState[T, A any] struct {
	Acc     A
	Started bool
	Count   int64
	HasLast bool
	Last    T
	High    int64
	Records []timedState[T]
}

// timedState is a kept record.
type timedState[T any] struct {
	V T
	T int64
}

// tableSnapshot is the snapshot of an operator whose state is one table. save calls put with what is written of a value,
// not at all, once or more often.
func tableSnapshot[K comparable, V, S any](inc increment, c pairCodec[K, S], r state.Range, t *state.Table[K, V], every everyTrigger, save func(v *V, put func(*S))) operator.StateSnapshot {
	frozen := freezeTable(t, inc)
	return &snapshotOf{release: frozen.Release, write: func(w operator.StateWriter) error {
		if err := every.snapshot(w); err != nil {
			return err
		}
		p, err := inc.writer(w)
		if err == nil {
			err = c.begin(w)
		}
		if err != nil {
			return err
		}
		var key *K
		id, there := 0, false
		put := func(s *S) {
			p.pair = c.key.EncodeValue(p.pair, key)
			if !there {
				id, there = len(p.pair), true
			}
			p.pair = c.val.EncodeValue(p.pair, s)
		}
		return p.part(r, nil, frozen, func(group int) {
			pairsOf(p, frozen, group, c.key.EncodeValue, func(k *K, v *V) {
				p.pair, key, there = p.pair[:0], k, false
				if save(v, put); !there {
					p.pair = c.key.EncodeValue(p.pair, k)
					id = len(p.pair)
				}
				p.putOrRemove(id, there)
			})
		})
	}}
}
