package stream

// timer is a key's wish to be called at a time.
type timer[K comparable] struct {
	at   int64
	seq  uint64 // among equal times, the first registered runs first
	hash uint32
	key  K // owned: doesn't point into a frame
}

// timerHeap is a binary heap of timers by time. Its zero value is empty.
type timerHeap[K comparable] struct {
	list vector[timer[K]]
	seq  uint64
}

func (h *timerHeap[K]) len() int { return h.list.n }

// first is the timer that is due first; there must be one.
func (h *timerHeap[K]) first() *timer[K] { return h.list.at(0) }

func (h *timerHeap[K]) due(now int64) bool { return h.list.n != 0 && h.list.at(0).at <= now }

func (t *timer[K]) before(o *timer[K]) bool { return t.at < o.at || t.at == o.at && t.seq < o.seq }

func (h *timerHeap[K]) push(t timer[K]) {
	h.seq++
	t.seq = h.seq
	h.list.push(t)
	i := h.list.n - 1
	for i > 0 {
		up := (i - 1) / 2
		above := h.list.at(up)
		if !t.before(above) {
			break
		}
		*h.list.edit(i) = *above
		i = up
	}
	*h.list.edit(i) = t
}

func (h *timerHeap[K]) pop() timer[K] {
	n := h.list.n - 1
	top, last := *h.list.at(0), *h.list.at(n)
	h.list.pop()
	if n == 0 {
		return top
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		least := h.list.at(c)
		if c+1 < n {
			if other := h.list.at(c + 1); other.before(least) {
				c, least = c+1, other
			}
		}
		if !least.before(&last) {
			break
		}
		*h.list.edit(i) = *least
		i = c
	}
	*h.list.edit(i) = last
	return top
}
