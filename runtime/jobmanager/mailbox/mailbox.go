// Package mailbox is the queue in front of an actor: a goroutine that owns a role's state.
//
// There are two ways in. Post never waits: roles use it among each other, whose messages are few by nature (a handful per
// job and TaskManager), so that no cycle of roles can wait for itself. PostWait waits while Limit messages are queued:
// connections use it, so that a flood from outside is held back at its source.
package mailbox

import "sync"

// Limit is the number of queued messages from which on PostWait waits: enough for a burst of all subtasks of a large job,
// little enough to be worked off in milliseconds.
const Limit = 4096

// Mailbox is a queue with many writers and one reader. Make it with New.
type Mailbox[T any] struct {
	ready chan struct{}

	mu     sync.Mutex
	room   sync.Cond
	queue  []T
	closed bool
}

// New makes an empty Mailbox.
func New[T any]() *Mailbox[T] {
	m := &Mailbox[T]{ready: make(chan struct{}, 1)}
	m.room.L = &m.mu
	return m
}

// Post appends v without waiting; it returns false if the mailbox is closed.
func (m *Mailbox[T]) Post(v T) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add(v)
}

// PostWait appends v once fewer than Limit messages are queued; it returns false if the mailbox is closed.
func (m *Mailbox[T]) PostWait(v T) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) >= Limit && !m.closed {
		m.room.Wait()
	}
	return m.add(v)
}

func (m *Mailbox[T]) add(v T) bool {
	if m.closed {
		return false
	}
	m.queue = append(m.queue, v)
	select {
	case m.ready <- struct{}{}:
	default:
	}
	return true
}

// Ready has a value when there may be messages to take.
func (m *Mailbox[T]) Ready() <-chan struct{} { return m.ready }

// Take returns all queued messages in order; the slice is the caller's.
func (m *Mailbox[T]) Take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue
	m.queue = nil
	m.room.Broadcast()
	return q
}

// Close refuses further messages and drops those queued; it wakes whoever waits.
func (m *Mailbox[T]) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.queue = nil
	m.room.Broadcast()
}
