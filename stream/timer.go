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
	list []timer[K]
	seq  uint64
}

func (h *timerHeap[K]) due(now int64) bool { return len(h.list) != 0 && h.list[0].at <= now }

func (h *timerHeap[K]) less(i, j int) bool {
	a, b := &h.list[i], &h.list[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (h *timerHeap[K]) push(t timer[K]) {
	h.seq++
	t.seq = h.seq
	h.list = append(h.list, t)
	for i := len(h.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			return
		}
		h.list[i], h.list[up] = h.list[up], h.list[i]
		i = up
	}
}

func (h *timerHeap[K]) pop() timer[K] {
	top := h.list[0]
	n := len(h.list) - 1
	h.list[0], h.list[n] = h.list[n], timer[K]{}
	h.list = h.list[:n]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if h.less(c, least) {
				least = c
			}
		}
		if least == i {
			return top
		}
		h.list[i], h.list[least] = h.list[least], h.list[i]
		i = least
	}
}
