package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/weftstream/weft/filesystem"
)

// recent is how long a use protects an entry from Prune, whatever its limits: marks are days of clients' clocks, and an
// application that was just submitted may not have localised its files yet.
const recent = 48 * time.Hour

// use describes an entry to Prune.
type use struct {
	dir  string
	last time.Time
	size int64
}

// Prune removes files not used for longer than olderThan and then, as long as the cache is larger than maxBytes, the one
// not used for the longest time. 0 or less means no such limit. Entries of other owners and those used within the last
// two days stay. It also removes what broken-off uploads left. It returns how many files it removed and their size.
func (c *Cache) Prune(ctx context.Context, olderThan time.Duration, maxBytes int64) (removed int, freed int64, err error) {
	infos, err := c.cfg.FS.List(ctx, c.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("prune artifact cache: %w", err)
	}
	now := c.cfg.Now()
	var uses []use
	total := int64(0)
	for _, i := range infos {
		if i.Owner != c.cfg.FS.User() || !i.IsDir {
			continue
		}
		u, err := c.lastUse(ctx, i)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return removed, freed, fmt.Errorf("prune artifact cache: %w", err)
		case strings.HasPrefix(i.Name(), "."):
			if now.Sub(u.last) > recent {
				c.removeQuietly(ctx, i.Path)
			}
		default:
			if _, err := ParseKey(i.Name()); err == nil {
				uses, total = append(uses, u), total+u.size
			}
		}
	}
	sort.Slice(uses, func(i, j int) bool { return uses[i].last.Before(uses[j].last) })
	for _, u := range uses {
		age := now.Sub(u.last)
		old := olderThan > 0 && age > olderThan || maxBytes > 0 && total > maxBytes
		if !old || age < recent {
			continue
		}
		gone, err := c.discard(ctx, u)
		if err != nil {
			return removed, freed, fmt.Errorf("prune artifact cache: %w", err)
		}
		if gone {
			removed, freed, total = removed+1, freed+u.size, total-u.size
		}
	}
	return removed, freed, nil
}

// lastUse reads the marks in an entry. A day counts to its end. Without marks the file's own time counts.
func (c *Cache) lastUse(ctx context.Context, entry filesystem.Info) (use, error) {
	u := use{dir: entry.Path, last: entry.ModTime()}
	infos, err := c.cfg.FS.List(ctx, entry.Path)
	if err != nil {
		return u, err
	}
	for _, i := range infos {
		if i.Name() == fileName {
			u.size, u.last = i.Size, i.ModTime()
		}
	}
	for _, i := range infos {
		if day, ok := strings.CutPrefix(i.Name(), usedPrefix); ok {
			if t, err := time.Parse(usedLayout, day); err == nil && t.AddDate(0, 0, 1).After(u.last) {
				u.last = t.AddDate(0, 0, 1)
			}
		}
	}
	return u, nil
}

// discard moves an entry away and looks at its marks again before it removes it: a client marks its use first and looks
// whether the file is there after that, so that one of the two sees the other.
func (c *Cache) discard(ctx context.Context, u use) (bool, error) {
	aside := c.hidden(prunedPrefix)
	if err := c.cfg.FS.Rename(ctx, u.dir, aside, false); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // another client prunes too
		}
		return false, err
	}
	i, err := c.cfg.FS.Stat(ctx, aside)
	if err != nil {
		return false, err
	}
	again, err := c.lastUse(ctx, i)
	if err != nil {
		return false, err
	}
	if again.last.After(u.last) {
		err := c.cfg.FS.Rename(ctx, aside, u.dir, false)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		// The client has uploaded it again.
	}
	if err := c.cfg.FS.Remove(ctx, aside, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("remove %s: %w", path.Base(u.dir), err)
	}
	return true, nil
}
