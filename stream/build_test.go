package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

type nothing[T any] struct{}

func (nothing[T]) Commits() bool                        { return false }
func (nothing[T]) Open(*Runtime) (SinkWriter[T], error) { return nil, nil }
func (nothing[T]) Commit(*Runtime, [][]byte) error      { return nil }

// here is file:line of its caller's line plus n.
func here(n int) string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file, line+n)
}

// buildWith builds an undefined job.
func buildWith(build func(env *Env) error) error {
	j := &Job[struct{}]{name: "test", at: "x.go:1", build: func(env *Env, _ struct{}) error { return build(env) }}
	_, err := j.Graph(struct{}{})
	return err
}

func TestMistakesAreReportedTogetherWithTheUsersLine(t *testing.T) {
	var want []string
	say := func(line, text string) { want = append(want, line+": "+text) }
	err := buildWith(func(env *Env) error {
		s := From(env, fakeSource[rec]{})
		say(here(1), "Map with a nil function")
		Map[rec, rec](s, nil)
		say(here(1), "parallelism 0: an operator needs at least 1")
		s.Filter(func(rec) bool { return true }).Parallelism(0)
		s.Filter(func(rec) bool { return true }).UID("a")
		say(here(1), `uid "a" is already used`)
		s.Filter(func(rec) bool { return true }).UID("a")
		say(here(1), "type can't be encoded: key *int")
		KeyBy(s, func(r rec) *int { return nil })
		say(here(1), "type can't be encoded: struct { F func() }.F")
		Map(s, func(rec) struct{ F func() } { return struct{ F func() }{} })
		say(here(1), "UID on nothing")
		s.Union(s).UID("u")
		k := KeyBy(s, byKey)
		say(here(1), "the window has no aggregate")
		k.Window(Tumbling(time.Second))
		say(here(1), "Union with a stream of another Env")
		s.Union(From(newEnv("other", nil), fakeSource[rec]{}))
		say(here(1), "a global window without a trigger never fires")
		k.Window(Global()).Reduce(func(a, b rec) rec { return a })
		say(here(1), "sessions merge, so the accumulator needs a method: func (a *int64) Merge(o *int64)")
		Aggregate(k.Window(Session(time.Second)), func(a *int64, r rec) {}, func(p Pane[int64], a *int64) int64 { return *a })
		say(here(1), "ProcessingTime on global windows: it is for tumbling, sliding and session windows")
		k.Window(Global().ProcessingTime()).TriggerCount(1).Reduce(func(a, b rec) rec { return a })
		say(here(1), "AllowedLateness on tumbling windows of 1s of processing time: nothing is late in processing time")
		k.Window(Tumbling(time.Second).ProcessingTime()).AllowedLateness(time.Second).Reduce(func(a, b rec) rec { return a })
		say(here(1), "TriggerEvery(0s): whole milliseconds, at least 1")
		k.Window(Tumbling(time.Second)).TriggerEvery(0).Reduce(func(a, b rec) rec { return a })
		say(here(1), "TriggerEvery on an at-end window")
		k.Window(AtEnd()).TriggerEvery(time.Second).Reduce(func(a, b rec) rec { return a })
		say(here(1), "Purge on a session window: it is for global, tumbling and sliding windows")
		k.Window(Session(time.Second)).Purge().Reduce(func(a, b rec) rec { return a })
		say(here(1), "a count window of 0 records every 0")
		k.CountWindow(0).Reduce(func(a, b rec) rec { return a })
		say(here(1), "a count window of 5 records every 0")
		k.SlidingCountWindow(5, 0).Reduce(func(a, b rec) rec { return a })
		say(here(1), "TimestampsWith with a nil generator")
		s.TimestampsWith(func(rec) Time { return 0 }, nil)
		say(here(1), "tumbling windows of 0s")
		k.Window(Tumbling(0)).Reduce(func(a, b rec) rec { return a })
		say(here(1), "TriggerCount on a tumbling window: it is for stream.Global()")
		k.Window(Tumbling(time.Second)).TriggerCount(3).Reduce(func(a, b rec) rec { return a })
		p := Process(k, newEveryState)
		Side(p, NewTag[rec]("x"))
		say(here(1), `side output "x" has records of type string here and of type`)
		Side(p, NewTag[string]("x"))
		s.To(nothing[rec]{})
		return nil
	})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s", w)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("%d mistakes reported, want %d:\n%v", n, len(want), err)
	}
}

func TestBuildsThatCannotRun(t *testing.T) {
	var endless = func(env *Env) Stream[rec] { return From(env, forever{}) }
	var leaked Stream[rec]
	for name, c := range map[string]struct {
		build func(env *Env) error
		want  string
	}{
		"no operators": {func(env *Env) error { return nil }, "has no operators"},
		"no sink":      {func(env *Env) error { From(env, fakeSource[rec]{}); return nil }, "has no sink"},
		"zero stream":  {func(env *Env) error { var s Stream[rec]; s.Filter(func(rec) bool { return true }); return nil }, "begin with stream.From"},
		"error":        {func(env *Env) error { return errors.New("my reason") }, "my reason"},
		"panic": {func(env *Env) error {
			var m map[string]int
			m["x"] = 1
			return nil
		}, "build_test.go:"},
		"at end, endless": {func(env *Env) error {
			KeyBy(endless(env).Filter(func(rec) bool { return true }), byKey).Window(AtEnd()).Reduce(func(a, b rec) rec { return a }).To(nothing[rec]{})
			return nil
		}, "AtEnd on a stream that never ends"},
		"another build's stream": {func(env *Env) error {
			if leaked.env != nil {
				leaked.Filter(func(rec) bool { return true })
			}
			leaked = From(env, fakeSource[rec]{})
			leaked.To(nothing[rec]{})
			return nil
		}, "of another build"},
	} {
		t.Run(name, func(t *testing.T) {
			err := buildWith(c.build)
			if name == "another build's stream" {
				err = buildWith(c.build)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

type forever struct{ fakeSource[rec] }

func (forever) Bounded() bool { return false }

func TestImpureBuildIsFound(t *testing.T) {
	j := &Job[int]{name: "impure", build: func(env *Env, p int) error {
		From(env, fakeSource[rec]{}).UID(fmt.Sprint(rand.Int())).To(nothing[rec]{})
		return nil
	}}
	if _, err := j.buildTwice([]byte("1"), nil); err == nil || !strings.Contains(err.Error(), "differs at line 1") {
		t.Fatalf("got %v", err)
	}
}

func TestParamsThatDontSurviveJSON(t *testing.T) {
	type inner struct{ hidden int }
	type params struct {
		In   []inner
		Any  any
		Skip int `json:"-"`
		When time.Time
		M    map[string]int
	}
	for name, c := range map[string]struct {
		p    params
		want string
	}{
		"unexported": {params{In: []inner{{1}}}, "params.In[0].hidden doesn't survive JSON"},
		"interface":  {params{Any: 1}, "params.Any doesn't"},
		"skipped":    {params{Skip: 1}, "params.Skip doesn't"},
		"fine":       {params{In: []inner{{}}, Any: "x", When: time.Now(), M: map[string]int{"a": 1}}, ""},
	} {
		_, err := encodeParams("j", c.p)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := encodeParams("j", struct{ F func() }{}); err == nil {
		t.Error("a function was accepted")
	}
}

func TestDuplicateDefinitionsNameBothLines(t *testing.T) {
	saved := registry.byName
	registry.byName = nil
	defer func() { registry.byName, registry.errs = saved, nil }()
	first := here(1)
	Define("twice", func(*Env, int) error { return nil })
	second := here(1)
	Define("twice", func(*Env, string) error { return nil })
	err := definitionErrors()
	if err == nil || !strings.Contains(err.Error(), second+`: job "twice" is already defined at `+first) {
		t.Fatalf("got %v", err)
	}
}

// TestSideOfAStreamThatHasASink: it is the operator's that made the stream.
func TestSideOfAStreamThatHasASink(t *testing.T) {
	env := newEnv("test", nil)
	late := NewTag[rec]("late")
	sums := KeyBy(From(env, fakeSource[rec]{}), byKey).Window(Tumbling(time.Second)).LateTo(late).Reduce(func(a, b rec) rec { return a })
	Side(sums.To(nothing[rec]{}), late).To(nothing[rec]{})
	env.finish()
	if err := env.g.Check(); err != nil {
		t.Fatal(err)
	}
	last := env.g.Edges[len(env.g.Edges)-1]
	if last.Tag != "late" || last.From != sums.named {
		t.Fatalf("output %q of %q, want the late records of %q", last.Tag, last.From.Name, sums.named.Name)
	}
}
