package checkpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// entryBlock is an inline block of entries.
func entryBlock(group int32, part string, changes bool, data []byte) *linkpb.StateBlock {
	return &linkpb.StateBlock{Group: group, File: -1, Data: data, Length: int64(len(data)), Entries: true, Part: []byte(part), Changes: changes}
}

// readPairs are the pairs of four bytes that a state holds, by group.
func readPairs(n *linkpb.NamedState) (map[[2]uint32]int, error) {
	r := NewReader(context.Background(), nil, &linkpb.TaskState{})
	all := map[[2]uint32]int{}
	for b, err := range r.pairs(n) {
		if err != nil {
			return all, err
		}
		for d := b.Data; len(d) > 0; d = d[4:] {
			if len(d) < 4 {
				return all, errors.New("half a pair")
			}
			all[[2]uint32{uint32(b.Group), binary.BigEndian.Uint32(d)}]++
		}
	}
	return all, nil
}

// TestMerge: chains of blocks at random, of several groups and parts that are mixed, read as maps do.
func TestMerge(t *testing.T) {
	seed := rand.Uint64()
	for round := range 300 {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		type where struct {
			group int32
			part  string
		}
		model := map[where]map[byte][4]byte{}
		n := &linkpb.NamedState{}
		for range rnd.IntN(40) {
			w := where{rnd.Int32N(3), []string{"", "p"}[rnd.IntN(2)]}
			changes := model[w] != nil
			if !changes {
				model[w] = map[byte][4]byte{}
			}
			var data []byte
			for range rnd.IntN(30) {
				id := byte(rnd.IntN(20))
				if _, there := model[w][id]; there && !changes {
					continue // of what is written whole each is there once
				}
				if changes && rnd.IntN(3) == 0 {
					data = operator.AppendRemoval(data, []byte{id})
					delete(model[w], id)
					continue
				}
				pair := [4]byte{id, byte(len(w.part)), byte(rnd.IntN(256)), byte(rnd.IntN(256))}
				data = operator.AppendEntry(data, pair[:1], pair[1:])
				model[w][id] = pair
			}
			n.Blocks = append(n.Blocks, entryBlock(w.group, w.part, changes, data))
		}
		want := map[[2]uint32]int{}
		for w, pairs := range model {
			for _, p := range pairs {
				want[[2]uint32{uint32(w.group), binary.BigEndian.Uint32(p[:])}]++
			}
		}
		if got, err := readPairs(n); err != nil || !maps.Equal(got, want) {
			t.Fatalf("seed %d, round %d: %v, %v; want %v", seed, round, got, err, want)
		}
	}
}

func TestMergeRefusesDamage(t *testing.T) {
	pair, removal := operator.AppendEntry(nil, []byte("a"), []byte("bcd")), operator.AppendRemoval(nil, []byte("a"))
	for want, blocks := range map[string][]*linkpb.StateBlock{
		"changes of nothing":        {entryBlock(5, "", true, pair)},
		"changes of nothing: the":   {entryBlock(5, "x", false, pair), entryBlock(5, "", true, pair)},
		"whole behind changes":      {entryBlock(5, "", false, pair), entryBlock(5, "", true, pair), entryBlock(5, "", false, pair)},
		"a removal where all pairs": {entryBlock(5, "", false, removal)},
		"cut off":                   {entryBlock(5, "", false, pair[:3])},
		"is cut off":                {entryBlock(5, "", false, pair), entryBlock(5, "", true, pair[:1])},
		"in file 3 of 0":            {{Group: 5, File: 3, Length: 4, Entries: true}},
	} {
		if got, err := readPairs(&linkpb.NamedState{Blocks: blocks}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "key group 5") ||
			!strings.Contains(err.Error(), "the checkpoint is damaged") {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
}

// FuzzMerge: damaged blocks are refused or read as something, no more.
func FuzzMerge(f *testing.F) {
	pair := operator.AppendEntry(nil, []byte("a"), []byte("bcd"))
	f.Add(pair, append(operator.AppendRemoval(nil, []byte("a")), pair...))
	f.Fuzz(func(t *testing.T, whole, changes []byte) {
		n := &linkpb.NamedState{Blocks: []*linkpb.StateBlock{entryBlock(1, "", false, whole), entryBlock(1, "", true, changes)}}
		r := NewReader(context.Background(), nil, &linkpb.TaskState{})
		size := 0
		for b, err := range r.pairs(n) {
			if err != nil {
				return
			}
			size += len(b.Data)
		}
		if size > len(whole)+len(changes) {
			t.Fatalf("%d bytes are made of %d", size, len(whole)+len(changes))
		}
	})
}
