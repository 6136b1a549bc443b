package ha

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/weftstream/weft/filesystem"
)

// sequence keeps a log in numbered files, on a file system with link(2).
//
// Claims of epochs and records share one numbering. To write one is to link a complete file to the next number, which
// fails if somebody was faster; then what stands there is read first. A claim so seals all older epochs: whoever holds
// one must get past the claim to append, and sees it. For that no name may ever become free again, so a superseded
// record is emptied and keeps its name; claims stay as they are.
type sequence struct {
	fs   filesystem.FileSystem
	link filesystem.Linker
	dir  string
}

const (
	// linkAttempts bounds the tries to write one item when the file system fails.
	linkAttempts = 4
	// readRounds bounds how often a state is read again that changed while it was read.
	readRounds = 50
	// staleAfter is the age at which a temporary file belongs to nobody any more.
	staleAfter = time.Hour
)

func (s *sequence) path(n uint64) string { return path.Join(s.dir, fmt.Sprintf("%020d", n)) }

// get returns the item at number n, nil if it was emptied, or an error that is fs.ErrNotExist if the number is free.
func (s *sequence) get(ctx context.Context, n uint64) (*item, error) {
	p := s.path(n)
	for round := 1; ; round++ {
		b, err := filesystem.ReadFile(ctx, s.fs, p, maxItem)
		if err != nil {
			return nil, err
		}
		if len(b) == 0 {
			return nil, nil
		}
		it, err := decodeItem(b)
		if err == nil || round == 3 {
			if err != nil {
				err = fmt.Errorf("%s: %w; if the file is beyond repair, move it away and put an empty one in its place: "+
					"the record it held is then lost", s.fs.URI(p), err)
			}
			return it, err
		}
		// It may have been emptied while it was read.
	}
}

// numbers returns how many numbers are taken, and the sizes that were seen for them.
func (s *sequence) numbers(ctx context.Context) (last uint64, sizes map[uint64]int64, err error) {
	infos, err := s.fs.List(ctx, s.dir)
	if err != nil {
		return 0, nil, err
	}
	sizes = make(map[uint64]int64, len(infos))
	for _, i := range infos {
		if n, ok := parseNumber(i.Name()); ok {
			sizes[n] = i.Size
			last = max(last, n)
		}
	}
	// A listing may lack a name that was made while it was read, and have one made after that.
	for n := uint64(1); n <= last; n++ {
		if _, ok := sizes[n]; ok {
			continue
		}
		i, err := s.fs.Stat(ctx, s.path(n))
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil, fmt.Errorf("%w: number %d is missing, though %d is there: files were deleted by hand", ErrCorrupt, n, last)
		}
		if err != nil {
			return 0, nil, err
		}
		sizes[n] = i.Size
	}
	return last, sizes, nil
}

// contents are the items up to a number.
type contents struct {
	entries []entry
	last    uint64 // the highest number taken
	epoch   uint64 // the newest epoch claimed
	changed bool   // an item was emptied between listing and reading
}

func (c *contents) add(n uint64, it *item) {
	c.last = n
	if it == nil {
		return
	}
	c.epoch = max(c.epoch, it.epoch)
	if it.typ == recordItem {
		c.entries = append(c.entries, entry{it.Record, strconv.FormatUint(n, 10)})
	}
}

func (s *sequence) load(ctx context.Context) (*contents, error) {
	last, sizes, err := s.numbers(ctx)
	if err != nil {
		return nil, err
	}
	c := &contents{last: last}
	for n := uint64(1); n <= last; n++ {
		if sizes[n] == 0 {
			continue
		}
		it, err := s.get(ctx, n)
		if err != nil {
			return nil, err
		}
		c.changed = c.changed || it == nil
		c.add(n, it)
	}
	c.last = last
	return c, nil
}

// read loads until the log was still from the first listing to the second. Without that it might miss a record that
// was appended behind its back and then find the one it superseded emptied.
func (s *sequence) read(ctx context.Context) ([]entry, error) {
	for range readRounds {
		c, err := s.load(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // nobody has led yet
		}
		if err != nil {
			return nil, err
		}
		last, _, err := s.numbers(ctx)
		if err != nil {
			return nil, err
		}
		if last == c.last && !c.changed {
			return c.entries, nil
		}
	}
	return nil, fmt.Errorf("the log changed %d times while it was read", readRounds)
}

func (s *sequence) acquire(ctx context.Context) (epochStore, []entry, error) {
	if err := s.fs.MkdirAll(ctx, s.dir, 0o700); err != nil {
		return nil, nil, err
	}
	c, err := s.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	me := newOwner()
	for {
		claim := &item{typ: claimItem, epoch: c.epoch + 1, owner: me}
		won, other, err := s.put(ctx, c.last+1, claim)
		if err != nil {
			return nil, nil, err
		}
		if won {
			s.removeStale(ctx, c.last+1)
			return &sequenceEpoch{s: s, n: claim.epoch, owner: me, next: c.last + 2}, c.entries, nil
		}
		c.add(c.last+1, other) // what was there first is older than this claim: part of what is read
	}
}

// put tries to write an item to number n. If something else stands there, it returns that instead, nil for an emptied
// one. After an error the item may be there, except that a failure to write the temporary file leaves nothing.
func (s *sequence) put(ctx context.Context, n uint64, it *item) (won bool, other *item, err error) {
	data, last := it.encode(), error(nil)
	for range linkAttempts {
		temp := filesystem.TempName(s.path(n))
		if err := s.writeTemp(ctx, temp, data); err != nil {
			return false, nil, err
		}
		lerr := s.link.Link(ctx, temp, s.path(n))
		// A temporary file that can't be removed now goes with the next claim.
		_ = s.fs.Remove(context.WithoutCancel(ctx), temp, false)
		if lerr == nil {
			return true, nil, nil
		}
		// The answer may have been lost, or this may be a second try whose first one succeeded.
		switch other, err := s.get(ctx, n); {
		case errors.Is(err, fs.ErrNotExist):
			last = lerr
		case err != nil:
			return false, nil, fmt.Errorf("%w (and to see what became of it: %w)", lerr, err)
		case other != nil && other.owner == it.owner && other.sequence == it.sequence:
			return true, nil, nil
		default:
			return false, other, nil
		}
	}
	return false, nil, fmt.Errorf("after %d attempts: %w", linkAttempts, last)
}

func (s *sequence) writeTemp(ctx context.Context, temp string, data []byte) error {
	w, err := s.fs.Create(ctx, temp, filesystem.CreateOptions{Mode: 0o600})
	if err != nil {
		return err
	}
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	if err != nil {
		_ = w.Abort()
		_ = s.fs.Remove(context.WithoutCancel(ctx), temp, false)
	}
	return err
}

// removeStale removes temporary files that processes left behind which died. By the clock of the file system, so as not
// to take one from a contender that is about to link it.
func (s *sequence) removeStale(ctx context.Context, claim uint64) {
	now, err := s.fs.Stat(ctx, s.path(claim))
	if err != nil {
		return
	}
	infos, err := s.fs.List(ctx, s.dir)
	if err != nil {
		return
	}
	for _, i := range infos {
		if strings.HasPrefix(i.Name(), ".") && now.MTime-i.MTime > staleAfter.Milliseconds() {
			_ = s.fs.Remove(ctx, i.Path, true)
		}
	}
}

type sequenceEpoch struct {
	s        *sequence
	n        uint64
	owner    owner
	next     uint64 // the lowest number not known to be taken
	sequence uint64
}

func (e *sequenceEpoch) number() uint64 { return e.n }

func (e *sequenceEpoch) append(ctx context.Context, r Record) (string, error) {
	e.sequence++
	it := &item{typ: recordItem, epoch: e.n, sequence: e.sequence, owner: e.owner, Record: r}
	for {
		won, other, err := e.s.put(ctx, e.next, it)
		if err != nil {
			return "", err
		}
		if !won {
			if err := e.pass(other); err != nil {
				return "", err
			}
			continue
		}
		ref := strconv.FormatUint(e.next, 10)
		e.next++
		return ref, nil
	}
}

// pass moves past what stands at the next number, if that is allowed.
func (e *sequenceEpoch) pass(other *item) error {
	switch {
	case other == nil:
		// Emptied, so superseded by somebody; if that was a newer epoch its claim comes further on.
	case other.epoch > e.n:
		return ErrFenced
	case other.owner == e.owner:
		// An own record whose answer was lost.
	default:
		return fmt.Errorf("%w: number %d belongs to epoch %d, after the claim of epoch %d", ErrCorrupt, e.next, other.epoch, e.n)
	}
	e.next++
	return nil
}

func (e *sequenceEpoch) discard(ctx context.Context, ref string) error {
	n, err := strconv.ParseUint(ref, 10, 64)
	if err != nil {
		return err
	}
	w, err := e.s.fs.Create(ctx, e.s.path(n), filesystem.CreateOptions{Overwrite: true, Mode: 0o600})
	if err != nil {
		return err
	}
	return w.Close()
}

func (e *sequenceEpoch) check(ctx context.Context) error {
	for {
		other, err := e.s.get(ctx, e.next)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.pass(other); err != nil {
			return err
		}
	}
}
