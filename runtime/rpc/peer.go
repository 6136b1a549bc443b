package rpc

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// The bounds of a Peer's send queue. Normal traffic is a few messages; a full queue means that the TaskManager has not
// taken anything for long.
const (
	maxQueued      = 4096
	maxQueuedBytes = 64 << 20
)

// peer is a registered TaskManager: the queue between the JobManager's roles and the stream's writer.
type peer struct {
	ended chan struct{} // closed by end
	done  chan struct{} // closed when Disconnected has returned, or is never to be called
	wake  chan struct{} // holds a token while there may be something to write

	mu     sync.Mutex
	id     string
	queue  []*rpcpb.ToTaskManager
	bytes  int
	opened bool // the writer may send: Registered or Rejected is at the head of the queue
	cause  error
}

func newPeer() *peer {
	return &peer{ended: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// ResourceID implements Peer.
func (p *peer) ResourceID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// Send implements Peer.
func (p *peer) Send(m *rpcpb.ToTaskManager) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		return fmt.Errorf("send to TaskManager %s: %w", p.id, p.cause)
	}
	size := proto.Size(m)
	if len(p.queue) >= maxQueued || p.bytes+size > maxQueuedBytes && len(p.queue) > 0 {
		p.endLocked(ErrSlowPeer)
		return fmt.Errorf("send to TaskManager %s: %w", p.id, ErrSlowPeer)
	}
	p.queue = append(p.queue, m)
	p.bytes += size
	p.signal()
	return nil
}

// Close implements Peer.
func (p *peer) Close(reason string) { p.end(fmt.Errorf("%w by the JobManager: %s", ErrClosed, reason)) }

// open puts the answer to the registration before everything that was queued meanwhile, and lets the writer begin.
func (p *peer) open(answer *rpcpb.ToTaskManager) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append([]*rpcpb.ToTaskManager{answer}, p.queue...)
	p.opened = true
	p.signal()
}

// reject drops what the Handler queued and answers with the refusal alone.
func (p *peer) reject(reason string) {
	p.mu.Lock()
	p.queue, p.bytes = nil, 0
	p.mu.Unlock()
	p.open(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Rejected{Rejected: &rpcpb.Rejected{Reason: reason}}})
}

// take removes what may be written now.
func (p *peer) take() []*rpcpb.ToTaskManager {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.opened {
		return nil
	}
	batch := p.queue
	p.queue, p.bytes = nil, 0
	return batch
}

// end ends the registration; the first cause stays.
func (p *peer) end(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(cause)
}

func (p *peer) endLocked(cause error) {
	if p.cause == nil {
		p.cause = cause
		close(p.ended)
	}
}

func (p *peer) why() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

func (p *peer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *peer) named(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = id
}
