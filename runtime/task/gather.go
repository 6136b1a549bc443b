package task

import (
	"cmp"
	"slices"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// An incremental checkpoint refers to maxEarlier files of earlier ones, and to none of which less than 1/leastLive is in
// use. What it needs of others it has in its own file: they would take up room, and names, for little.
const (
	maxEarlier = 64
	leastLive  = 4
)

// gather moves the blocks of such files, which costs less than what is removed with them was. A file that can't be read now
// stays.
func (s *sharing) gather() error {
	slices.SortStableFunc(s.earlier, func(a, b *earlierFile) int { return cmp.Compare(b.live, a.live) })
	uris := make([]string, len(s.earlier))
	for i, e := range s.earlier {
		uris[i] = e.uri
	}
	r := checkpoint.NewReader(s.file.ctx, s.file.files, &linkpb.TaskState{Files: uris})
	defer r.Close()
	kept := s.earlier[:0]
	for i, e := range s.earlier {
		if i >= maxEarlier || e.live*leastLive < e.size {
			moved, err := s.move(r, i, e)
			if err != nil {
				return err
			}
			if moved {
				continue
			}
		}
		for _, b := range e.blocks {
			b.File = earlierFiles + int32(len(kept))
		}
		kept = append(kept, e)
	}
	s.earlier = kept
	return nil
}

// move moves the blocks of a file. Without all of them the rest are still there.
func (s *sharing) move(r *checkpoint.Reader, i int, e *earlierFile) (all bool, err error) {
	for len(e.blocks) > 0 {
		b := e.blocks[0]
		data, err := r.Block(&linkpb.StateBlock{File: int32(i), Offset: b.GetOffset(), Length: b.GetLength()})
		if err != nil {
			s.log.Warn("state stays in an earlier checkpoint's file", "file", e.uri, "error", err)
			return false, s.file.ctx.Err()
		}
		at, err := s.file.put(data)
		if err != nil {
			return false, err
		}
		b.File, b.Offset = sharedFile, at
		e.blocks, e.live = e.blocks[1:], e.live-b.GetLength()
	}
	return true, nil
}
