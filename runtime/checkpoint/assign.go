package checkpoint

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// ErrUnclaimed is returned by Assign for state that no operator of the job claims.
var ErrUnclaimed = errors.New("state without an operator")

// Assignment is what a job starts from.
type Assignment struct {
	// Tasks is the state of each subtask of a vertex; nil for a subtask that has none.
	Tasks map[operator.ID][]*linkpb.TaskState
	// Coordinators are the coordinators' snapshots by operator.
	Coordinators map[operator.ID][]byte
}

// saved is the state of one operator at all the subtasks that it had.
type saved struct {
	maxParallelism int
	parts          []part
}

// part is an operator's state in one old subtask, with the files that its blocks index.
type part struct {
	state *linkpb.OperatorState
	files []string
}

// Assign spreads the state in md over the subtasks of g. State goes by operator, so that chains may differ: keyed state by
// key group, lists dealt out in turn, unions to all, broadcast state whole to each. The max parallelism of a vertex with
// keyed state must be that of the checkpoint: see MaxParallelism. State without an operator is ErrUnclaimed, unless
// ignoreUnclaimed.
func Assign(md *checkpointpb.Metadata, g *graph.JobGraph, ignoreUnclaimed bool) (*Assignment, error) {
	states := map[operator.ID]*saved{}
	for _, v := range md.GetVertices() {
		for _, t := range v.GetSubtasks() {
			for _, o := range t.GetOperators() {
				id := idOf(o.GetOperator())
				if states[id] == nil {
					states[id] = &saved{maxParallelism: int(v.GetMaxParallelism())}
				}
				states[id].parts = append(states[id].parts, part{o, t.GetFiles()})
			}
		}
	}
	a := &Assignment{Tasks: map[operator.ID][]*linkpb.TaskState{}, Coordinators: map[operator.ID][]byte{}}
	known := map[operator.ID]bool{}
	for _, v := range g.GetVertices() {
		tasks := make([]*linkpb.TaskState, v.GetParallelism())
		for _, o := range v.GetOperators() {
			id := idOf(o.GetId())
			known[id] = true
			s := states[id]
			if s == nil {
				continue
			}
			delete(states, id)
			if err := spread(s, o, v, tasks); err != nil {
				return nil, err
			}
		}
		a.Tasks[idOf(v.GetId())] = tasks
	}
	if err := assignFlights(md, g, a.Tasks, ignoreUnclaimed); err != nil {
		return nil, err
	}
	if err := unclaimed(md, states, ignoreUnclaimed); err != nil {
		return nil, err
	}
	for _, c := range md.GetCoordinators() {
		if id := idOf(c.GetOperator()); known[id] {
			a.Coordinators[id] = c.GetSnapshot()
		}
	}
	return a, nil
}

func unclaimed(md *checkpointpb.Metadata, left map[operator.ID]*saved, ignore bool) error {
	if ignore || len(left) == 0 {
		return nil
	}
	var names []string
	for id := range left {
		names = append(names, nameOf(md, id))
	}
	slices.Sort(names)
	return fmt.Errorf("%w: the checkpoint has state of %s, which the program doesn't have; give the operator the UID it had, or start with --allowNonRestoredState (execution.state-recovery.ignore-unclaimed-state) to leave that state out",
		ErrUnclaimed, names[0])
}

func nameOf(md *checkpointpb.Metadata, id operator.ID) string {
	for _, o := range md.GetOperators() {
		if idOf(o.GetId()) != id {
			continue
		}
		if o.GetUid() != "" {
			return fmt.Sprintf("operator %q (uid %q)", o.GetName(), o.GetUid())
		}
		return fmt.Sprintf("operator %q (%s)", o.GetName(), id)
	}
	return "operator " + id.String()
}

// spread gives the state of one operator to the subtasks of its vertex.
func spread(s *saved, o *graph.ChainedOperator, v *graph.JobVertex, tasks []*linkpb.TaskState) error {
	b := builders(o.GetId(), tasks)
	next := 0 // whose turn it is with lists
	for i, p := range s.parts {
		for _, st := range p.state.GetStates() {
			switch operator.StateKind(st.GetKind()) {
			case operator.KeyedState:
				if s.maxParallelism != int(v.GetMaxParallelism()) {
					return fmt.Errorf("restore operator %q: the checkpoint has max parallelism %d, the program %d; keyed state can't be moved between them: set the max parallelism to %d",
						o.GetName(), s.maxParallelism, v.GetMaxParallelism(), s.maxParallelism)
				}
				for _, block := range st.GetBlocks() {
					g := int(block.GetGroup())
					if g < 0 || g >= s.maxParallelism {
						return fmt.Errorf("restore operator %q: state %q has key group %d of %d; the checkpoint is damaged", o.GetName(), st.GetName(), g, s.maxParallelism)
					}
					b[operator.SubtaskFor(g, s.maxParallelism, len(tasks))].add(st, block, p.files)
				}
			case operator.ListState:
				for _, block := range st.GetBlocks() {
					b[next%len(b)].add(st, block, p.files)
					next++
				}
				declare(b, st)
			case operator.UnionState:
				for _, t := range b {
					for _, block := range st.GetBlocks() {
						t.add(st, block, p.files)
					}
				}
				declare(b, st)
			case operator.BroadcastState:
				if i > 0 {
					continue // the same in every subtask
				}
				for _, t := range b {
					for _, block := range st.GetBlocks() {
						t.add(st, block, p.files)
					}
				}
				declare(b, st)
			default:
				return fmt.Errorf("restore operator %q: state %q is of kind %d, which this program doesn't know", o.GetName(), st.GetName(), st.GetKind())
			}
		}
	}
	for i, t := range b {
		tasks[i] = t.task
	}
	return nil
}

// taskBuilder adds an operator's blocks to the state of one subtask.
type taskBuilder struct {
	op     []byte
	task   *linkpb.TaskState // nil while there is none
	state  *linkpb.OperatorState
	byName map[string]*linkpb.NamedState
	files  map[string]int32
}

func builders(op []byte, tasks []*linkpb.TaskState) []*taskBuilder {
	all := make([]*taskBuilder, len(tasks))
	for i, t := range tasks {
		b := &taskBuilder{op: op, task: t, byName: map[string]*linkpb.NamedState{}, files: map[string]int32{}}
		for j, f := range t.GetFiles() {
			b.files[f] = int32(j)
		}
		all[i] = b
	}
	return all
}

// declare makes a state known where it got no block: a list that was dealt out to others, or what was empty. An operator that
// doesn't find its state begins anew with it.
func declare(all []*taskBuilder, st *linkpb.NamedState) {
	for _, b := range all {
		b.named(st)
	}
}

func (b *taskBuilder) named(st *linkpb.NamedState) *linkpb.NamedState {
	if b.task == nil {
		b.task = &linkpb.TaskState{}
	}
	if b.state == nil {
		b.state = &linkpb.OperatorState{Operator: b.op}
		b.task.Operators = append(b.task.Operators, b.state)
	}
	n := b.byName[st.GetName()]
	if n == nil {
		n = &linkpb.NamedState{Name: st.GetName(), Kind: st.GetKind(), KeySchema: st.GetKeySchema(), ValueSchema: st.GetValueSchema()}
		b.byName[st.GetName()] = n
		b.state.States = append(b.state.States, n)
	}
	return n
}

func (b *taskBuilder) add(st *linkpb.NamedState, block *linkpb.StateBlock, files []string) {
	n := b.named(st)
	n.Blocks = append(n.Blocks, b.moved(block, files))
}

// moved is a block of an old subtask as this one's; b.task isn't nil.
func (b *taskBuilder) moved(block *linkpb.StateBlock, files []string) *linkpb.StateBlock {
	c := proto.CloneOf(block)
	if i := int(block.GetFile()); i >= 0 && i < len(files) {
		at, ok := b.files[files[i]]
		if !ok {
			at = int32(len(b.task.Files))
			b.files[files[i]] = at
			b.task.Files = append(b.task.Files, files[i])
		}
		c.File = at
	}
	b.task.Bytes += block.GetLength()
	return c
}

// MaxParallelism says which max parallelism the vertices of g must take over from md, by vertex: that of the operators
// whose state they hold.
func MaxParallelism(md *checkpointpb.Metadata, g *graph.JobGraph) map[operator.ID]int {
	old := map[operator.ID]int{}
	for _, v := range md.GetVertices() {
		for _, t := range v.GetSubtasks() {
			for _, o := range t.GetOperators() {
				if slices.ContainsFunc(o.GetStates(), func(s *linkpb.NamedState) bool { return operator.StateKind(s.GetKind()) == operator.KeyedState }) {
					old[idOf(o.GetOperator())] = int(v.GetMaxParallelism())
				}
			}
		}
	}
	want := map[operator.ID]int{}
	for _, v := range g.GetVertices() {
		for _, o := range v.GetOperators() {
			if n := old[idOf(o.GetId())]; n != 0 {
				want[idOf(v.GetId())] = n
			}
		}
	}
	return want
}

func idOf(b []byte) (id operator.ID) {
	copy(id[:], b)
	return id
}
