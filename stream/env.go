package stream

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// Env is the graph that a build function fills. It is valid until that function returns.
type Env struct {
	g       *graph.StreamGraph
	files   *filesystem.Set
	tags    map[tagKey]tagUse
	windows []*windowSpec
	sinks   int
	endless map[*graph.Node]bool
	named   map[*graph.Node]bool // the user gave it a name of its own
	seen    map[string]bool      // mistakes already recorded
	groups  map[string]*alignment
	closed  bool
}

type tagKey struct {
	node *graph.Node
	tag  string
}

type tagUse struct {
	signature string
	at        string
}

func newEnv(name string, files *filesystem.Set) *Env {
	return &Env{g: &graph.StreamGraph{Name: name}, files: files, tags: map[tagKey]tagUse{}, endless: map[*graph.Node]bool{},
		named: map[*graph.Node]bool{}, seen: map[string]bool{}, groups: map[string]*alignment{}}
}

// Parallelism sets the parallelism of all operators that have none of their own; at least 1. Without it the
// configuration decides (parallelism.default; locally the number of processors).
func (e *Env) Parallelism(n int) {
	at := caller()
	if n < 1 {
		e.fail(at, "parallelism %d: a job needs at least 1", n)
		return
	}
	e.g.Parallelism = n
}

// fail records a mistake of the program's once.
func (e *Env) fail(at, format string, args ...any) {
	text := at + fmt.Sprintf(format, args...)
	if !e.seen[text] {
		e.seen[text] = true
		e.g.Fail(at, format, args...)
	}
}

// finish records what can only be seen when the whole graph is there.
func (e *Env) finish() {
	e.closed = true
	for _, w := range e.windows {
		if !w.used {
			e.fail(w.at, "the window has no aggregate: call Reduce on it, or stream.Aggregate or stream.Apply")
		}
	}
	if len(e.g.Nodes) != 0 && e.sinks == 0 {
		e.fail(e.g.Nodes[0].At, "job %q has no sink: what it computes goes nowhere; add To(…) to a stream", e.g.Name)
	}
}

// misuse is panicked by calls that can't go on, and turned into an error with the user's line by buildGraph.
type misuse struct{ at, text string }

func (e *Env) check(at, what string) *Env {
	if e == nil {
		panic(misuse{at, what + " on a stream that no Env made: begin with stream.From"})
	}
	if e.closed {
		panic(misuse{at, what + " on a stream of another build: a build function uses only streams of its own Env"})
	}
	return e
}

const packagePath = "github.com/weftstream/weft/stream."

// caller is file:line of the nearest call from outside this package.
func caller() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, packagePath) || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return "unknown line"
		}
	}
}

// tagsOf lists the side outputs of n that are used, by name.
func (e *Env) tagsOf(n *graph.Node) []string {
	var names []string
	for k := range e.tags {
		if k.node == n {
			names = append(names, k.tag)
		}
	}
	slices.Sort(names)
	return names
}

// node adds an operator and returns it.
func (e *Env) node(at, kind, name string, out operator.Type, f operator.Factory) *graph.Node {
	return e.g.AddNode(&graph.Node{Kind: kind, Name: name, Out: out, Factory: f, At: at})
}

// typeOf is the codec of T; a T that has none is a mistake, and the result nil.
func typeOf[T any](e *Env, at string) *codec.Type[T] {
	t, err := codec.Of[T]()
	if err != nil {
		e.fail(at, "%v", err)
		return nil
	}
	return t
}

// asType keeps a nil *codec.Type from becoming a non-nil operator.Type.
func asType[T any](t *codec.Type[T]) operator.Type {
	if t == nil {
		return nil
	}
	return t
}
