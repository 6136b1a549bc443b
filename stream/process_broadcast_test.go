package stream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// rule is a record of the broadcast stream.
type rule struct {
	Key  int64
	Name string // "" removes the key's
}

// rigBroadcast sends the records of an input to every subtask.
func rigBroadcast[T any]() rigInput {
	return rigInput{add: rigAppend[T], to: func(_ any, _, subtasks int) []int {
		all := make([]int, subtasks)
		for i := range all {
			all[i] = i
		}
		return all
	}}
}

// ruleSteps are records with rules between them; the marks around a rule keep the rig from reordering it.
func ruleSteps(seed uint64) []rigStep {
	r := rand.New(rand.NewPCG(seed, 4))
	var steps []rigStep
	mark := int64(-100_000)
	for _, s := range rigSteps(randomSteps(seed, 2000, 9, 300)) {
		steps = append(steps, s)
		if r.IntN(12) != 0 {
			continue
		}
		mark += r.Int64N(400)
		one := rule{Key: r.Int64N(9)}
		if r.IntN(3) != 0 {
			one.Name = fmt.Sprint("rule", r.IntN(1000))
		}
		steps = append(steps, rigStep{input: 1, ts: mark}, rigStep{input: 1, rec: one, ts: mark}, rigStep{input: 1, ts: mark + 1})
	}
	return steps
}

// ruled says which rule every record and timer meets.
type ruled struct {
	rules *BroadcastMap[int64, string]
	count *Value[int64]
}

func newRuled(rt *Runtime) *ruled {
	return &ruled{BroadcastState[int64, string](rt, "rules"), ValueState[int64](rt, "count")}
}

func (p *ruled) Element(c *Context[int64, string], r rec) error {
	n, _ := p.count.Get()
	p.count.Set(n + 1)
	c.Emit(met(r, n, p.rules.Len(), p.rules.Get))
	if at := c.Time() / 1000 * 1000; r.N%5 == 0 && at > c.Watermark() {
		c.EventTimer(at)
	}
	return nil
}

func met(r rec, n int64, rules int, get func(int64) (string, bool)) string {
	own, ok := get(r.Key)
	return fmt.Sprint(r.Key, " ", r.N, " ", n, " ", rules, own, ok)
}

func (p *ruled) OnTimer(c *Context[int64, string], at Time) error {
	own, ok := p.rules.Get(c.Key)
	c.Emit(fmt.Sprint("timer ", c.Key, " ", at, own, ok))
	return nil
}

func (p *ruled) Broadcast(c *Context[NoKey, string], r rule) error {
	if r.Name == "" {
		p.rules.Delete(r.Key)
	} else {
		p.rules.Set(r.Key, r.Name)
	}
	return nil
}

func ruledNode(env *Env) *graph.Node {
	return BroadcastProcess(KeyBy(From(env, fakeSource[rec]{}), byKey), From(env, fakeSource[rule]{}), newRuled).named
}

func ruledInputs() []rigInput { return []rigInput{rigKeyed(byKey), rigBroadcast[rule]()} }

func TestBroadcastProcessAgainstModel(t *testing.T) {
	steps := ruleSteps(41)
	rules, counts := map[int64]string{}, map[int64]int64{}
	var want []string
	for _, s := range steps {
		switch r := s.rec.(type) {
		case rule:
			if r.Name == "" {
				delete(rules, r.Key)
			} else {
				rules[r.Key] = r.Name
			}
		case rec:
			want = append(want, ": "+met(r, counts[r.Key], len(rules), func(k int64) (string, bool) { v, ok := rules[k]; return v, ok })+fmt.Sprint(" @ ", s.ts))
			counts[r.Key]++
		}
	}
	for _, subtasks := range []int{1, 3} {
		r := newRig(t, ruledNode, ruledInputs(), nil, subtasks)
		r.play(steps)
		got := r.end()
		n := len(got)
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, ": timer") })
		sameSet(t, got, want)
		if n-len(got) < 50 {
			t.Errorf("%d timers fired", n-len(got))
		}
	}
}

func TestBroadcastProcessIsRestored(t *testing.T) {
	checkRestore(t, rigCase{build: ruledNode, in: ruledInputs(), steps: ruleSteps(42)})
}

// hoarder keeps records until the broadcast stream lets some of them go.
type hoarder struct {
	held    *OperatorList[rec]
	letters *BroadcastMap[string, []int64]
}

func newHoarder(rt *Runtime) *hoarder {
	return &hoarder{OperatorListState[rec](rt, "held"), BroadcastState[string, []int64](rt, "letters")}
}

func (p *hoarder) Element(c *Context[NoKey, string], r rec) error {
	p.held.Add(r)
	return nil
}

func (p *hoarder) Broadcast(c *Context[NoKey, string], r rule) error {
	seen, _ := p.letters.Get(r.Name)
	p.letters.Set(r.Name, append(slices.Clone(seen), r.Key))
	for v := range p.held.All() {
		if v.N%9 == r.Key {
			c.Emit(fmt.Sprint(v))
		}
	}
	p.held.Set(func(yield func(rec) bool) {
		for v := range p.held.All() {
			if v.N%9 != r.Key && !yield(v) {
				return
			}
		}
	})
	return nil
}

// TestOperatorListIsRestored: every record is dealt to one subtask, whatever the parallelism, so that all come out once.
func TestOperatorListIsRestored(t *testing.T) {
	steps := ruleSteps(43)
	last := steps[len(steps)-1].ts + 1_000_000
	for i := range steps {
		if steps[i].rec != nil {
			steps[i].ts = operator.NoWatermark // when a record comes out depends on the batches
		}
	}
	for k := range int64(9) {
		steps = append(steps, rigStep{input: 1, ts: last + k}, rigStep{input: 1, rec: rule{Key: k}, ts: operator.NoWatermark})
	}
	build := func(env *Env) *graph.Node {
		return BroadcastProcessEach(From(env, fakeSource[rec]{}), From(env, fakeSource[rule]{}), newHoarder).named
	}
	in := []rigInput{rigSpread[rec](), rigBroadcast[rule]()}
	checkRestore(t, rigCase{build: build, in: in, steps: steps, parallel: 5})
	r := newRig(t, build, in, nil, 3)
	r.play(steps)
	if got := r.end(); len(got) != 2000 {
		t.Fatalf("%d records came out, want 2000", len(got))
	}
}

// lists has both kinds of lists and puts something into them at first.
type lists struct{ own, all *OperatorList[rec] }

func newLists(rt *Runtime) *lists {
	l := &lists{OperatorListState[rec](rt, "own"), UnionListState[rec](rt, "all")}
	l.own.Add(rec{N: -1})
	l.all.Add(rec{N: -1})
	return l
}

func (l *lists) Element(c *Context[NoKey, string], r rec) error {
	l.own.Add(r)
	l.all.Add(r)
	return nil
}

// TestListsAreDealtOutOrUnited restores one subtask's lists in three, after changes that the snapshot must not have.
func TestListsAreDealtOutOrUnited(t *testing.T) {
	var have []rec
	r := newRig(t, eachNode(func(s Stream[rec]) Stream[string] { return ProcessEach(s, newLists) }), []rigInput{rigSpread[rec]()}, nil, 1)
	for i := range int64(3000) {
		have = append(have, rec{N: i})
		r.add(rigStep{rec: rec{N: i}, ts: operator.NoWatermark})
	}
	have = append(have, rec{N: -1})
	begin := make(chan struct{})
	img := r.checkpointAt(begin)
	l := r.ops[0].(*each[string]).fn.(*lists)
	l.own.Clear()
	l.own.Add(rec{N: 77})
	l.all.Add(rec{N: 78})
	close(begin)
	r.wait(img)
	r.restore(img, 3)
	var own []rec
	for _, op := range r.ops {
		l := op.(*each[string]).fn.(*lists)
		sameSet(t, slices.Collect(l.all.All()), have)
		if n := l.own.Len(); n < 900 || n > 1100 {
			t.Errorf("a subtask of three has %d of 3001 values", n)
		}
		own = slices.AppendSeq(own, l.own.All())
	}
	sameSet(t, own, have)
}

// trespasser uses states where it mustn't.
type trespasser struct {
	rules *BroadcastMap[int64, string]
	count *Value[int64]
}

func (p *trespasser) Element(*Context[int64, string], rec) error {
	p.rules.Set(1, "one")
	return nil
}

func (p *trespasser) Broadcast(c *Context[NoKey, string], r rule) error {
	switch {
	case r.Name == "timer":
		c.EventTimer(1)
	case r.Name == "read":
		p.count.Get()
	default:
		p.count.Set(1)
	}
	return nil
}

func TestMistakesInBroadcastProcess(t *testing.T) {
	build := func(env *Env) *graph.Node {
		return BroadcastProcess(KeyBy(From(env, fakeSource[rec]{}), byKey), From(env, fakeSource[rule]{}), func(rt *Runtime) *trespasser {
			return &trespasser{rules: BroadcastState[int64, string](rt, "rules"), count: ValueState[int64](rt, "count")}
		}).named
	}
	for name, want := range map[string]string{"": `Set of broadcast state "rules" outside`, "timer": "timers belong to a key",
		"read": `state "count", which belongs to a key`, "write": `state "count", which belongs to a key`} {
		op, err := openOne(t, build)
		if err != nil {
			t.Fatal(err)
		}
		if name == "" {
			b := operator.NewVec[rec](1)
			b.V, b.H = append(b.V, rec{}), append(b.H, 0)
			err = op.Input(0).Batch(b)
		} else {
			err = feed(op, 1, rule{Name: name})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v doesn't say %s", name, err, want)
		}
	}
	_, err := openOne(t, eachNode(func(s Stream[rec]) Stream[string] {
		return ProcessEach(s, func(rt *Runtime) *splitter {
			OperatorListState[int64](rt, "a")
			UnionListState[func()](rt, "a")
			BroadcastState[int64, int64](rt, "b").Set(1, 1)
			return &splitter{}
		})
	}))
	for _, want := range []string{`UnionListState("a"): the operator already`, `UnionListState("a"): `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v doesn't say %s", err, want)
		}
	}
}

// TestBroadcastInputIsBroadcast: however the stream was distributed before.
func TestBroadcastInputIsBroadcast(t *testing.T) {
	env := newEnv("test", nil)
	out := BroadcastProcess(KeyBy(From(env, fakeSource[rec]{}), byKey), From(env, fakeSource[rule]{}).Rebalance(), newRuled)
	for _, e := range env.g.Edges {
		if want := []graph.Partitioning{graph.Partitioning_HASH, graph.Partitioning_BROADCAST}[e.Input]; e.To == out.named && e.Partitioning != want {
			t.Errorf("input %d is %v", e.Input, e.Partitioning)
		}
	}
}
