package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

func localStorage(t *testing.T) *Storage {
	t.Helper()
	files, err := filesystem.NewSet(filesystem.SetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return NewStorage(files)
}

func TestStorage(t *testing.T) {
	s, ctx, base := localStorage(t), t.Context(), t.TempDir()
	dir, err := s.Prepare(ctx, base+"/job/chk-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, dir); !errors.Is(err, ErrNotACheckpoint) {
		t.Errorf("a checkpoint that isn't complete is read: %v", err)
	}
	md := &checkpointpb.Metadata{Version: FormatVersion, Checkpoint: 1, Directory: dir, Vertices: []*checkpointpb.Vertex{{
		Id: opID(1), Subtasks: []*linkpb.TaskState{{Files: []string{dir + "/state", "hdfs://nn/elsewhere"}}}}}}
	if err := s.WriteMetadata(ctx, md); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare(ctx, dir); err == nil || !strings.Contains(err.Error(), "completed checkpoint already") {
		t.Errorf("the directory of a completed checkpoint is used again: %v", err)
	}
	moved := filepath.Join(base, "moved")
	if err := os.Rename(filepath.Join(base, "job/chk-1"), moved); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{moved, moved + "/" + MetadataFile} {
		got, err := s.Load(ctx, location)
		if err != nil {
			t.Fatal(err)
		}
		files := got.GetVertices()[0].GetSubtasks()[0].GetFiles()
		if files[0] != got.GetDirectory()+"/state" || !strings.HasSuffix(got.GetDirectory(), "/moved") || files[1] != "hdfs://nn/elsewhere" {
			t.Errorf("read from %s: directory %s, files %v", location, got.GetDirectory(), files)
		}
	}
	data, err := os.ReadFile(filepath.Join(moved, MetadataFile))
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := append([]byte(nil), data...)
		bad[i] ^= 1
		if _, err := DecodeMetadata(bad); err == nil {
			t.Fatalf("metadata with byte %d changed is read", i)
		}
	}
	if _, err := DecodeMetadata(data[:len(data)/2]); err == nil {
		t.Error("half of the metadata is read")
	}
	if err := s.Dispose(ctx, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(moved); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left after its removal: %v", err)
	}
	if err := s.Discard(ctx, moved); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if err := os.WriteFile(filepath.Join(base, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Dispose(ctx, base); !errors.Is(err, ErrNotACheckpoint) {
		t.Errorf("a directory that is no savepoint is removed: %v", err)
	}
}
