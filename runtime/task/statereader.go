package task

import (
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// restore gives the operators of the chain the state that the task starts from.
func (t *Task) restore() error {
	s := t.spec.GetRestore()
	if err := t.newReplay(s); err != nil {
		return err
	}
	if len(s.GetOperators()) == 0 {
		return nil
	}
	r := t.stateReader(s)
	defer r.Close()
	for _, o := range s.GetOperators() {
		at := t.position(o.GetOperator())
		if at < 0 {
			return fmt.Errorf("restore the task: the checkpoint has state of operator %x, which isn't in this chain", o.GetOperator())
		}
		op, ok := t.chain[at].op.(operator.Checkpointed)
		if !ok {
			return t.blame(at, fmt.Errorf("restore the operator: the checkpoint has state of it, but it keeps none in this program"))
		}
		t.current = at
		if err := op.Restore(r.Operator(o)); err != nil {
			return t.blame(at, fmt.Errorf("restore the operator: %w", err))
		}
	}
	t.current = -1
	return nil
}

// stateReader reads a state that the task starts from.
func (t *Task) stateReader(s *linkpb.TaskState) *checkpoint.Reader {
	r := checkpoint.NewReader(t.ctx, t.job.Files, s)
	if t.job.Settings.LocalRecovery {
		r.Prefer(t.job.Local)
	}
	return r
}

// position is where an operator stands in the chain; -1 if it doesn't.
func (t *Task) position(id []byte) int {
	for i, l := range t.chain {
		own := l.node.OperatorID()
		if string(own[:]) == string(id) {
			return i
		}
	}
	return -1
}
