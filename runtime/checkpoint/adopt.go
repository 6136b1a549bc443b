package checkpoint

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// Adopt copies what md refers to outside of its directory into it, and makes md refer to the copies: a savepoint is its
// owner's, who may move it, and what isn't in it goes with the job. Only states of subtasks that ended before are elsewhere.
// md is changed, what it shares with others (states of subtasks) isn't.
func (s *Storage) Adopt(ctx context.Context, md *checkpointpb.Metadata) error {
	copies := map[string]string{}
	for _, v := range md.GetVertices() {
		for i, t := range v.GetSubtasks() {
			for k, file := range t.GetFiles() {
				if strings.HasPrefix(file, md.GetDirectory()+"/") {
					continue
				}
				if copies[file] == "" {
					copied, err := s.copy(ctx, file, md.GetDirectory())
					if err != nil {
						return fmt.Errorf("copy the state of an ended subtask into savepoint %s: %w", md.GetDirectory(), err)
					}
					copies[file] = copied
				}
				if v.Subtasks[i] == t {
					v.Subtasks[i] = proto.CloneOf(t)
				}
				v.Subtasks[i].Files[k] = copies[file]
			}
		}
	}
	return nil
}

// copy copies a file into a directory and returns the URI of the copy.
func (s *Storage) copy(ctx context.Context, file, dir string) (uri string, err error) {
	from, name, err := s.files.Resolve(file)
	if err != nil {
		return "", err
	}
	to, p, err := s.files.Resolve(join(dir, path.Base(name)))
	if err != nil {
		return "", err
	}
	in, err := from.Open(ctx, name)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	out, err := to.Create(ctx, p, filesystem.CreateOptions{Mode: fileMode})
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Abort()
		return "", err
	}
	return to.URI(p), out.Close()
}
