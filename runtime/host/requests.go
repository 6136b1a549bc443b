package host

import (
	"errors"
	"sync"

	"github.com/weftstream/weft/link/linkpb"
)

// requests are those that subtasks of this host sent to coordinators and that have no answer yet.
type requests struct {
	mu   sync.Mutex
	last int64
	open map[int64]func([]byte, error)
}

func (r *requests) init() { r.open = map[int64]func([]byte, error){} }

// add notes a request and returns its number.
func (r *requests) add(reply func([]byte, error)) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.open[r.last] = reply
	return r.last
}

// answer passes an answer on to who asked; one that nobody waits for is dropped.
func (r *requests) answer(m *linkpb.CoordinatorResponse) {
	r.mu.Lock()
	reply := r.open[m.GetSeq()]
	delete(r.open, m.GetSeq())
	r.mu.Unlock()
	if reply == nil {
		return
	}
	if m.GetError() != "" {
		reply(nil, errors.New(m.GetError()))
		return
	}
	reply(m.GetPayload(), nil)
}

// Ask implements task.Host.
func (h *host) Ask(req *linkpb.CoordinatorRequest, reply func([]byte, error)) {
	req.Seq = h.requests.add(reply)
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorRequest{CoordinatorRequest: req}})
}
