package host

import (
	"errors"

	"github.com/weftstream/weft/link/linkpb"
)

// outboxDepth is how many messages wait for the link before senders do.
const outboxDepth = 256

// errLinkBroken is returned by Run when the link doesn't take messages any more.
var errLinkBroken = errors.New("the link to the TaskManager broke")

// outbox serialises what goes to the link. After broken is closed, messages are dropped: nobody is there to read them.
type outbox struct {
	messages chan *linkpb.FromHost
	broken   chan struct{}
}

func newOutbox() *outbox {
	return &outbox{messages: make(chan *linkpb.FromHost, outboxDepth), broken: make(chan struct{})}
}

// put queues m. It blocks while the link is behind.
func (o *outbox) put(m *linkpb.FromHost) {
	select {
	case o.messages <- m:
	case <-o.broken:
	}
}

// offer queues m if there is room.
func (o *outbox) offer(m *linkpb.FromHost) {
	select {
	case o.messages <- m:
	default:
	}
}

// send is the goroutine that sends to link until messages is closed.
func (o *outbox) send(link Link) error {
	for m := range o.messages {
		if err := link.Send(m); err != nil {
			close(o.broken)
			for range o.messages {
			}
			return err
		}
	}
	return nil
}
