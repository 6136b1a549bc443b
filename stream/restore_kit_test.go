package stream

// The restore harness, for every operator with state. A rig runs all subtasks of one operator by hand; checkRestore plays
// a random stream into one, takes a checkpoint in the middle, lets the old subtasks go on while their snapshots are
// written (under -race this finds what a snapshot shares with the live state), starts new subtasks in another parallelism
// from what was written, and wants the same output as without the interruption:
//
//	checkRestore(t, rigCase{
//		build: func(env *Env) *graph.Node { return KeyBy(From(env, fakeSource[rec]{}), byKey).Reduce(f).named },
//		in:    []rigInput{rigKeyed(byKey)},            // one for each input: rigKeyed(key) or rigSpread[T]()
//		steps: rigSteps(randomSteps(1, 3000, 7, 4000)), // records, watermarks and processing times, in order
//	})
//
// For a test with a plan of its own: newRig, (*rig).play, checkpoint, wait, restore, end.

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/statebackend/pebble"
)

// rigStep is a record, or a watermark of an input, or the processing time.
type rigStep struct {
	input int
	rec   any // nil: a watermark, or a processing time
	ts    int64
	now   bool // ts is the processing time
}

// rigSteps are the steps of a one-input operator.
func rigSteps(steps []step) []rigStep {
	out := make([]rigStep, len(steps))
	for i, s := range steps {
		out[i] = rigStep{ts: s.ts}
		if !s.mark {
			out[i].rec = s.r
		}
	}
	return out
}

// rigInput says how the records of an input reach the subtasks.
type rigInput struct {
	// to lists the subtasks that get record v.
	to func(v any, n, subtasks int) []int
	// add appends v to b, which it makes if it is nil.
	add func(b operator.Batch, v any, ts int64) operator.Batch
}

// rigKeyed sends the records of an input by key.
func rigKeyed[K comparable, T any](key func(T) K) rigInput {
	kt, err := codec.KeyOf[K]()
	if err != nil {
		panic(err)
	}
	return rigInput{
		to: func(v any, _, subtasks int) []int {
			return []int{operator.SubtaskFor(operator.KeyGroup(kt.Hash(key(v.(T))), testGroups), testGroups, subtasks)}
		},
		add: func(b operator.Batch, v any, ts int64) operator.Batch {
			b = rigAppend[T](b, v, ts)
			out := b.(*operator.Vec[T])
			out.H = append(out.H, kt.Hash(key(v.(T))))
			return b
		},
	}
}

// rigSpread sends the records of an input to the subtasks in turn.
func rigSpread[T any]() rigInput {
	return rigInput{to: func(_ any, n, subtasks int) []int { return []int{n % subtasks} }, add: rigAppend[T]}
}

func rigAppend[T any](b operator.Batch, v any, ts int64) operator.Batch {
	if b == nil {
		b = operator.NewVec[T](0)
	}
	out := b.(*operator.Vec[T])
	out.V = append(out.V, v.(T))
	if ts != operator.NoWatermark {
		out.TS = append(out.TS, ts)
	}
	return b
}

// rigOut is an output of a subtask.
type rigOut struct {
	r   *rig
	tag string
}

func (o rigOut) Batch(b operator.Batch) error {
	o.r.dump(o.tag, b)
	return nil
}
func (o rigOut) Watermark(int64) error { return nil }
func (o rigOut) End() error            { return nil }

// rig is all subtasks of one operator.
type rig struct {
	t     testing.TB
	build func(env *Env) *graph.Node
	in    []rigInput
	tags  []string
	size  int // of batches

	store operator.StateStore // nil: hashmap
	ops   []operator.Operator
	rts   []*fakeRuntime
	pend  [][]operator.Batch // by input and subtask
	marks []int64            // by input
	now   int64
	count int
	// out is what came out, as "tag: record @ time".
	out  []string
	dump func(tag string, b operator.Batch)
}

// newRig opens subtasks of the operator that build adds; tags are the side outputs to watch.
func newRig(t testing.TB, build func(env *Env) *graph.Node, in []rigInput, tags []string, subtasks int) *rig {
	t.Helper()
	return newRigOn(t, nil, build, in, tags, subtasks)
}

// newRigOn is newRig on a state backend; nil for hashmap.
func newRigOn(t testing.TB, store operator.StateStore, build func(env *Env) *graph.Node, in []rigInput, tags []string, subtasks int) *rig {
	t.Helper()
	r := &rig{t: t, store: store, build: build, in: in, tags: tags, size: 16, now: 1_000_000}
	r.dump = r.print
	r.marks = make([]int64, len(in))
	for i := range r.marks {
		r.marks[i] = operator.NoWatermark
	}
	r.open(subtasks)
	return r
}

func (r *rig) print(tag string, b operator.Batch) { r.out = append(r.out, rigText(tag, b)...) }

// rigText describes the records of a batch of any type: a *Vec[T], whatever T is.
func rigText(tag string, b operator.Batch) []string {
	v := reflect.ValueOf(b).Elem()
	recs, times := v.FieldByName("V"), v.FieldByName("TS")
	out := make([]string, recs.Len())
	for i := range out {
		out[i] = fmt.Sprintf("%s: %+v", tag, recs.Index(i))
		if times.Len() != 0 {
			out[i] += fmt.Sprintf(" @ %d", times.Index(i).Int())
		}
	}
	return out
}

func (r *rig) open(subtasks int) {
	r.t.Helper()
	env := newEnv("test", nil)
	n := r.build(env)
	env.sinks++
	env.finish()
	if err := env.g.Check(); err != nil {
		r.t.Fatal(err)
	}
	r.ops, r.rts = nil, nil
	r.pend = make([][]operator.Batch, len(r.in))
	for i := range r.pend {
		r.pend[i] = make([]operator.Batch, subtasks)
	}
	for i := range subtasks {
		rt := &fakeRuntime{outputs: map[string]operator.Input{"": rigOut{r, ""}}, counters: map[string]*operator.Counter{}, now: r.now}
		for _, tag := range r.tags {
			rt.outputs[tag] = rigOut{r, tag}
		}
		op, err := n.Factory(&operator.Env{Name: n.Name, Subtask: i, Parallelism: subtasks, MaxParallelism: testGroups, BatchSize: 8, Runtime: rt, Store: r.store})
		if err != nil {
			r.t.Fatal(err)
		}
		r.ops, r.rts = append(r.ops, op), append(r.rts, rt)
	}
}

// play feeds steps.
func (r *rig) play(steps []rigStep) {
	r.t.Helper()
	for _, s := range steps {
		switch {
		case s.rec != nil:
			r.add(s)
		case s.now:
			r.advance(s.ts)
		default:
			r.mark(s.input, s.ts)
		}
	}
}

func (r *rig) add(s rigStep) {
	r.t.Helper()
	r.count++
	in := r.in[s.input]
	for _, i := range in.to(s.rec, r.count, len(r.ops)) {
		b := in.add(r.pend[s.input][i], s.rec, s.ts)
		r.pend[s.input][i] = b
		if b.Len() == r.size {
			r.send(s.input, i)
		}
	}
}

func (r *rig) send(input, i int) {
	r.t.Helper()
	if b := r.pend[input][i]; b != nil {
		r.pend[input][i] = nil
		r.must(r.rts[i].runMails())
		r.must(r.ops[i].Input(input).Batch(b))
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// flush hands on what is pending.
func (r *rig) flush() {
	r.t.Helper()
	for input := range r.in {
		for i := range r.ops {
			r.send(input, i)
		}
	}
}

// mark sends a watermark of an input to all subtasks.
func (r *rig) mark(input int, t int64) {
	r.t.Helper()
	r.flush()
	r.marks[input] = t
	for _, op := range r.ops {
		r.must(op.Input(input).Watermark(t))
	}
}

// advance makes now the processing time and wakes who asked for it.
func (r *rig) advance(now int64) {
	r.t.Helper()
	r.flush()
	r.now = now
	for i, op := range r.ops {
		rt := r.rts[i]
		rt.now = now
		for rt.wake != 0 && rt.wake <= now {
			rt.wake = 0
			r.must(op.ProcessingTime(now))
		}
	}
}

// end ends all inputs and closes the operators.
func (r *rig) end() []string {
	r.t.Helper()
	for input := range r.in {
		if r.marks[input] != operator.MaxWatermark {
			r.mark(input, operator.MaxWatermark)
		}
	}
	for input := range r.in {
		for _, op := range r.ops {
			r.must(op.Input(input).End())
		}
	}
	r.close()
	return r.out
}

func (r *rig) close() {
	r.t.Helper()
	for _, op := range r.ops {
		r.must(op.Close())
	}
}

// rigImage is a checkpoint of all subtasks.
type rigImage struct {
	id    int64 // 0: a savepoint
	parts []*rigPart
	write sync.WaitGroup
}

// rigPart is what one subtask wrote: a StateWriter.
type rigPart struct {
	states  []operator.StateDescriptor
	blocks  [][]operator.Block // by state
	parts   []*rigParts        // by state; nil: it is written in blocks
	base    *rigPart           // nil: there is none
	written map[string]int     // entries, by state
	err     error
}

func (p *rigPart) Begin(d operator.StateDescriptor) error {
	for _, s := range p.states {
		if s.Name == d.Name {
			return fmt.Errorf("state %q is written twice", d.Name)
		}
	}
	p.states, p.blocks, p.parts = append(p.states, d), append(p.blocks, nil), append(p.parts, nil)
	return nil
}

func (p *rigPart) Block(group int, data []byte) error {
	n := len(p.states) - 1
	if keyed := p.states[n].Kind == operator.KeyedState; keyed != (group >= 0) {
		return fmt.Errorf("state %q has a block of group %d", p.states[n].Name, group)
	}
	p.blocks[n] = append(p.blocks[n], operator.Block{Group: group, Data: bytes.Clone(data)})
	return nil
}

// checkpoint takes the snapshots of all subtasks and begins to write them. What comes out from now on is not kept; wait
// ends the writing.
func (r *rig) checkpoint() *rigImage {
	r.t.Helper()
	at := make(chan struct{})
	close(at)
	return r.checkpointAt(at)
}

// checkpointAt is checkpoint, but what was taken is written when at is closed.
func (r *rig) checkpointAt(at <-chan struct{}) *rigImage {
	r.t.Helper()
	r.flush()
	img := r.image(0, nil, at)
	r.dump = func(string, operator.Batch) {}
	return img
}

// image takes a snapshot of all subtasks, which is written when at is closed: a whole one, or where id isn't 0 one that builds
// on base, if there is one.
func (r *rig) image(id int64, base *rigImage, at <-chan struct{}) *rigImage {
	r.t.Helper()
	img := &rigImage{id: id}
	for i, op := range r.ops {
		part := &rigPart{written: map[string]int{}}
		img.parts = append(img.parts, part)
		if c, ok := op.(operator.Committer); ok {
			_, err := c.Committables()
			r.must(err)
		}
		var s operator.StateSnapshot
		var err error
		w := operator.StateWriter(part)
		if c, ok := op.(operator.Incremental); ok && id != 0 {
			w = &rigChanges{rigPart: part}
			if base != nil {
				part.base = base.parts[i]
				s, err = c.SnapshotSince(id, base.id)
			} else {
				s, err = c.SnapshotSince(id, 0)
			}
		} else if c, ok := op.(operator.Checkpointed); ok {
			s, err = c.Snapshot(id)
		}
		r.must(err)
		if s == nil {
			continue
		}
		img.write.Go(func() {
			<-at
			part.err = s.Write(w)
			part.merged()
			s.Release()
		})
	}
	return img
}

// wait ends the writing of img.
func (r *rig) wait(img *rigImage) {
	r.t.Helper()
	img.write.Wait()
	for _, p := range img.parts {
		r.must(p.err)
	}
}

// rigReader is one subtask's share of an image: a StateReader.
type rigReader struct {
	img               *rigImage
	subtask, subtasks int
}

func (x rigReader) States() []operator.StateDescriptor {
	var out []operator.StateDescriptor
	for _, p := range x.img.parts {
		for _, s := range p.states {
			if !slices.ContainsFunc(out, func(o operator.StateDescriptor) bool { return o.Name == s.Name }) {
				out = append(out, s)
			}
		}
	}
	return out
}

func (x rigReader) Blocks(name string) iter.Seq2[operator.Block, error] {
	return func(yield func(operator.Block, error) bool) {
		from, to := operator.KeyGroupRange(x.subtask, testGroups, x.subtasks)
		n, copies := 0, 0
		for _, p := range x.img.parts {
			for i, s := range p.states {
				if s.Name != name {
					continue
				}
				if copies++; s.Kind == operator.BroadcastState && copies > 1 {
					continue
				}
				for _, b := range p.blocks[i] {
					n++
					switch {
					case s.Kind == operator.KeyedState && (b.Group < from || b.Group >= to):
						continue
					case s.Kind == operator.ListState && n%x.subtasks != x.subtask:
						continue
					}
					data := bytes.Clone(b.Data)
					if !yield(operator.Block{Group: b.Group, Data: data}, nil) {
						return
					}
					for j := range data { // good until the next
						data[j] = 0xee
					}
				}
			}
		}
	}
}

// restore replaces the subtasks by new ones that start from img, and repeats the last watermarks.
func (r *rig) restore(img *rigImage, subtasks int) {
	r.t.Helper()
	r.close()
	r.dump = r.print
	r.open(subtasks)
	for i, op := range r.ops {
		if x := (rigReader{img, i, subtasks}); len(x.States()) != 0 {
			r.must(op.(operator.Checkpointed).Restore(x))
		}
	}
}

// remark repeats the last watermark of each input: a restored operator has none.
func (r *rig) remark() {
	r.t.Helper()
	for input, t := range r.marks {
		if t != operator.NoWatermark {
			r.mark(input, t)
		}
	}
}

// rigCase is an operator and a stream for checkRestore.
type rigCase struct {
	build func(env *Env) *graph.Node
	in    []rigInput
	tags  []string // the side outputs to compare
	steps []rigStep
	runs  int // interrupted ones; 0 is 8
	// parallel is the highest parallelism; 0 is 3.
	parallel int
}

// rigStore is a state backend whose caches have share bytes.
type rigStore struct {
	operator.StateStore
	share int64
}

func (s rigStore) Share() int64 { return s.share }

// rigStores are the state backends: hashmap, pebble with too little memory for the test's keys, and with next to none.
func rigStores(t testing.TB) []operator.StateStore {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "state", Memory: pebble.MinMemory, CacheRatio: 0.5, FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil { // an error if a view was not released, too
			t.Error(err)
		}
	})
	return []operator.StateStore{nil, rigStore{s, 12 << 10}, rigStore{s, 2 << 10}}
}

// checkRestore says that a run with checkpoints and restores at random points has the output of one without. Each time the
// subtasks go on with a random state backend. What half of the runs restore from builds on checkpoints that were taken before.
func checkRestore(t *testing.T, c rigCase) {
	t.Helper()
	if c.runs == 0 {
		c.runs = 8
	}
	if c.parallel == 0 {
		c.parallel = 3
	}
	straight := newRig(t, c.build, c.in, c.tags, 1)
	straight.play(c.steps)
	want := straight.end()
	slices.Sort(want)
	if len(want) == 0 {
		t.Fatal("nothing comes out without an interruption")
	}
	stores := rigStores(t)
	for run := range c.runs {
		random := rand.New(rand.NewPCG(uint64(run), 99))
		r := newRigOn(t, stores[random.IntN(len(stores))], c.build, c.in, c.tags, 1+random.IntN(c.parallel))
		at := 0
		for range 1 + random.IntN(3) { // interruptions
			cut := at + random.IntN(len(c.steps)-at+1)
			var line rigLine
			if run%4 < 2 { // checkpoints that build on each other
				for range random.IntN(8) {
					mid := at + random.IntN(min(cut-at, len(c.steps)/8)+1)
					r.play(c.steps[at:mid])
					line.take(r, random)
					at = mid
				}
			}
			r.play(c.steps[at:cut])
			r.flush()
			marks, now := slices.Clone(r.marks), r.now
			begin := make(chan struct{})
			if run%2 == 0 { // write meanwhile, else afterwards
				close(begin)
			}
			take := r.checkpointAt
			if run%4 < 2 {
				take = func(at <-chan struct{}) *rigImage { return line.last(r, random, at) }
			}
			img := take(begin)
			r.play(c.steps[cut:min(cut+200, len(c.steps))]) // lost, and not to be seen in the snapshot
			if run%2 != 0 {
				close(begin)
			}
			for _, p := range line.pending {
				r.wait(p)
			}
			r.wait(img)
			r.flush()
			r.marks, r.now = marks, now
			r.store = stores[random.IntN(len(stores))]
			r.restore(img, 1+random.IntN(c.parallel))
			r.remark()
			at = cut
		}
		r.play(c.steps[at:])
		got := r.end()
		slices.Sort(got)
		sameTexts(t, run, got, want)
	}
}

func sameTexts(t *testing.T, run int, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i < len(want) && want[i] < got[i]:
			t.Fatalf("run %d: %d results, want %d; missing %s", run, len(got), len(want), want[i])
		case i >= len(want) || got[i] != want[i]:
			t.Fatalf("run %d: %d results, want %d; too many %s", run, len(got), len(want), got[i])
		}
	}
}
