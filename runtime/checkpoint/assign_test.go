package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

func opID(n byte) []byte { id := operator.ID{n}; return id[:] }

// savedAt is a checkpoint of one operator at a parallelism: a block for each key group, two list blocks and a union block for
// each subtask, and the same broadcast state everywhere.
func savedAt(parallelism, groups int) *checkpointpb.Metadata {
	v := &checkpointpb.Vertex{Id: opID(1), Parallelism: int32(parallelism), MaxParallelism: int32(groups)}
	for s := range parallelism {
		from, to := operator.KeyGroupRange(s, groups, parallelism)
		keyed := &linkpb.NamedState{Name: "k", Kind: int32(operator.KeyedState)}
		for g := from; g < to; g++ {
			keyed.Blocks = append(keyed.Blocks, &linkpb.StateBlock{Group: int32(g), File: 0, Offset: int64(g), Length: 1})
		}
		list := &linkpb.NamedState{Name: "l", Kind: int32(operator.ListState)}
		for i := range 2 {
			list.Blocks = append(list.Blocks, &linkpb.StateBlock{Group: -1, File: -1, Data: []byte(fmt.Sprintf("%d/%d", s, i)), Length: 3})
		}
		union := &linkpb.NamedState{Name: "u", Kind: int32(operator.UnionState), Blocks: []*linkpb.StateBlock{{Group: -1, File: -1, Data: []byte{byte(s)}, Length: 1}}}
		broadcast := &linkpb.NamedState{Name: "b", Kind: int32(operator.BroadcastState), Blocks: []*linkpb.StateBlock{{Group: -1, File: -1, Data: []byte("all"), Length: 3}}}
		v.Subtasks = append(v.Subtasks, &linkpb.TaskState{Files: []string{fmt.Sprintf("file:///c/%d", s)},
			Operators: []*linkpb.OperatorState{{Operator: opID(1), States: []*linkpb.NamedState{keyed, list, union, broadcast}}}})
	}
	return &checkpointpb.Metadata{Version: FormatVersion, Checkpoint: 5, Vertices: []*checkpointpb.Vertex{v},
		Operators:    []*checkpointpb.Operator{{Id: opID(1), Uid: "counts", Name: "Counts"}},
		Coordinators: []*linkpb.CoordinatorSnapshot{{Operator: opID(1), Snapshot: []byte("co")}, {Operator: opID(9), Snapshot: []byte("gone")}}}
}

func jobOf(parallelism, groups int, operators ...byte) *graph.JobGraph {
	v := &graph.JobVertex{Id: opID(7), Name: "v", Parallelism: int32(parallelism), MaxParallelism: int32(groups)}
	for _, o := range operators {
		v.Operators = append(v.Operators, &graph.ChainedOperator{Id: opID(o), Name: fmt.Sprint("op", o)})
	}
	return &graph.JobGraph{Vertices: []*graph.JobVertex{v}}
}

// From any parallelism to any other every key group and every list block goes to one subtask, and each subtask names only
// the files that it needs.
func TestAssignRearranges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		groups := 1 + random.IntN(40)
		before, after := 1+random.IntN(groups), 1+random.IntN(groups)
		a, err := Assign(savedAt(before, groups), jobOf(after, groups, 3, 1), false)
		if err != nil {
			t.Fatal(err)
		}
		if string(a.Coordinators[operator.ID{1}]) != "co" || len(a.Coordinators) != 1 {
			t.Fatalf("coordinators %v", a.Coordinators)
		}
		group, list := map[int]int{}, map[string]int{}
		for s, task := range a.Tasks[operator.ID{7}] {
			used := map[int32]bool{}
			unions, broadcasts := 0, 0
			for _, st := range task.GetOperators()[0].GetStates() {
				for _, b := range st.GetBlocks() {
					if b.GetFile() >= 0 {
						used[b.GetFile()] = true
					}
					switch st.GetName() {
					case "k":
						g := int(b.GetGroup())
						group[g]++
						if operator.SubtaskFor(g, groups, after) != s {
							t.Fatalf("group %d went to subtask %d of %d", g, s, after)
						}
						if want := fmt.Sprintf("file:///c/%d", operator.SubtaskFor(g, groups, before)); task.GetFiles()[b.GetFile()] != want {
							t.Fatalf("group %d is in %s, want %s", g, task.GetFiles()[b.GetFile()], want)
						}
					case "l":
						list[string(b.GetData())]++
					case "u":
						unions++
					case "b":
						broadcasts++
					}
				}
			}
			if unions != before || broadcasts != 1 || len(used) != len(task.GetFiles()) {
				t.Fatalf("%d → %d, subtask %d: %d union blocks, %d broadcast blocks, %d of %d files used", before, after, s, unions, broadcasts, len(used), len(task.GetFiles()))
			}
		}
		if len(group) != groups || len(list) != 2*before {
			t.Fatalf("%d → %d: %d of %d groups, %d of %d list blocks", before, after, len(group), groups, len(list), 2*before)
		}
		for g, n := range group {
			if n != 1 {
				t.Fatalf("group %d was given %d times", g, n)
			}
		}
		for b, n := range list {
			if n != 1 {
				t.Fatalf("list block %s was given %d times", b, n)
			}
		}
	}
}

// TestEmptyStatesAreKnown: an operator state that was empty is restored as such, also for subtasks that are new. An operator that
// isn't told of it would begin with what its open function puts into it.
func TestEmptyStatesAreKnown(t *testing.T) {
	md := savedAt(2, 8)
	for _, task := range md.Vertices[0].Subtasks {
		for _, st := range task.Operators[0].States[1:] {
			st.Blocks = nil
		}
	}
	a, err := Assign(md, jobOf(3, 8, 1), false)
	if err != nil {
		t.Fatal(err)
	}
	for i, task := range a.Tasks[operator.ID{7}] {
		known := ""
		for _, st := range task.GetOperators()[0].GetStates() {
			known += st.GetName()
		}
		for _, name := range []string{"l", "u", "b"} {
			if !strings.Contains(known, name) {
				t.Errorf("subtask %d doesn't hear of state %s: %s", i, name, known)
			}
		}
	}
}

func TestAssignRefuses(t *testing.T) {
	_, err := Assign(savedAt(2, 8), jobOf(2, 8, 3), false)
	if !errors.Is(err, ErrUnclaimed) || !strings.Contains(err.Error(), `operator "Counts" (uid "counts")`) {
		t.Errorf("state without an operator: %v", err)
	}
	if a, err := Assign(savedAt(2, 8), jobOf(2, 8, 3), true); err != nil || a.Tasks[operator.ID{7}][0] != nil {
		t.Errorf("state that may be left out: %v", err)
	}
	if _, err := Assign(savedAt(2, 8), jobOf(2, 16, 1), false); err == nil || !strings.Contains(err.Error(), "set the max parallelism to 8") {
		t.Errorf("another max parallelism: %v", err)
	}
	if got := MaxParallelism(savedAt(2, 8), jobOf(2, 16, 1)); got[operator.ID{7}] != 8 {
		t.Errorf("max parallelism to take over: %v", got)
	}
	bad := savedAt(1, 8)
	bad.Vertices[0].Subtasks[0].Operators[0].States[0].Blocks[0].Group = 8
	if _, err := Assign(bad, jobOf(1, 8, 1), false); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a group that can't be: %v", err)
	}
}
