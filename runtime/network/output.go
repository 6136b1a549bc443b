package network

import (
	"fmt"
	"sync/atomic"

	"github.com/weftstream/weft/operator"
)

// frameTarget is what a frame is filled up to: a little below MaxFrame, as records differ in size.
const frameTarget = MaxFrame - MaxFrame/8

// Producer is the sending side of one subtask: what its Outputs share. Only the subtask's goroutine waits on it.
type Producer struct {
	done  <-chan struct{}
	space chan struct{}
	// Backpressured is the time the subtask was blocked by its receivers.
	Backpressured *Stopwatch
	// Reserve is how many batches or frames a channel takes beyond those after which Ready says no. The subtask that asks
	// Ready before it begins with more input can so end what it has begun, and stays able to send an urgent barrier while
	// its receivers stand still. 0: Ready always says yes. Set it and Notify before the first Output is made.
	Reserve int
	// Notify is called when Ready may say something else, by any goroutine; it must not block.
	Notify func()

	bytes atomic.Int64
	short []*Output // that had no room but the reserve when last looked at
}

// NewProducer makes the sending side of a subtask that is cancelled by closing done.
func NewProducer(done <-chan struct{}) *Producer {
	return &Producer{done: done, space: make(chan struct{}, 1), Backpressured: NewStopwatch()}
}

// BytesWritten is the number of payload bytes handed to connections. Safe for concurrent use.
func (p *Producer) BytesWritten() int64 { return p.bytes.Load() }

// wake ends a wait; a wake too many only makes the waiting one look again.
func (p *Producer) wake() {
	select {
	case p.space <- struct{}{}:
	default:
	}
	if p.Notify != nil {
		p.Notify()
	}
}

// Ready says that every channel has room beside its reserve. After a no there is a Notify once that may have changed. It
// is called by the subtask's goroutine.
func (p *Producer) Ready() bool {
	for n := len(p.short); n > 0; n-- {
		o := p.short[n-1]
		if !o.room() {
			return false
		}
		o.short = false
		p.short = p.short[:n-1]
	}
	return true
}

func (p *Producer) wait() error {
	select {
	case <-p.space:
		return nil
	default:
	}
	p.Backpressured.Start()
	defer p.Backpressured.Stop()
	select {
	case <-p.space:
		return nil
	case <-p.done:
		return operator.ErrCancelled
	}
}

func (p *Producer) cancelled() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Output is the operator.Writer of one channel. It is used by its subtask's goroutine only.
type Output struct {
	p    *Producer
	id   ChannelID
	typ  operator.Type
	size int
	// to is set once, when the consumer has opened the channel.
	to atomic.Pointer[receiver]
	// fit is how many records are expected to fill a frame.
	fit int
	// short: it is in its producer's list.
	short bool
}

// receiver is where an opened channel leads: to a gate in this host, or to a connection.
type receiver struct {
	local  *channel
	remote *sender
}

var _ operator.Writer = (*Output)(nil)

// bind connects the output; from now on Send finds its receiver.
func (o *Output) bind(r *receiver) {
	switch {
	case r.local != nil:
		r.local.gate.mu.Lock()
		r.local.producer = o.p
		r.local.gate.mu.Unlock()
	default:
		r.remote.c.mu.Lock()
		r.remote.producer = o.p
		r.remote.c.mu.Unlock()
	}
	o.to.Store(r)
	o.p.wake()
}

// receiver waits until the consumer has opened the channel.
func (o *Output) receiver() (*receiver, error) {
	if o.p.cancelled() {
		return nil, operator.ErrCancelled
	}
	for {
		if r := o.to.Load(); r != nil {
			return r, nil
		}
		if err := o.p.wait(); err != nil {
			return nil, err
		}
	}
}

// Send implements operator.Writer.
func (o *Output) Send(b operator.Batch) (operator.Batch, error) {
	r, err := o.receiver()
	if err != nil {
		return nil, err
	}
	empty, err := o.send(r, b)
	if o.p.Reserve > 0 && !o.short && !o.room() {
		o.short = true
		o.p.short = append(o.p.short, o)
	}
	return empty, err
}

// room says that the channel has room beside the reserve. Where it says no, the producer is woken later.
func (o *Output) room() bool {
	r := o.to.Load()
	if c := r.local; c != nil {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		if c.items.n-c.urgent < c.credits-o.p.Reserve {
			return true
		}
		c.waiting = true
		return false
	}
	s := r.remote
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.credits > o.p.Reserve || s.c.err != nil {
		return true
	}
	s.waiting = true
	return false
}

func (o *Output) send(r *receiver, b operator.Batch) (operator.Batch, error) {
	if r.local != nil {
		empty, err := o.hand(r.local, item{batch: b})
		if empty == nil && err == nil {
			empty = o.typ.New(o.size)
		}
		return empty, err
	}
	if err := o.encode(r.remote, b); err != nil {
		return nil, err
	}
	o.typ.Reset(b)
	return b, nil
}

// Event implements operator.Writer.
func (o *Output) Event(e operator.Event) error {
	r, err := o.receiver()
	if err != nil {
		return err
	}
	if r.local != nil {
		_, err := o.hand(r.local, item{event: operator.Event{Kind: e.Kind, ID: e.ID}, mark: operator.NoWatermark, urgent: e.Urgent})
		return err
	}
	h := header{channel: r.remote.number}
	switch e.Kind {
	case operator.EndOfInput:
		h.kind = frameEnd
	case operator.Barrier:
		h.kind, h.value = frameBarrier, e.ID
		if e.Urgent {
			h.kind = frameUrgent
		}
	default:
		return fmt.Errorf("send event of unknown kind %d on edge %d", e.Kind, o.id.Edge)
	}
	f := newFrame()
	f.b = append(f.b[:0], make([]byte, headerSize)...)
	h.put(f.b)
	if h.kind == frameUrgent {
		return r.remote.urge(f)
	}
	return r.remote.send(f)
}

func (o *Output) hand(c *channel, it item) (operator.Batch, error) {
	for {
		if empty, ok := c.offer(it); ok {
			return empty, nil
		}
		if err := o.p.wait(); err != nil {
			return nil, err
		}
	}
}

// encode sends b in as many frames as it takes. The watermark rides in the last.
func (o *Output) encode(s *sender, b operator.Batch) error {
	n := b.Len()
	if n == 0 {
		return o.frame(s, nil, b.Mark())
	}
	if o.fit == 0 {
		o.fit = max(1, o.size)
	}
	for from := 0; from < n; {
		k := min(o.fit, n-from)
		f := newFrame()
		f.b = append(f.b[:0], make([]byte, headerSize)...)
		f.b = o.typ.Encode(f.b, b, from, from+k)
		size := len(f.b) - headerSize
		if size > MaxFrame && k > 1 {
			f.recycle()
			o.fit = max(1, min(k/2, k*frameTarget/size))
			continue
		}
		// Grow by steps, so that a run of small records doesn't make the next run of large ones encode in vain often.
		o.fit = max(1, min(k*frameTarget/max(1, size), 2*o.fit))
		from += k
		mark := operator.NoWatermark
		if from == n {
			mark = b.Mark()
		}
		if err := o.frame(s, f, mark); err != nil {
			return err
		}
	}
	return nil
}

// frame sends a data frame, after parts of it where it is a single record above MaxFrame.
func (o *Output) frame(s *sender, f *frame, mark int64) error {
	if f == nil {
		f = newFrame()
		f.b = append(f.b[:0], make([]byte, headerSize)...)
	}
	o.p.bytes.Add(int64(len(f.b) - headerSize))
	if len(f.b)-headerSize > maxRecord {
		return fmt.Errorf("send a record on edge %d: %d bytes encoded, at most %d are possible", o.id.Edge, len(f.b)-headerSize, maxRecord)
	}
	whole := f
	for len(f.b)-headerSize > MaxFrame {
		part := newFrame()
		part.b = append(part.b[:0], f.b[:headerSize+MaxFrame]...)
		header{length: MaxFrame, channel: s.number, kind: framePart}.put(part.b)
		if err := s.send(part); err != nil {
			return err
		}
		// What remains gets its header where the sent part ended.
		f = &frame{b: f.b[MaxFrame:]}
	}
	if f != whole {
		// The rest must not keep the whole record's buffer alive.
		f = &frame{b: append([]byte(nil), f.b...)}
	}
	header{length: len(f.b) - headerSize, channel: s.number, kind: frameData, value: mark}.put(f.b)
	return s.send(f)
}
