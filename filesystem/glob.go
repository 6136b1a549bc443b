package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

// maxGlobAlternatives bounds what a pattern's braces may expand to.
const maxGlobAlternatives = 1000

// Glob implements FileSystem.Glob by Stat and List. It is for implementations; users call the method.
func Glob(ctx context.Context, fsys FileSystem, pattern string) ([]Info, error) {
	alternatives, err := expandBraces(pattern)
	if err != nil {
		return nil, fmt.Errorf("glob %s: %w", pattern, err)
	}
	found := map[string]Info{}
	for _, a := range alternatives {
		if err := globOne(ctx, fsys, path.Clean(a), found); err != nil {
			return nil, fmt.Errorf("glob %s: %w", pattern, err)
		}
	}
	infos := make([]Info, 0, len(found))
	for _, i := range found {
		infos = append(infos, i)
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos, nil
}

func globOne(ctx context.Context, fsys FileSystem, pattern string, found map[string]Info) error {
	segments := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	dirs := []string{"/"}
	for n, seg := range segments {
		last := n == len(segments)-1
		if _, err := path.Match(seg, ""); err != nil {
			return fmt.Errorf("%w in %q", err, seg)
		}
		var next []string
		for _, dir := range dirs {
			infos, err := globSegment(ctx, fsys, dir, seg)
			if err != nil {
				return err
			}
			for _, i := range infos {
				if last {
					found[i.Path] = i
				} else if i.IsDir {
					next = append(next, i.Path)
				}
			}
		}
		dirs = next
	}
	return nil
}

// globSegment returns the entries of dir that match seg. A segment without wildcards costs a Stat, not a List, so that
// directories above the first wildcard need not be readable.
func globSegment(ctx context.Context, fsys FileSystem, dir, seg string) ([]Info, error) {
	if !strings.ContainsAny(seg, `*?[\`) {
		info, err := fsys.Stat(ctx, path.Join(dir, seg))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []Info{info}, nil
	}
	all, err := fsys.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	matching := all[:0]
	for _, i := range all {
		if ok, err := path.Match(seg, i.Name()); err != nil {
			return nil, err
		} else if ok {
			matching = append(matching, i)
		}
	}
	return matching, nil
}

// expandBraces replaces {a,b} by its alternatives, innermost braces included.
func expandBraces(pattern string) ([]string, error) {
	done, pending := []string{}, []string{pattern}
	for len(pending) > 0 {
		p := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		end := strings.IndexByte(p, '}')
		if end < 0 {
			if strings.IndexByte(p, '{') >= 0 {
				return nil, fmt.Errorf("unclosed brace: %w", path.ErrBadPattern)
			}
			done = append(done, p)
			continue
		}
		start := strings.LastIndexByte(p[:end], '{')
		if start < 0 {
			return nil, fmt.Errorf("unopened brace: %w", path.ErrBadPattern)
		}
		for _, alt := range strings.Split(p[start+1:end], ",") {
			pending = append(pending, p[:start]+alt+p[end+1:])
		}
		if len(pending)+len(done) > maxGlobAlternatives {
			return nil, fmt.Errorf("more than %d alternatives: %w", maxGlobAlternatives, path.ErrBadPattern)
		}
	}
	return done, nil
}
