package graph_test

import (
	"testing"

	"github.com/weftstream/weft/graph"
)

// TestSourcesAndTargetsAreInverse goes through all pairs of parallelisms: a channel that only one side knows of would
// leave the other waiting for it for ever.
func TestSourcesAndTargetsAreInverse(t *testing.T) {
	for value := range graph.Partitioning_name {
		p := graph.Partitioning(value)
		for sources := 1; sources <= 24; sources++ {
			for targets := 1; targets <= 24; targets++ {
				if p == graph.Partitioning_FORWARD && sources != targets {
					continue
				}
				checkChannels(t, p, sources, targets)
			}
		}
	}
}

func checkChannels(t *testing.T, p graph.Partitioning, sources, targets int) {
	t.Helper()
	type channel struct{ source, target int }
	sent, received := map[channel]bool{}, map[channel]bool{}
	least, most := targets, 0
	for s := range sources {
		from, to := p.Targets(s, sources, targets)
		least, most = min(least, to-from), max(most, to-from)
		for i := from; i < to; i++ {
			sent[channel{s, i}] = true
		}
	}
	if least < 1 || most-least > 1 {
		t.Errorf("%s %d to %d: a sender has %d to %d receivers", p, sources, targets, least, most)
	}
	least, most = sources, 0
	for i := range targets {
		from, to := p.Sources(i, sources, targets)
		least, most = min(least, to-from), max(most, to-from)
		for s := from; s < to; s++ {
			received[channel{s, i}] = true
			if !sent[channel{s, i}] {
				t.Errorf("%s %d to %d: subtask %d waits for %d, which doesn't send to it", p, sources, targets, i, s)
			}
		}
	}
	if least < 1 || most-least > 1 {
		t.Errorf("%s %d to %d: a receiver has %d to %d senders", p, sources, targets, least, most)
	}
	want := sources * targets
	if p == graph.Partitioning_RESCALE || p == graph.Partitioning_FORWARD {
		want = max(sources, targets)
	}
	if len(sent) != want || len(received) != want {
		t.Errorf("%s %d to %d: %d channels to send on and %d to receive from, want %d", p, sources, targets, len(sent), len(received), want)
	}
}
