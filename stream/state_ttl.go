package stream

import "github.com/weftstream/weft/runtime/state"

// Whoever looks at a state that has expired finds nothing. What nobody looks at any more is let go by a walk through all
// keys, a few at a time, so that records never wait for it for long.
const (
	// sweepPlaces bounds a step: that many places of the table are looked at.
	sweepPlaces = 1024
	// sweepPause is the time between two steps of a walk, in ms.
	sweepPause = 1
	// minSweep is the least time between the beginnings of two walks, in ms.
	minSweep = 1000
)

// sweeper is how far the walk has come.
type sweeper[K comparable] struct {
	at     int64 // when the next step is due; 0: never, there are no keys
	began  int64 // when the walk did, while it goes on; else 0
	cursor state.Cursor
	stored int           // how many key groups of what isn't in memory have been looked through
	swept  []sweptKey[K] // of a step: those of which something has expired
}

type sweptKey[K comparable] struct {
	hash uint32
	key  K
	slot int32
}

// awaitSweep begins with walks once there are keys.
func (p *processor[K, O]) awaitSweep() {
	if p.keys.Len() != 0 {
		p.sweeper.at = p.env.Runtime.Now() + p.sweepEvery()
		p.env.Runtime.WakeAt(p.sweeper.at)
	}
}

// sweepEvery is how long after the beginning of a walk the next one begins, in ms.
func (p *processor[K, O]) sweepEvery() int64 { return max(minSweep, p.ks.ttl) }

// sweep takes a step of the walk when it is due.
func (p *processor[K, O]) sweep(now int64) {
	s := &p.sweeper
	if s.at == 0 {
		return
	}
	if now >= s.at {
		if s.began == 0 {
			s.began = now
		}
		s.at = now + sweepPause
		if p.sweepStep(now) {
			s.at, s.began = max(s.at, s.began+p.sweepEvery()), 0
			if p.keys.Len() == 0 {
				s.at = 0
				return
			}
		}
	}
	p.env.Runtime.WakeAt(s.at)
}

// sweepStep clears what has expired of the next few keys, forgets those that have nothing left, and says whether the walk
// is at its end. What isn't in memory comes last, a key group at a time; of a key that has something left all stays there.
func (p *processor[K, O]) sweepStep(now int64) (end bool) {
	s := &p.sweeper
	if s.stored == 0 && !p.walkStep(now) {
		return false
	}
	return p.keys.Prune(&s.stored, func(value []byte) bool { return p.ks.gone(value, now) })
}

// walkStep is sweepStep for what is in memory.
func (p *processor[K, O]) walkStep(now int64) (end bool) {
	s := &p.sweeper
	end = p.keys.Walk(&s.cursor, sweepPlaces, func(hash uint32, k K, slot int32) {
		live := p.ks.live[slot]
		for _, st := range p.ks.states {
			st.expire(slot, now)
		}
		if left := p.ks.live[slot]; left < live || left == 0 {
			s.swept = append(s.swept, sweptKey[K]{hash, k, slot})
		}
	})
	for _, k := range s.swept {
		if p.ks.live[k.slot] == 0 {
			p.forget(k.hash, k.key, k.slot)
		} else {
			p.keys.Touch(k.hash, k.key)
		}
	}
	clear(s.swept)
	s.swept = s.swept[:0]
	return end
}

// restoreExpiry takes over when a value expires, or lets it go if that time is past. Values come before.
func (p *processor[K, O]) restoreExpiry(s slotState, hash uint32, k K, at int64) {
	slot, _ := p.slotOf(hash, k)
	s.setExpiry(slot, at)
	s.expire(slot, p.ks.now())
	if p.ks.live[slot] == 0 {
		p.forget(hash, k, slot)
	}
}
