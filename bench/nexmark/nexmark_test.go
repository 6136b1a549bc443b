package nexmark

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// The tests' stream is 200 s of event time for each generator, so windows of 10 s and the closing of auctions matter.
const (
	testEvents = 20_000
	testRate   = 100
)

// made are all events of the generators, one generator after another.
func made(parallelism int, events int64) []Event {
	var all []Event
	for i := range parallelism {
		g := NewGenerator(events, testRate, i, parallelism)
		for n := g.First; n < g.End; n++ {
			var e Event
			g.Event(n, &e)
			all = append(all, e)
		}
	}
	return all
}

func TestQueries(t *testing.T) {
	for _, parallelism := range []int{1, 3} {
		events := made(parallelism, testEvents)
		for _, name := range slices.Sorted(maps.Keys(oracles)) {
			t.Run(fmt.Sprintf("%s/parallelism %d", name, parallelism), func(t *testing.T) {
				t.Parallel()
				lines := streamtest.Collect[string]()
				streamtest.Run(t, func(env *stream.Env) {
					if err := Build(env, Params{Query: name, Events: testEvents, Rate: testRate, Parallelism: parallelism}, lines); err != nil {
						t.Error(err)
					}
				}, streamtest.Parallelism(parallelism))
				want := oracles[name](events)
				if len(want) == 0 {
					t.Fatal("the oracle has no result")
				}
				same(t, final(name, lines.Records()), want)
			})
		}
	}
}

// updated are the queries that give the result of a key again and again; the last one counts.
var updated = map[string]bool{"q4": true, "q15": true, "q16": true, "q17": true, "q18": true, "q19": true}

func final(name string, lines []string) []string {
	if !updated[name] {
		return lines
	}
	last := map[string]string{}
	for _, l := range lines {
		key, _, _ := strings.Cut(l, "\t")
		last[key] = l
	}
	return slices.Collect(maps.Values(last))
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d results, want %d; number %d differs: got %q, want %q", len(got), len(want), i, at(got, i), at(want, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

// TestQ10 reads the files.
func TestQ10(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	streamtest.Run(t, func(env *stream.Env) {
		if err := Build(env, Params{Query: "q10", Events: testEvents, Rate: testRate, Parallelism: 2, Dir: dir}, nil); err != nil {
			t.Error(err)
		}
	})
	files, err := filepath.Glob(dir + "/*/*/*.csv")
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`/dt=2015-07-15/hm=00-0([0-3])/part-`)
	minutes := map[string]int{}
	for _, f := range files {
		m := place.FindStringSubmatch(f)
		b, err := os.ReadFile(f)
		if m == nil || err != nil {
			t.Fatalf("file %s: %v", f, err)
		}
		minutes[m[1]] += strings.Count(string(b), "\n")
	}
	want := map[string]int{}
	for _, e := range made(2, testEvents) {
		if e.Kind == IsBid {
			want[fmt.Sprint(int64(e.Bid.At-BaseTime)/60_000)]++
		}
	}
	if !maps.Equal(minutes, want) {
		t.Errorf("lines by minute %v, want %v", minutes, want)
	}
}

// TestQ12 adds the counts of all windows up: which window a bid is in, and whether it is in the last, which isn't given, is
// a matter of when it came. A run in which the last window is the only one is repeated with more bids.
func TestQ12(t *testing.T) {
	got, events := map[int64]int64{}, int64(testEvents)
	for ; len(got) == 0; events *= 2 {
		if events > 1000*testEvents {
			t.Fatal("no result")
		}
		lines := streamtest.Collect[string]()
		streamtest.Run(t, func(env *stream.Env) {
			if err := Build(env, Params{Query: "q12", Events: events, Rate: testRate, Parallelism: 2, Processing: time.Millisecond}, lines); err != nil {
				t.Error(err)
			}
		})
		for _, l := range lines.Records() {
			var bidder, n int64
			if _, err := fmt.Sscanf(l, "%d\t%d", &bidder, &n); err != nil {
				t.Fatal(err)
			}
			got[bidder] += n
		}
	}
	want := map[int64]int64{}
	for _, e := range made(2, events/2) {
		if e.Kind == IsBid {
			want[e.Bid.Bidder]++
		}
	}
	for bidder, n := range got {
		if n > want[bidder] {
			t.Errorf("bidder %d bid %d times, not %d", bidder, want[bidder], n)
		}
	}
}

func TestUnknownQuery(t *testing.T) {
	if _, err := Job.Graph(Params{Query: "q99", Events: 1, Rate: 1, Parallelism: 1}); err == nil || !strings.Contains(err.Error(), "q99") {
		t.Errorf("%v", err)
	}
}

// TestGenerator: the proportions and what belongs together.
func TestGenerator(t *testing.T) {
	people, auctions := map[int64]bool{}, map[int64]Auction{}
	var kinds [3]int
	var unknown int
	events := made(1, testEvents)
	for i := range events {
		e := &events[i]
		kinds[e.Kind]++
		switch e.Kind {
		case IsPerson:
			people[e.Person.ID] = true
		case IsAuction:
			auctions[e.Auction.ID] = e.Auction
			if e.Auction.Expires <= e.Auction.At || e.Auction.Category < 10 || e.Auction.Category > 14 {
				t.Fatalf("%+v", e.Auction)
			}
		case IsBid:
			if _, ok := auctions[e.Bid.Auction]; !ok {
				unknown++ // one that is about to begin
			}
		}
	}
	if kinds != [3]int{testEvents / 50, testEvents * 3 / 50, testEvents * 46 / 50} {
		t.Errorf("people, auctions, bids: %v", kinds)
	}
	if len(people) != kinds[0] || len(auctions) != kinds[1] {
		t.Errorf("%d different people of %d, %d auctions of %d", len(people), kinds[0], len(auctions), kinds[1])
	}
	if unknown == 0 || unknown > kinds[2]/10 {
		t.Errorf("%d of %d bids are on auctions that come later", unknown, kinds[2])
	}
}
