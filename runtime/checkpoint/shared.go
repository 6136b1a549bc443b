package checkpoint

import (
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// sharedFiles are the files of state that are in no checkpoint's own directory. One stays as long as it is needed: by a
// completed checkpoint that is kept, by one under way or what that builds on, or by a task that has ended.
type sharedFiles struct {
	// known are those that haven't been removed; true: a task of this run wrote it.
	known map[string]bool
	// needs are those of completed checkpoints, by their directory.
	needs map[string][]string
	base  *base // nil while there is none
}

// base is a completed checkpoint that later ones build on: the newest that is no savepoint. It may be superseded.
type base struct {
	id    int64
	files []string
}

// note makes files known; own says that tasks of this run wrote those that weren't.
func (s *sharedFiles) note(files []string, own bool) {
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, file := range files {
		if _, known := s.known[file]; !known {
			s.known[file] = own
		}
	}
}

// completed notes what a checkpoint needs that is complete.
func (s *sharedFiles) completed(p *pending) {
	if p.savepoint() {
		return
	}
	s.need(p.metadata.GetDirectory(), p.needs)
	if s.base == nil || s.base.id < p.id {
		s.base = &base{p.id, p.needs}
	}
}

func (s *sharedFiles) need(dir string, files []string) {
	if s.needs == nil {
		s.needs = map[string][]string{}
	}
	s.needs[dir] = files
}

// Needs says which files outside of its directory a completed checkpoint needs that was taken before: they are removed with
// it.
func (c *Coordinator) Needs(dir string, files []string) {
	c.shared.note(files, false)
	c.shared.need(dir, files)
}

// needed are the files that must stay.
func (c *Coordinator) needed() map[string]bool {
	all := map[string]bool{}
	add := func(files []string) {
		for _, file := range files {
			all[file] = true
		}
	}
	for _, r := range c.completed() {
		add(c.shared.needs[r.GetPath()])
	}
	if c.shared.base != nil {
		add(c.shared.base.files)
	}
	for _, p := range c.pending {
		if p.base != nil {
			add(p.base.files)
		}
		add(p.needs)
		for _, a := range p.acks {
			add(a.GetState().GetFiles())
		}
	}
	for _, t := range c.tasks {
		add(t.final.GetFiles())
	}
	return all
}

// sweep adds to d the files that nobody needs any more, and has it done if there is something to do.
func (c *Coordinator) sweep(d Discard) {
	var needed map[string]bool
	if len(c.shared.known) > 0 {
		needed = c.needed()
	}
	for file, own := range c.shared.known {
		switch {
		case needed[file]:
			continue
		case own && inShared(file):
			d.Files = append(d.Files, file)
		case inShared(file):
			d.Shared = append(d.Shared, file)
		}
		delete(c.shared.known, file) // what is elsewhere goes with its directory
	}
	kept := c.completed()
	for dir := range c.shared.needs {
		if !slices.ContainsFunc(kept, func(r *checkpointpb.Retained) bool { return r.GetPath() == dir }) {
			delete(c.shared.needs, dir)
		}
	}
	slices.Sort(d.Files)
	slices.Sort(d.Shared)
	if len(d.Directories)+len(d.Files)+len(d.Shared) > 0 {
		c.emit(d)
	}
}

// late removes the files of an acknowledgement that came too late, but for those that others need. directory says that the
// checkpoint's own goes with the last of them.
func (c *Coordinator) late(files []string, directory bool) {
	needed := c.needed()
	var own, shared []string
	for _, file := range files {
		switch {
		case needed[file]:
		case inShared(file):
			shared = append(shared, file)
		default:
			own = append(own, file)
		}
	}
	if len(own) > 0 {
		c.emit(Discard{Files: own, Directory: directory})
	}
	if len(shared) > 0 {
		c.emit(Discard{Files: shared})
	}
}

// disowned are the files that the job had from others, and that the checkpoints in keep don't need.
func (c *Coordinator) disowned(keep []string) []string {
	needed := map[string]bool{}
	for _, dir := range keep {
		for _, file := range c.shared.needs[dir] {
			needed[file] = true
		}
	}
	var all []string
	for file, own := range c.shared.known {
		if !own && !needed[file] && inShared(file) {
			all = append(all, file)
		}
	}
	slices.Sort(all)
	return all
}

// inShared says that a file is in a directory for files that checkpoints of a job share.
func inShared(file string) bool { return path.Base(path.Dir(file)) == sharedName }

// Outside are the files outside of its directory that a checkpoint needs, sorted.
func Outside(md *checkpointpb.Metadata) []string {
	all := outsideOf(md.GetDirectory(), filesOf(md))
	slices.Sort(all)
	return slices.Compact(all)
}

// outsideOf are those of some files that aren't in a checkpoint's directory.
func outsideOf(dir string, files iter.Seq[string]) (all []string) {
	for file := range files {
		if dir == "" || !strings.HasPrefix(file, dir+"/") {
			all = append(all, file)
		}
	}
	return all
}
