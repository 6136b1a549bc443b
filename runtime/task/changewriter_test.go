package task

import "testing"

// TestGroupsAreWrittenWholeInTurns: of groups that change at the same pace, no later checkpoint writes most of them whole.
func TestGroupsAreWrittenWholeInTurns(t *testing.T) {
	const groups, whole, checkpoints = 128, 1000, 100
	for _, changed := range []int64{10, 50, 150} { // bytes of a group that change from one checkpoint to the next
		w := &changeWriter{base: map[chainKey]*chain{}, stateWriter: &stateWriter{share: &sharing{}}}
		total := 0
		for n := range checkpoints {
			now := 0
			w.share.seed = uint64(n)
			for g := range groups {
				if w.Builds(g) {
					c := w.base[chainKey{"", int32(g)}]
					c.changed++
					c.changes += changed
				} else {
					w.base[chainKey{"", int32(g)}] = &chain{whole: whole}
					now++
				}
			}
			if n > 0 && now > groups/2 {
				t.Errorf("%d bytes at a time: checkpoint %d writes %d of %d groups whole", changed, n, now, groups)
			}
			total += now
		}
		// Not every second time, and often enough that chains stay short.
		if least, most := groups*checkpoints/maxChain, groups*checkpoints/2; total < least || total > most {
			t.Errorf("%d bytes at a time: groups are written whole %d times, want %d to %d", changed, total, least, most)
		}
	}
}
