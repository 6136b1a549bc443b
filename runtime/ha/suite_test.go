package ha

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

// place is where a suite runs: open returns the log that all contenders share, through a file system of their own.
type place struct {
	name string
	open func(t *testing.T) func() *Log
}

func places() []place {
	return []place{
		{"memory log", func(*testing.T) func() *Log {
			l := NewMemory()
			return func() *Log { return l }
		}},
		{"file", func(t *testing.T) func() *Log {
			dir := t.TempDir() + "/ha/app"
			return func() *Log { return Open(filesystem.Local{}, dir) }
		}},
		{"directories", func(t *testing.T) func() *Log {
			m := fstest.NewMemory("alice")
			return func() *Log { return Open(m, "/ha/app") }
		}},
	}
}

func TestSuite(t *testing.T) {
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) { runSuite(t, p.open) })
	}
}

// runSuite is what every kind of log passes.
func runSuite(t *testing.T, open func(t *testing.T) func() *Log) {
	t.Run("records survive", func(t *testing.T) { testSurvive(t, open(t)) })
	t.Run("older epochs are fenced", func(t *testing.T) { testFenced(t, open(t)) })
	t.Run("superseded", func(t *testing.T) { testSuperseded(t, open(t)) })
	t.Run("read", func(t *testing.T) { testRead(t, open(t)) })
	t.Run("limits", func(t *testing.T) { testLimits(t, open(t)) })
	t.Run("contenders", func(t *testing.T) { testContenders(t, open(t)) })
	t.Run("concurrent appends", func(t *testing.T) { testConcurrentAppends(t, open(t)) })
	t.Run("readers during appends", func(t *testing.T) { testReadersDuringAppends(t, open(t)) })
}

func rec(kind Kind, key, payload string) Record {
	return Record{Kind: kind, Key: key, Payload: []byte(payload)}
}

func show(rs []Record) string {
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintf(&b, "%s %s=%s; ", r.Kind, r.Key, r.Payload)
	}
	return b.String()
}

func acquire(t *testing.T, l *Log) (*Epoch, []Record) {
	t.Helper()
	e, rs, err := l.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e, rs
}

func mustAppend(t *testing.T, e *Epoch, rs ...Record) {
	t.Helper()
	for _, r := range rs {
		if err := e.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func wantRecords(t *testing.T, got []Record, want ...Record) {
	t.Helper()
	if show(got) != show(want) {
		t.Fatalf("got records  %s\nwant records %s", show(got), show(want))
	}
}

func testSurvive(t *testing.T, open func() *Log) {
	e1, rs := acquire(t, open())
	wantRecords(t, rs)
	a, b, c := rec(KindJobRegistry, "j1", "params"), rec(KindCheckpoint, "j1", "chk-1"), rec(KindJobResult, "j1", "")
	mustAppend(t, e1, a, b)
	e2, rs := acquire(t, open())
	wantRecords(t, rs, a, b)
	mustAppend(t, e2, c)
	e3, rs := acquire(t, open())
	wantRecords(t, rs, a, b, c)
	if !(e1.Number() < e2.Number() && e2.Number() < e3.Number()) {
		t.Fatalf("epochs %d, %d, %d don't increase", e1.Number(), e2.Number(), e3.Number())
	}
	_, rs = acquire(t, open())
	wantRecords(t, rs, a, b, c)
}

func testFenced(t *testing.T, open func() *Log) {
	e1, _ := acquire(t, open())
	mustAppend(t, e1, rec(KindAddress, "", "old:1"))
	if err := e1.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	e2, _ := acquire(t, open())
	for range 2 {
		if err := e1.Append(t.Context(), rec(KindAddress, "", "old:2")); !errors.Is(err, ErrFenced) {
			t.Fatalf("append in an old epoch: got %v, want %v", err, ErrFenced)
		}
	}
	if err := e1.Check(t.Context()); !errors.Is(err, ErrFenced) {
		t.Fatalf("check of an old epoch: got %v, want %v", err, ErrFenced)
	}
	if err := e2.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rs := acquire(t, open())
	wantRecords(t, rs, rec(KindAddress, "", "old:1"))
	if err := e2.Check(t.Context()); !errors.Is(err, ErrFenced) { // learnt by Check first
		t.Fatalf("check of an old epoch: got %v, want %v", err, ErrFenced)
	}
}

func testSuperseded(t *testing.T, open func() *Log) {
	e, _ := acquire(t, open())
	mustAppend(t, e, rec(KindCheckpoint, "j1", "1"), rec(KindCheckpoint, "j2", "1"), rec(KindJobResult, "j1", "r"))
	for i := range 20 {
		mustAppend(t, e, rec(KindCheckpoint, "j1", fmt.Sprint(i+2)))
	}
	e, rs := acquire(t, open())
	wantRecords(t, rs, rec(KindCheckpoint, "j2", "1"), rec(KindJobResult, "j1", "r"), rec(KindCheckpoint, "j1", "21"))
	mustAppend(t, e, rec(KindCheckpoint, "j2", "2"))
	_, rs = acquire(t, open())
	wantRecords(t, rs, rec(KindJobResult, "j1", "r"), rec(KindCheckpoint, "j1", "21"), rec(KindCheckpoint, "j2", "2"))
}

func testRead(t *testing.T, open func() *Log) {
	rs, err := open().Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, rs)
	e, _ := acquire(t, open())
	mustAppend(t, e, rec(KindAddress, "", "a:1"), rec(KindAddress, "", "a:2"))
	if rs, err = open().Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, rs, rec(KindAddress, "", "a:2"))
	mustAppend(t, e, rec(KindAddress, "", "a:3")) // reading has sealed nothing
}

func testLimits(t *testing.T, open func() *Log) {
	e, _ := acquire(t, open())
	big := Record{Kind: KindCheckpoint, Key: strings.Repeat("k", MaxKey), Payload: make([]byte, MaxPayload)}
	mustAppend(t, e, big)
	for _, r := range []Record{{Key: big.Key + "k"}, {Payload: append(big.Payload, 0)}} {
		if err := e.Append(t.Context(), r); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("got %v, want %v", err, ErrTooLarge)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Append(ctx, rec(KindAddress, "", "x")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	_, rs := acquire(t, open())
	if len(rs) != 1 || len(rs[0].Payload) != MaxPayload || rs[0].Key != big.Key {
		t.Fatalf("got %d records", len(rs))
	}
}

// history checks what makes the log a fence: whatever was acknowledged to an epoch was seen by every later one when it
// was acquired. Each record has a key of its own.
type history struct {
	mu       sync.Mutex
	acked    map[uint64][]string
	acquired map[uint64]map[string]bool
}

func newHistory() *history {
	return &history{acked: map[uint64][]string{}, acquired: map[uint64]map[string]bool{}}
}

func (h *history) acquire(t *testing.T, n uint64, keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.acquired[n] != nil {
		t.Errorf("epoch %d was acquired twice", n)
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k] {
			t.Errorf("epoch %d got record %s twice", n, k)
		}
		seen[k] = true
	}
	h.acquired[n] = seen
}

func (h *history) ack(n uint64, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked[n] = append(h.acked[n], key)
}

func (h *history) check(t *testing.T) {
	t.Helper()
	for n, seen := range h.acquired {
		for older, keys := range h.acked {
			for _, k := range keys {
				if older < n && !seen[k] {
					t.Errorf("epoch %d didn't get record %s, which epoch %d was told is appended", n, k, older)
				}
			}
		}
	}
}

func keysOf(rs []Record) []string {
	var keys []string
	for _, r := range rs {
		keys = append(keys, r.Key)
	}
	return keys
}

// contend acquires and appends, again and again, and tells the history.
func contend(t *testing.T, l *Log, h *history, name string, rounds, appends int) {
	for round := range rounds {
		e, rs, err := l.Acquire(t.Context())
		if errors.Is(err, ErrFenced) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		h.acquire(t, e.Number(), keysOf(rs))
		for i := range appends {
			key := fmt.Sprintf("%s-%d-%d", name, round, i)
			err := e.Append(t.Context(), rec(KindJobResult, key, key))
			if errors.Is(err, ErrFenced) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			h.ack(e.Number(), key)
		}
	}
}

func testContenders(t *testing.T, open func() *Log) {
	h := newHistory()
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() { contend(t, open(), h, fmt.Sprintf("c%d", i), 6, 8) })
	}
	wg.Wait()
	e, rs := acquire(t, open())
	h.acquire(t, e.Number(), keysOf(rs))
	h.check(t)
	if len(h.acquired) < 2 {
		t.Fatalf("only %d epochs were taken", len(h.acquired))
	}
}

func testConcurrentAppends(t *testing.T, open func() *Log) {
	e, _ := acquire(t, open())
	var wg sync.WaitGroup
	want := map[string]bool{}
	for i := range 8 {
		want[fmt.Sprintf("k%d", i)] = true
		wg.Go(func() {
			for n := range 10 {
				if err := e.Append(t.Context(), rec(KindCheckpoint, fmt.Sprintf("k%d", i), fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, rs := acquire(t, open())
	got := map[string]bool{}
	for _, r := range rs {
		got[r.Key] = string(r.Payload) == "9"
	}
	if !maps.Equal(got, want) {
		t.Fatalf("got %s, want the last record of each of %v", show(rs), slices.Collect(maps.Keys(want)))
	}
}

// testReadersDuringAppends looks for readers that see the gap between a record's successor and its removal.
func testReadersDuringAppends(t *testing.T, open func() *Log) {
	e, _ := acquire(t, open())
	mustAppend(t, e, rec(KindAddress, "", "0"), rec(KindCheckpoint, "j", "0"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for l := open(); ; {
				select {
				case <-stop:
					return
				default:
				}
				rs, err := l.Read(t.Context())
				if err != nil && !strings.Contains(err.Error(), "changed") {
					t.Error(err)
					return
				}
				if err == nil && len(rs) != 2 {
					t.Errorf("a reader got %s", show(rs))
					return
				}
			}
		})
	}
	for i := range 60 {
		mustAppend(t, e, rec(KindCheckpoint, "j", fmt.Sprint(i)))
		if i%15 == 14 {
			e, _ = acquire(t, open())
			mustAppend(t, e, rec(KindAddress, "", fmt.Sprint(i)))
		}
	}
	close(stop)
	wg.Wait()
}
