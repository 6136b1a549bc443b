package task

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// errDamagedFlight is returned for a block of records in flight that can't be one.
var errDamagedFlight = errors.New("a batch in flight is shorter than its watermark: the checkpoint is damaged")

// replay is what was in flight when an unaligned checkpoint was taken. It is delivered before new input; no checkpoint is
// begun before it has been.
type replay struct {
	reader *checkpoint.Reader
	flows  []flow
}

// flow is what is left of one channel.
type flow struct {
	port   port
	state  *linkpb.ChannelState
	batch  operator.Batch
	router operator.Router // of a shared one
}

// newReplay prepares the records in flight that s holds.
func (t *Task) newReplay(s *linkpb.TaskState) error {
	if len(s.GetChannels()) == 0 {
		return nil
	}
	r := &replay{reader: t.stateReader(s)}
	for _, ch := range s.GetChannels() {
		p, err := t.portOf(ch)
		if err != nil {
			return fmt.Errorf("restore the records in flight from subtask %d on edge %d: %w", ch.GetProducer(), ch.GetEdge(), err)
		}
		f := flow{port: p, state: ch, batch: p.edge.Type.New(t.batchSize())}
		if ch.GetShared() && p.edge.Partitioning == graph.Partitioning_HASH {
			f.router = t.sieve(p)
		}
		r.flows = append(r.flows, f)
	}
	t.replay = r
	return nil
}

// portOf finds the channel that the records were in; of shared ones, any of the edge.
func (t *Task) portOf(ch *linkpb.ChannelState) (port, error) {
	for _, p := range t.ports {
		if p.edge.ID != int(ch.GetEdge()) || !ch.GetShared() && p.producer != ch.GetProducer() {
			continue
		}
		id := p.edge.To.OperatorID()
		switch {
		case string(id[:]) != string(ch.GetOperator()) || p.edge.Input != int(ch.GetInput()):
			return port{}, fmt.Errorf("they were for input %d of operator %x, and the edge leads elsewhere in this program; start it from a savepoint", ch.GetInput(), ch.GetOperator())
		case p.edge.Type.Signature() != ch.GetSignature():
			return port{}, fmt.Errorf("their type was %s and is %s in this program; start it from a savepoint", ch.GetSignature(), p.edge.Type.Signature())
		}
		return p, nil
	}
	return port{}, errors.New("this subtask has no such channel; start it from a savepoint")
}

// replayNext delivers one batch.
func (t *Task) replayNext() error {
	r := t.replay
	if len(r.flows) == 0 {
		r.close()
		t.replay = nil
		return nil
	}
	f := &r.flows[0]
	if len(f.state.GetBatches()) == 0 {
		var err error
		if f.router != nil {
			err = f.router.Flush()
		}
		r.flows = r.flows[1:]
		return err
	}
	block, err := r.reader.Block(f.state.GetBatches()[0])
	if err == nil && len(block) < 8 {
		err = errDamagedFlight
	}
	if err == nil {
		f.state.Batches = f.state.Batches[1:]
		f.port.edge.Type.Reset(f.batch)
		err = f.decode(block[8:])
	}
	if err != nil {
		return fmt.Errorf("restore the records in flight from subtask %d on edge %d: %w", f.state.GetProducer(), f.state.GetEdge(), err)
	}
	if f.router != nil {
		return f.router.Batch(f.batch)
	}
	if !f.state.GetShared() {
		f.batch.SetMark(int64(binary.BigEndian.Uint64(block)))
	}
	return t.deliver(f.port, f.batch)
}

func (f *flow) decode(records []byte) error {
	if len(records) == 0 {
		return nil
	}
	if f.port.edge.Type.Pins() {
		records = append([]byte(nil), records...) // the reader uses its buffer again
	}
	return f.port.edge.Type.Decode(f.batch, records)
}

// close closes the files; r may be nil.
func (r *replay) close() {
	if r != nil {
		r.reader.Close()
	}
}

// sieve is a router that keeps what belongs to this subtask of records that had been on their way to any.
func (t *Task) sieve(p port) operator.Router {
	writers := make([]operator.Writer, t.vertex.GetParallelism())
	for i := range writers {
		writers[i] = &sieveWriter{t: t, port: p, keep: i == int(t.ID().GetSubtask())}
	}
	env := operator.RouterEnv{MaxParallelism: int(t.vertex.GetMaxParallelism()), BatchSize: t.batchSize(), Type: p.edge.Type}
	return p.edge.Router(env, writers)
}

// sieveWriter delivers what is for this subtask, and drops the rest.
type sieveWriter struct {
	t    *Task
	port port
	keep bool
}

// Send implements operator.Writer.
func (w *sieveWriter) Send(b operator.Batch) (operator.Batch, error) {
	var err error
	if w.keep {
		err = w.t.deliver(w.port, b)
	}
	w.port.edge.Type.Reset(b)
	return b, err
}

// Event implements operator.Writer.
func (w *sieveWriter) Event(operator.Event) error { return nil }
