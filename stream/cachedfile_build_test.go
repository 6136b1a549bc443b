package stream

import (
	"slices"
	"strings"
	"testing"
)

func TestCachedFileMistakes(t *testing.T) {
	var want []string
	say := func(line, text string) { want = append(want, line+": "+text) }
	err := buildWith(func(env *Env) error {
		From(env, fakeSource[rec]{}).To(nothing[rec]{})
		first := here(1)
		env.CachedFile("a", "/x")
		say(here(1), `cached file "a" is already registered at `+first)
		env.CachedExecutable("a", "hdfs:///y")
		say(here(1), `cached file "/x": its name is empty`)
		env.CachedFile("", "/x")
		say(here(1), `cached file "b": its location is empty`)
		env.CachedFile("b", "")
		say(here(1), `cached file "c": s3://bucket/x: TaskManagers can't fetch from there; use an hdfs: URI`)
		env.CachedFile("c", "s3://bucket/x")
		say(here(1), `cached file "d": `)
		env.CachedFile("d", "file://elsewhere/x")
		return nil
	})
	if err == nil {
		t.Fatal("all mistakes were accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, w := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, w) }) {
			t.Errorf("missing %q in\n%v", w, err)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", len(lines), len(want), err)
	}
}

// TestCachedFilesOfGraph: where a file is may differ between processes, so the fingerprint doesn't have it.
func TestCachedFilesOfGraph(t *testing.T) {
	build := func(uri string) *Job[struct{}] {
		return &Job[struct{}]{name: "test", at: "x.go:1", build: func(env *Env, _ struct{}) error {
			env.CachedExecutable("a", uri)
			From(env, fakeSource[rec]{}).To(nothing[rec]{})
			return nil
		}}
	}
	g, err := build("hdfs:///x/model.bin").Graph(struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := build("y").Graph(struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Fingerprint(), other.Fingerprint()) {
		t.Error("the fingerprint has the file's location")
	}
	if f := g.CachedFiles[0]; f.GetUri() != "hdfs:///x/model.bin" || f.GetFileName() != "model.bin" || !f.GetExecutable() {
		t.Errorf("%v", f)
	}
	if f := other.CachedFiles[0]; !strings.HasPrefix(f.GetUri(), "file:///") || !strings.HasSuffix(f.GetUri(), "/y") || f.GetSource() != "y" {
		t.Errorf("%v", f)
	}
}
