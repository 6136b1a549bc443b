package network

// queue is a ring that grows to what it holds at most.
type queue[T comparable] struct {
	ring    []T
	head, n int
}

func (q *queue[T]) push(v T) {
	if q.n == len(q.ring) {
		ring := make([]T, max(4, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = v
	q.n++
}

// pop takes the oldest; there must be one.
func (q *queue[T]) pop() T {
	var zero T
	v := q.ring[q.head]
	q.ring[q.head] = zero
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return v
}

// remove takes v out and keeps the order of the others.
func (q *queue[T]) remove(v T) {
	for range q.n {
		if u := q.pop(); u != v {
			q.push(u)
		}
	}
}

// at returns the i-th oldest.
func (q *queue[T]) at(i int) T { return q.ring[(q.head+i)%len(q.ring)] }
