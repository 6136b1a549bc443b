package task

import (
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/runtime/network"
)

// maxRequests bounds the requests to coordinators that a subtask has under way, and with them its mailbox: nothing but
// their answers is put there.
const maxRequests = 1024

// mailbox holds what other goroutines want the subtask to do. put never blocks.
type mailbox struct {
	waker *network.Waker
	some  atomic.Bool

	mu     sync.Mutex
	mails  []func() error
	closed bool
}

func (m *mailbox) put(mail func() error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.mails = append(m.mails, mail)
	m.some.Store(true)
	m.mu.Unlock()
	m.waker.Wake()
}

// take returns what has come since.
func (m *mailbox) take() []func() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	mails := m.mails
	m.mails = nil
	m.some.Store(false)
	return mails
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.mails = true, nil
}
