package stream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
)

// planned is the JobGraph of a program, as the driver submits it.
func planned(t *testing.T, config map[string]string, build func(env *Env)) *graph.JobGraph {
	t.Helper()
	d, r := driverOf(t, false, config)
	j := &Job[struct{}]{name: "test", at: "x.go:1", build: func(env *Env, _ struct{}) error { build(env); return nil }}
	if _, err := j.Run(context.Background(), d, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return r.graphs[0]
}

func TestChainingIsControlledByTheProgram(t *testing.T) {
	id := func(r rec) rec { return r }
	for _, c := range []struct {
		name, want string
		build      func(env *Env, a, b, c Stream[rec])
	}{
		{"nothing", "s -> a -> b -> c -> Sink", func(*Env, Stream[rec], Stream[rec], Stream[rec]) {}},
		{"new chain", "s -> a | b -> c -> Sink", func(_ *Env, _, b, _ Stream[rec]) { b.StartNewChain() }},
		{"disabled", "s -> a | b | c -> Sink", func(_ *Env, _, b, _ Stream[rec]) { b.DisableChaining() }},
		{"disabled at the source's neighbour", "s | a | b -> c -> Sink", func(_ *Env, a, _, _ Stream[rec]) { a.DisableChaining() }},
		{"all", "s | a | b | c | Sink", func(env *Env, _, _, _ Stream[rec]) { env.DisableOperatorChaining() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := planned(t, nil, func(env *Env) {
				s := From(env, fakeSource[rec]{}).Name("s")
				x := Map(s, id).Name("a")
				y := Map(x, id).Name("b")
				z := Map(y, id).Name("c")
				z.To(nothing[rec]{}).Name("k")
				c.build(env, x, y, z)
			})
			var got []string
			for _, v := range g.Vertices {
				got = append(got, v.Name)
			}
			text := strings.NewReplacer("Source: ", "", "Sink: k", "Sink").Replace(strings.Join(got, " | "))
			if text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
}

func TestMaxParallelismOfOperatorJobAndConfiguration(t *testing.T) {
	for _, c := range []struct {
		env, op   int
		want, job int32
	}{{0, 0, 12, 12}, {40, 0, 40, 40}, {40, 50, 50, 40}, {0, 50, 50, 12}} {
		g := planned(t, map[string]string{"pipeline.max-parallelism": "12"}, func(env *Env) {
			if c.env != 0 {
				env.MaxParallelism(c.env)
			}
			k := From(env, fakeSource[rec]{}).To(nothing[rec]{}).StartNewChain()
			if c.op != 0 {
				k.MaxParallelism(c.op)
			}
		})
		if got := g.Vertices[1].MaxParallelism; got != c.want || g.MaxParallelism != c.job || g.Vertices[0].MaxParallelism != c.job {
			t.Errorf("%+v: operator has %d, job %d", c, got, g.MaxParallelism)
		}
	}
}

func TestMaxParallelismMistakes(t *testing.T) {
	for want, build := range map[string]func(env *Env, k Stream[rec]){
		"max parallelism 0: want 1 to 32768":            func(_ *Env, k Stream[rec]) { k.MaxParallelism(0) },
		"max parallelism 32769: want 1 to 32768":        func(env *Env, _ Stream[rec]) { env.MaxParallelism(32769) },
		"parallelism 5 of \"Sink: k\" is above its max": func(_ *Env, k Stream[rec]) { k.Parallelism(5).MaxParallelism(4) },
		// The sink is chained to the source here, and its own limit holds nevertheless.
		"parallelism 3 of \"Sink: k\" is above its max": func(env *Env, k Stream[rec]) { env.Parallelism(3); k.MaxParallelism(2) },
	} {
		d, _ := driverOf(t, false, nil)
		j := &Job[struct{}]{name: "test", at: "x.go:1", build: func(env *Env, _ struct{}) error {
			build(env, From(env, fakeSource[rec]{}).To(nothing[rec]{}).Name("k"))
			return nil
		}}
		if _, err := j.Run(context.Background(), d, struct{}{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chaining_test.go:") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestBufferTimeoutOfTheProgramIsAboveTheDrivers(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{0: 0, 1500 * time.Millisecond: 1500 * time.Millisecond, 90 * time.Second: 90 * time.Second, -1: -1} {
		g := planned(t, nil, func(env *Env) {
			env.BufferTimeout(d)
			From(env, fakeSource[rec]{}).To(nothing[rec]{})
		})
		c, err := conf.FromMap(g.Config)
		if err != nil {
			t.Fatal(err)
		}
		got := conf.Get(c, conf.ExecutionBufferTimeoutInterval)
		if !conf.Get(c, conf.ExecutionBufferTimeoutEnabled) {
			got = -1
		}
		if got != want {
			t.Errorf("%s: got %s", d, got)
		}
	}
}
