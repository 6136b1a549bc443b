package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// lone is a runtime without a task around it.
type lone struct{ ctx context.Context }

func (l lone) Context() context.Context              { return l.ctx }
func (l lone) Output(string) operator.Input          { return operator.Drop{} }
func (l lone) Now() int64                            { return 0 }
func (l lone) WakeAt(int64)                          {}
func (l lone) Wake()                                 {}
func (l lone) Ask([]byte, func([]byte, error) error) {}
func (l lone) Mail(func() error) (post func())       { return func() {} }
func (l lone) Hold(bool)                             {}
func (l lone) Protect(f func() error) error          { return f() }
func (l lone) Counter(string) *operator.Counter      { return &operator.Counter{} }

const (
	jobA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	jobB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// runtimeOf is a subtask of an attempt of a job; faults: is a file system whose calls pass through f.
func runtimeOf(t testing.TB, job string, subtask, attempt int, f filesystem.FileSystem) *stream.Runtime {
	t.Helper()
	files, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"faulty": func(string) (filesystem.FileSystem, error) { return f, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewRuntime(&operator.Env{Job: job, Subtask: subtask, Attempt: attempt, Parallelism: 4, Runtime: lone{t.Context()}}, files)
}

// names are the files below dir, without markers; hidden ones are shown as their part's name with a dot in front.
func names(t testing.TB, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), marker) {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if _, ok := parseHidden(d.Name()); ok {
			name, _, _ := strings.Cut(d.Name()[1:], ".")
			rel = filepath.Join(filepath.Dir(rel), "."+name)
		}
		out = append(out, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func is(t testing.TB, dir, want string) {
	t.Helper()
	if got := names(t, dir); got != want {
		t.Fatalf("the directory has %q, want %q", got, want)
	}
}

func opened[T any](t testing.TB, s *FileSink[T], rt *stream.Runtime) *writer[T] {
	t.Helper()
	w, err := s.Open(rt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.(*writer[T]).Close() })
	return w.(*writer[T])
}

func put[T any](t testing.TB, w *writer[T], records ...T) {
	t.Helper()
	for _, r := range records {
		if err := w.Write(&r, stream.NoTime); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.EndBatch(); err != nil {
		t.Fatal(err)
	}
}

func flush[T any](t testing.TB, w *writer[T]) [][]byte {
	t.Helper()
	c, err := w.Flush()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLateCommitSparesANewerEpoch: under a JobManager that has lost the lead parts are committed late, and what the new one's
// subtasks write meanwhile is not taken for leftovers, though their attempts are counted anew.
func TestLateCommitSparesANewerEpoch(t *testing.T) {
	dir := t.TempDir()
	subtask := func(epoch uint64, attempt, i int) *stream.Runtime {
		return stream.NewRuntime(&operator.Env{Job: jobA, Epoch: epoch, Subtask: i, Attempt: attempt, Parallelism: 4, Runtime: lone{t.Context()}}, &filesystem.Set{})
	}
	older, newer := Text(dir), Text(dir)
	oldest, old, now := opened(t, older, subtask(1, 4, 0)), opened(t, older, subtask(1, 5, 1)), opened(t, newer, subtask(2, 0, 2))
	must(t, older.Prepare(subtask(1, 5, -1)))
	put(t, oldest, "a")
	flush(t, oldest)
	put(t, old, "b")
	put(t, now, "c")
	must(t, older.Commit(subtask(1, 5, -1), flush(t, old)))
	is(t, dir, ".part-2-0-0 part-1-5-0") // that of attempt 4 is a leftover
	put(t, oldest, "d")
	flush(t, oldest)
	must(t, newer.Commit(subtask(2, 0, -1), flush(t, now)))
	is(t, dir, "part-1-5-0 part-2-0-0")

	// Another job's output may be in its place when the older one comes to its end.
	must(t, newer.Release(subtask(2, 0, -1)))
	must(t, os.RemoveAll(dir))
	put(t, opened(t, Text(dir), runtimeOf(t, jobB, 0, 0, nil)), "e")
	must(t, older.Release(subtask(1, 5, -1)))
	is(t, dir, ".part-0-0-0")
}

func TestPartsAppearWithTheCommitOnly(t *testing.T) {
	dir := t.TempDir() + "/new/out"
	s := Text(dir)
	co := runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	var all [][]byte
	for i := range 3 { // the third writes nothing
		w := opened(t, s, runtimeOf(t, jobA, i, 0, nil))
		if i < 2 {
			put(t, w, "a", "b")
		}
		all = append(all, flush(t, w)...)
		must(t, w.Close()) // which leaves what was flushed
	}
	is(t, dir, ".part-0-0-0 .part-1-0-0")
	for range 2 { // a commit is repeated after a failure, by a coordinator that was started again
		must(t, s.Prepare(co))
		must(t, s.Commit(co, all))
		is(t, dir, "part-0-0-0 part-1-0-0")
	}
	if got := content(t, dir+"/part-1-0-0"); got != "a\nb\n" {
		t.Fatalf("part-1-0-0 is %q", got)
	}
}

func TestEveryCheckpointEndsTheParts(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	co := runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "1")
	first := flush(t, w)
	put(t, w, "2")
	must(t, s.Commit(co, first))
	is(t, dir, ".part-0-0-1 part-0-0-0")
	second := flush(t, w)
	if len(first) != 1 || len(second) != 1 {
		t.Fatalf("%d and %d committables", len(first), len(second))
	}
	must(t, s.Commit(co, second))
	if none := flush(t, w); len(none) != 0 {
		t.Fatalf("%d committables of nothing", len(none))
	}
	is(t, dir, "part-0-0-0 part-0-0-1")
	if got := content(t, dir+"/part-0-0-0") + content(t, dir+"/part-0-0-1"); got != "1\n2\n" {
		t.Fatalf("wrote %q", got)
	}
}

func TestAnAbortedCheckpointLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	co := runtimeOf(t, jobA, -1, 0, nil)
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "1")
	flush(t, w) // of a checkpoint that is aborted
	put(t, w, "2")
	next := flush(t, w)
	late := flush(t, w) // the commit of next isn't done yet
	must(t, s.Commit(co, next))
	is(t, dir, "part-0-0-0 part-0-0-1")
	must(t, s.Commit(co, late))
	is(t, dir, "part-0-0-0 part-0-0-1")
	must(t, os.Remove(dir+"/part-0-0-0")) // somebody has read it
	must(t, s.Commit(co, late))
	if again := flush(t, w); len(again) != 0 {
		t.Fatalf("%d committables of nothing", len(again))
	}
}

func TestCommitGoesOnWhereItWasBrokenOff(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			ff, faults := fstest.NewFaulty(filesystem.Local{})
			s := Text("faulty://" + dir)
			co := runtimeOf(t, jobA, -1, 0, ff)
			var all [][]byte
			for i := range 3 {
				w := opened(t, s, runtimeOf(t, jobA, i, 0, ff))
				put(t, w, fmt.Sprint(i))
				all = append(all, flush(t, w)...)
			}
			faults.SetHook(fstest.CrashAt(n, after))
			err := s.Commit(co, all)
			faults.SetHook(nil)
			must(t, s.Commit(co, all))
			is(t, dir, "part-0-0-0 part-1-0-0 part-2-0-0")
			for i := range 3 {
				if got := content(t, fmt.Sprintf("%s/part-%d-0-0", dir, i)); got != fmt.Sprintln(i) {
					t.Fatalf("part %d is %q", i, got)
				}
			}
			if err == nil { // no call was left to fail, or only those of cleaning up
				break
			}
		}
	}
}

func TestALostPartIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "x")
	c := flush(t, w)
	hidden, _ := filepath.Glob(dir + "/.part*")
	must(t, os.Remove(hidden[0]))
	if err := s.Commit(runtimeOf(t, jobA, -1, 0, nil), c); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a lost part gave %v", err)
	}
}

func TestAPartIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	co := runtimeOf(t, jobA, -1, 0, nil)
	var all [][]byte
	for i := range 3 { // the same names: a JobManager that took over may count attempts anew
		w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
		put(t, w, fmt.Sprint(i))
		all = append(all, flush(t, w)...)
	}
	for range 2 {
		must(t, s.Commit(co, all))
	}
	files, _ := filepath.Glob(dir + "/part-0-0-0*")
	var lines []string
	for _, f := range files {
		lines = append(lines, content(t, f))
	}
	slices.Sort(lines)
	if got := strings.Join(lines, ""); got != "0\n1\n2\n" {
		t.Fatalf("%v hold %q", files, got)
	}
}

func TestExistingOutputIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/sub/part-0-0-0", "old")
	co := runtimeOf(t, jobA, -1, 0, nil)
	err := Text(dir).Prepare(co)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nothing is overwritten") || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "sub/part-0-0-0") {
		t.Fatalf("got %v", err)
	}
	if err := Text(dir + "/sub/part-0-0-0").Append().Prepare(co); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a file as output gave %v", err)
	}
	must(t, Text(dir).Append().Prepare(co))
}

func TestAJobThatStartsAgainKeepsItsDirectory(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	co := runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "committed")
	must(t, s.Commit(co, flush(t, w)))
	put(t, w, "in a complete checkpoint, but not committed")
	pending := flush(t, w)
	put(t, w, "flushed for a checkpoint that failed")
	flush(t, w)
	put(t, w, "open when the process died")

	s = Text(dir) // another process, from the checkpoint
	co = runtimeOf(t, jobA, -1, 1, nil)
	must(t, s.Prepare(co))
	w2 := opened(t, s, runtimeOf(t, jobA, 0, 1, nil))
	put(t, w2, "new")
	fresh := flush(t, w2)
	put(t, w2, "newer")
	is(t, dir, ".part-0-0-1 .part-0-0-2 .part-0-0-3 .part-0-1-0 .part-0-1-1 part-0-0-0")
	must(t, s.Commit(co, pending))
	is(t, dir, ".part-0-0-2 .part-0-0-3 .part-0-1-0 .part-0-1-1 part-0-0-0 part-0-0-1")
	must(t, s.Commit(co, fresh))
	is(t, dir, ".part-0-1-1 part-0-0-0 part-0-0-1 part-0-1-0")

	if err := Text(dir).Prepare(runtimeOf(t, jobB, -1, 0, nil)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("another job got the directory: %v", err)
	}
}

func TestAnotherJobGoesOnFromASavepoint(t *testing.T) {
	dir := t.TempDir()
	w := opened(t, Text(dir), runtimeOf(t, jobA, 0, 0, nil))
	must(t, Text(dir).Prepare(runtimeOf(t, jobA, -1, 0, nil)))
	put(t, w, "1")
	must(t, Text(dir).Commit(runtimeOf(t, jobA, -1, 0, nil), flush(t, w)))
	put(t, w, "2")
	saved := flush(t, w)

	s, co := Text(dir).Append(), runtimeOf(t, jobB, -1, 0, nil)
	must(t, s.Prepare(co))
	must(t, s.Commit(co, saved))
	w2 := opened(t, s, runtimeOf(t, jobB, 0, 0, nil))
	put(t, w2, "3")
	must(t, s.Commit(co, flush(t, w2)))
	put(t, w2, "4")
	must(t, s.Commit(co, flush(t, w2)))
	if got := readDir(t, dir); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Fatalf("got %v", got)
	}
}

// readDir is the lines of all visible parts, sorted.
func readDir(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !hidden(d.Name()) {
			lines = append(lines, strings.Fields(content(t, p))...)
		}
		return err
	})
	must(t, err)
	slices.Sort(lines)
	return lines
}

func TestLeftoversOfEarlierJobsGoWithTheFirstCommit(t *testing.T) {
	dir := t.TempDir()
	old := opened(t, Text(dir), runtimeOf(t, jobB, 0, 3, nil))
	must(t, Text(dir).Prepare(runtimeOf(t, jobB, -1, 0, nil)))
	put(t, old, "never committed")
	s, co := Text(dir), runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	is(t, dir, ".part-0-3-0") // it may be in the savepoint that jobA starts from
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "x")
	must(t, s.Commit(co, flush(t, w)))
	is(t, dir, "part-0-0-0")
	if markers, _ := filepath.Glob(dir + "/" + marker + "*"); len(markers) != 1 || !strings.HasSuffix(markers[0], jobA) {
		t.Fatalf("markers: %v", markers)
	}
}

// Sinks that share a directory, or have one inside another's, don't take each other's parts for leftovers.
func TestSinksLeaveEachOthersPartsAlone(t *testing.T) {
	dir := t.TempDir()
	w := opened(t, Text(dir+"/in"), runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "pending")
	flush(t, w)
	s, co := Text(dir), runtimeOf(t, jobA, -1, 1, nil)
	must(t, s.Prepare(runtimeOf(t, jobA, -1, 0, nil)))
	w = opened(t, s, runtimeOf(t, jobA, 0, 1, nil))
	put(t, w, "x")
	must(t, s.Commit(co, flush(t, w)))
	is(t, dir, "in/.part-0-0-0 part-0-1-0")
}

func TestWriterThatIsClosedWithoutFlushLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w := opened(t, Text(dir).RollSize(1).Bucket(func(s string) string { return s }), runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, "a", "b")
	w2 := opened(t, Text(dir), runtimeOf(t, jobA, 1, 0, nil))
	put(t, w2, "open")
	is(t, dir, ".part-1-0-0 a/.part-0-0-0 b/.part-0-0-1")
	must(t, w.Close())
	must(t, w2.Close())
	must(t, w2.Close())
	is(t, dir, "")
}

func TestAFailureOfTheFileSystemIsTheWriters(t *testing.T) {
	for _, op := range []fstest.Op{fstest.OpMkdir, fstest.OpCreate, fstest.OpWrite, fstest.OpClose} {
		dir := t.TempDir()
		ff, faults := fstest.NewFaulty(filesystem.Local{})
		w := opened(t, Text("faulty://"+dir), runtimeOf(t, jobA, 0, 0, ff))
		faults.SetHook(fstest.FailNth(1, fstest.Fault{Before: fstest.ErrInjected}, op))
		v := strings.Repeat("x", blockOut/2)
		var err error
		for n := 0; n < 4 && err == nil; n++ {
			err = w.Write(&v, stream.NoTime)
		}
		if err == nil {
			_, err = w.Flush()
		}
		faults.SetHook(nil)
		if !errors.Is(err, fstest.ErrInjected) || !strings.Contains(err.Error(), "part-0-0-0") {
			t.Errorf("%s: %v", op, err)
		}
		must(t, w.Close())
		is(t, dir, "")
	}
}

func TestRolling(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir).RollDefault()
	if s.roll != (rolling{128 << 20, time.Minute, time.Minute}) {
		t.Errorf("the default is %v", s.roll)
	}
	s.RollSize(10).RollInterval(time.Second).RollInactivity(300 * time.Millisecond)
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	var now stream.Time
	w.now = func() stream.Time { return now }
	closed := func(want int) {
		t.Helper()
		if len(w.closed) != want {
			t.Fatalf("%d parts were ended at %d, want %d", len(w.closed), now, want)
		}
	}
	put(t, w, "1234", "678")
	closed(0)
	put(t, w, "9")
	closed(1) // by size
	put(t, w, "a")
	for range 4 {
		now += 200
		put(t, w, "b")
	}
	closed(2) // by size, 10 bytes
	now += 10_000
	put(t, w, "c")
	for range 3 {
		now += 299
		put(t, w, "")
		closed(2)
	}
	now += 299
	put(t, w, "")
	closed(3) // by interval
	put(t, w, "d")
	now += 299
	must(t, w.EndBatch())
	closed(3)
	now++
	must(t, w.EndBatch())
	closed(4) // by inactivity
	put(t, w, "e")
	all := flush(t, w)
	if len(all) != 5 {
		t.Fatalf("%d committables, want 5", len(all))
	}
	must(t, s.Commit(runtimeOf(t, jobA, -1, 0, nil), all))
	is(t, dir, "part-0-0-0 part-0-0-1 part-0-0-2 part-0-0-3 part-0-0-4")
	if got := strings.Join(readDir(t, dir), ""); got != "1234"+"678"+"9abbbbcde" {
		t.Errorf("got %s", got)
	}
}

func TestBuckets(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir).Bucket(func(v string) string { b, _, _ := strings.Cut(v, ":"); return b }).PartPrefix("out").PartSuffix(".txt")
	co := runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	w := opened(t, s, runtimeOf(t, jobA, 2, 0, nil))
	put(t, w, "x:1", "y/z:2", "x:3", ":4")
	is(t, dir, ".out-2-0-2 x/.out-2-0-0 y/z/.out-2-0-1")
	must(t, s.Commit(co, flush(t, w)))
	is(t, dir, "out-2-0-2.txt x/out-2-0-0.txt y/z/out-2-0-1.txt")
	if got := content(t, dir+"/x/out-2-0-0.txt"); got != "x:1\nx:3\n" {
		t.Errorf("got %q", got)
	}
	for _, b := range []string{"..", "../x", "/x", "a/../../x", "a//b", "a/", "./a", ".hidden", "a/.b", "a\x00b", strings.Repeat("n", 256)} {
		v := b + ":1"
		if err := w.Write(&v, stream.NoTime); err == nil || !strings.Contains(err.Error(), "below the directory") {
			t.Errorf("bucket %q: %v", b, err)
		}
	}
}

func TestManyBucketsKeepFewFilesOpen(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir).Bucket(func(v string) string { return v })
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	var want []string
	for range 2 {
		for i := range 2 * maxOpen {
			put(t, w, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
			if len(w.order) > maxOpen || len(w.open) != len(w.order) {
				t.Fatalf("%d parts are open", len(w.order))
			}
		}
	}
	must(t, s.Commit(runtimeOf(t, jobA, -1, 0, nil), flush(t, w)))
	slices.Sort(want)
	if got := readDir(t, dir); !slices.Equal(got, want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
}

func TestWrongOptionsFailBeforeAnythingIsWritten(t *testing.T) {
	dir := t.TempDir() + "/out"
	for name, s := range map[string]*FileSink[string]{
		"prefix": Text(dir).PartPrefix("_x"), "empty prefix": Text(dir).PartPrefix(""), "prefix path": Text(dir).PartPrefix("a/b"),
		"suffix": Text(dir).PartSuffix("/x"), "hidden suffix": Text(dir).PartSuffix(hiddenSuffix), "size": Text(dir).RollSize(-1), "time": Text(dir).RollInterval(-1),
	} {
		if err := s.Prepare(runtimeOf(t, jobA, -1, 0, nil)); err == nil {
			t.Errorf("%s: prepared", name)
		}
		if _, err := s.Open(runtimeOf(t, jobA, 0, 0, nil)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

func TestCommittablesDontLeadOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/secret", "x")
	must(t, os.Mkdir(dir+"/out", 0o755))
	err := Text(dir+"/out").Commit(runtimeOf(t, jobA, -1, 0, nil), [][]byte{[]byte(`{"from":"../secret","to":"part","spare":"p"}`)})
	if err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Fatalf("got %v", err)
	}
}

func TestAJobWritesAFileSink(t *testing.T) {
	dir := t.TempDir() + "/out"
	streamtest.Run(t, func(env *stream.Env) { stream.From(env, streamtest.From("a", "b", "c")).To(Text(dir)) })
	if got := readDir(t, dir); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("got %v", got)
	}
	if hidden, _ := filepath.Glob(dir + "/.*"); len(hidden) != 0 {
		t.Errorf("a job that finished left %v", hidden)
	}
	if got := readAll(t, blockSize, splitsOf(t, 1, dir)); len(got) != 3 { // and Lines reads it
		t.Fatalf("read %v", got)
	}
}

func BenchmarkText(b *testing.B) {
	w := opened(b, Text(b.TempDir()), runtimeOf(b, jobA, 0, 0, nil))
	v := strings.Repeat("y", 39)
	b.SetBytes(40)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(&v, stream.NoTime); err != nil {
			b.Fatal(err)
		}
	}
}
