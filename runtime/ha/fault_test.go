package ha

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

// stores are the two ways to keep a log in files; each call makes an empty one.
func stores() map[string]func(t *testing.T) (filesystem.FileSystem, string) {
	return map[string]func(t *testing.T) (filesystem.FileSystem, string){
		"file":        func(t *testing.T) (filesystem.FileSystem, string) { return filesystem.Local{}, t.TempDir() + "/ha" },
		"directories": func(*testing.T) (filesystem.FileSystem, string) { return fstest.NewMemory("alice"), "/ha" },
	}
}

// life is what one JobManager does: it acquires, and appends records some of which supersede others. It goes on after
// an error as a process would that doesn't know better, and stops when it is fenced.
type life struct {
	epoch    *Epoch
	before   []Record // what Acquire returned
	acked    []Record // in the order of appending
	tried    map[string]bool
	acquired error
}

func live(t *testing.T, l *Log, name string) *life {
	p := &life{tried: map[string]bool{}}
	if p.epoch, p.before, p.acquired = l.Acquire(t.Context()); p.acquired != nil {
		return p
	}
	for i := range 3 {
		for _, r := range []Record{
			rec(KindCheckpoint, "shared", fmt.Sprintf("%s-%d", name, i)),
			rec(KindJobResult, fmt.Sprintf("%s-%d", name, i), "result"),
		} {
			p.tried[r.Key+"="+string(r.Payload)] = true
			if err := p.epoch.Append(t.Context(), r); err == nil {
				p.acked = append(p.acked, r)
			}
		}
	}
	return p
}

// judge checks what the next JobManager gets to see after p: everything acknowledged or a later attempt of the same,
// everything from before, and nothing that nobody wrote.
func (p *life) judge(t *testing.T, before, after []Record) {
	t.Helper()
	known := map[string]bool{}
	for _, r := range before {
		known[r.Key+"="+string(r.Payload)] = true
	}
	got := map[string]string{}
	for _, r := range after {
		v := r.Key + "=" + string(r.Payload)
		if !known[v] && !p.tried[v] {
			t.Errorf("record %s comes from nowhere", v)
		}
		got[r.Key] = string(r.Payload)
	}
	for _, r := range append(before, p.acked...) {
		if _, ok := got[r.Key]; !ok {
			t.Errorf("record %s is lost", r.Key)
		}
	}
	last := ""
	for _, r := range p.acked {
		if r.Key == "shared" {
			last = string(r.Payload)
		}
	}
	if last > got["shared"] {
		t.Errorf("the newest is %q, though %q was acknowledged", got["shared"], last)
	}
}

// TestCrashBetweenSteps lets a JobManager die at every call to the file system, before and after the call's effect.
func TestCrashBetweenSteps(t *testing.T) {
	for name, open := range stores() {
		t.Run(name, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for n, crashed := 1, true; crashed; n++ {
					fsys, dir := open(t)
					live(t, Open(fsys, dir), "a-first")
					_, before := acquire(t, Open(fsys, dir))

					faulty, ctl := fstest.NewFaulty(fsys)
					hook := fstest.CrashAt(n, after)
					crashed = false
					ctl.SetHook(func(c fstest.Call) fstest.Fault {
						f := hook(c)
						crashed = crashed || f != (fstest.Fault{})
						return f
					})
					dead := live(t, Open(faulty, dir), "b-dead")

					next, rs, err := Open(fsys, dir).Acquire(t.Context())
					if err != nil {
						t.Fatalf("call %d, after %v: %v", n, after, err)
					}
					dead.judge(t, before, rs)
					mustAppend(t, next, rec(KindAddress, "", "next"))

					ctl.SetHook(nil) // it wasn't dead after all
					if dead.epoch != nil {
						if err := dead.epoch.Append(t.Context(), rec(KindAddress, "", "zombie")); !errors.Is(err, ErrFenced) {
							t.Fatalf("call %d, after %v: the old JobManager's append: got %v, want %v", n, after, err, ErrFenced)
						}
					}
					_, rs = acquire(t, Open(fsys, dir))
					if s := show(rs); strings.Contains(s, "zombie") || !strings.Contains(s, "next") {
						t.Fatalf("call %d, after %v: got %s", n, after, s)
					}
					if t.Failed() {
						t.Fatalf("at call %d, after %v", n, after)
					}
				}
			}
		})
	}
}

// TestSingleFault lets one call fail, before or after its effect, while the JobManager lives on.
func TestSingleFault(t *testing.T) {
	for name, open := range stores() {
		for _, fault := range []struct {
			name string
			fstest.Fault
		}{{"before", fstest.Fault{Before: fstest.ErrInjected}}, {"after", fstest.Fault{After: fstest.ErrInjected}}} {
			t.Run(name+"/"+fault.name, func(t *testing.T) {
				for n, hit := 1, true; hit; n++ {
					fsys, dir := open(t)
					first := live(t, Open(fsys, dir), "a-first")
					faulty, ctl := fstest.NewFaulty(fsys)
					hook := fstest.FailNth(n, fault.Fault)
					var op fstest.Op
					hit = false
					ctl.SetHook(func(c fstest.Call) fstest.Fault {
						f := hook(c)
						if f != (fstest.Fault{}) {
							hit, op = true, c.Op
						}
						return f
					})
					p := live(t, Open(faulty, dir), "b-second")
					ctl.SetHook(nil)
					fixed := op == fstest.OpRename || op == fstest.OpLink
					if fixed && (p.acquired != nil || len(p.acked) != len(p.tried)) {
						t.Errorf("%s %d: acquire: %v, %d of %d appends succeeded: its outcome can be found out", op, n, p.acquired, len(p.acked), len(p.tried))
					}
					if p.acquired == nil {
						// One failed call must not end the epoch.
						if err := p.epoch.Append(t.Context(), rec(KindAddress, "", "alive")); err != nil {
							t.Errorf("%s %d: append after a fault: %v", op, n, err)
						}
						p.tried["=alive"] = true
					}
					_, rs := acquire(t, Open(fsys, dir))
					var before []Record
					for _, r := range first.acked {
						if r.Key != "shared" || string(r.Payload) == "a-first-2" {
							before = append(before, r)
						}
					}
					p.judge(t, before, rs)
					if t.Failed() {
						t.Fatalf("at call %d (%s)", n, op)
					}
				}
			})
		}
	}
}

// TestSlowContender takes a number that was freed by a clean-up after the contender had looked.
func TestSlowContender(t *testing.T) {
	m := fstest.NewMemory("alice")
	slowFS, ctl := fstest.NewFaulty(m)
	e1, _ := acquire(t, Open(m, "/ha"))
	mustAppend(t, e1, rec(KindAddress, "", "first"))
	var winner *Epoch
	once := false
	ctl.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op == fstest.OpRename && strings.HasPrefix(path.Base(c.Target), epochPrefix) && !once {
			once = true
			// Epoch 2, that the contender is about to take, comes and goes.
			e2, _ := acquire(t, Open(m, "/ha"))
			mustAppend(t, e2, rec(KindAddress, "", "second"))
			e3, _ := acquire(t, Open(m, "/ha"))
			mustAppend(t, e3, rec(KindAddress, "", "third"))
			winner, _ = acquire(t, Open(m, "/ha"))
		}
		return fstest.Fault{}
	})
	slow, rs := acquire(t, Open(slowFS, "/ha"))
	wantRecords(t, rs, rec(KindAddress, "", "third"))
	if slow.Number() <= winner.Number() {
		t.Fatalf("the slow contender has epoch %d, though %d had begun", slow.Number(), winner.Number())
	}
	if err := winner.Append(t.Context(), rec(KindAddress, "", "x")); !errors.Is(err, ErrFenced) {
		t.Fatalf("got %v, want %v", err, ErrFenced)
	}
	mustAppend(t, slow, rec(KindAddress, "", "slow"))
}

// TestCorrupt damages each file of a log in several ways: Acquire must say so, or give back exactly what was written.
func TestCorrupt(t *testing.T) {
	for name, open := range stores() {
		t.Run(name, func(t *testing.T) {
			for _, damage := range []struct {
				name string
				do   func([]byte) []byte
			}{
				{"torn", func(b []byte) []byte { return b[:len(b)-3] }},
				{"half", func(b []byte) []byte { return b[:len(b)/2] }},
				{"flipped", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
				{"longer", func(b []byte) []byte { return append(b, 0) }},
				{"zeros", func(b []byte) []byte { return make([]byte, len(b)) }},
			} {
				fsys, dir := open(t)
				e, _ := acquire(t, Open(fsys, dir))
				mustAppend(t, e, rec(KindJobResult, "j1", "result"))
				var file string
				for _, pattern := range []string{"/00000000000000000002", "/epoch-*/open-*/*"} {
					infos, err := fsys.Glob(t.Context(), dir+pattern)
					if err != nil {
						t.Fatal(err)
					}
					for _, i := range infos {
						file = i.Path
					}
				}
				b, err := filesystem.ReadFile(t.Context(), fsys, file, maxItem)
				if err != nil {
					t.Fatal(err)
				}
				w, err := fsys.Create(t.Context(), file, filesystem.CreateOptions{Overwrite: true})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(damage.do(b)); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				_, rs, err := Open(fsys, dir).Acquire(t.Context())
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path.Base(file)) {
					t.Errorf("%s: got %s, error %v, want %v and the file's name", damage.name, show(rs), err, ErrCorrupt)
				}
			}
		})
	}
}

func TestMissingNumber(t *testing.T) {
	dir := t.TempDir()
	e, _ := acquire(t, Open(filesystem.Local{}, dir))
	mustAppend(t, e, rec(KindJobResult, "j1", ""), rec(KindJobResult, "j2", ""))
	if err := (filesystem.Local{}).Remove(t.Context(), dir+"/00000000000000000002", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(filesystem.Local{}, dir).Acquire(t.Context()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v, want %v", err, ErrCorrupt)
	}
}

// TestCleanUp looks at what is left after many superseded records and epochs.
func TestCleanUp(t *testing.T) {
	for name, open := range stores() {
		t.Run(name, func(t *testing.T) {
			fsys, dir := open(t)
			for range 10 {
				e, _ := acquire(t, Open(fsys, dir))
				for i := range 10 {
					mustAppend(t, e, rec(KindCheckpoint, "j", fmt.Sprint(i)))
				}
			}
			acquire(t, Open(fsys, dir))
			full, temps := 0, 0
			for _, pattern := range []string{"/*", "/*/*", "/*/*/*"} {
				infos, err := fsys.Glob(t.Context(), dir+pattern)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range infos {
					if i.Size > 0 {
						full++
					}
					if strings.HasPrefix(i.Name(), ".") {
						temps++
					}
				}
			}
			// Claims (one an epoch where they stay, two where they don't) and the one record that counts.
			if full > 12 || temps > 0 {
				t.Fatalf("%d files have content, %d are temporary", full, temps)
			}
		})
	}
}

func FuzzDecodeItem(f *testing.F) {
	it := &item{typ: recordItem, epoch: 7, sequence: 3, owner: newOwner(), Record: rec(KindCheckpoint, "job", "payload")}
	f.Add(it.encode())
	f.Add([]byte(itemMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := decodeItem(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, want %v", err, ErrCorrupt)
			}
			return
		}
		if string(it.encode()) != string(b) {
			t.Fatal("another encoding of the same item")
		}
	})
}

func TestItemGolden(t *testing.T) {
	it := &item{typ: recordItem, epoch: 1, sequence: 2, owner: owner{15: 9}, Record: rec(KindCheckpoint, "k", "pp")}
	const want = "57464841" + "01" + "02" + "0000000000000001" + "0000000000000002" +
		"00000000000000000000000000000009" + "0004" + "00000001" + "6b" + "00000002" + "7070"
	got := fmt.Sprintf("%x", it.encode())
	if got[:len(got)-16] != want {
		t.Fatalf("got  %s\nwant %s and a checksum: logs on disk would become unreadable", got, want)
	}
}
