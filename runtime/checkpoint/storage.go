package checkpoint

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// MetadataFile is the file that makes a directory a completed checkpoint or savepoint (Flink's name).
const MetadataFile = "_metadata"

// FormatVersion is the version of the metadata that this program writes and reads.
const FormatVersion = 1

// ErrNotACheckpoint is returned for a path where no completed checkpoint or savepoint is.
var ErrNotACheckpoint = errors.New("no completed checkpoint or savepoint there")

// A _metadata file: magic, the message, XXH64 of both.
const metadataMagic = "WFCP"

// maxMetadata bounds what is read as metadata.
const maxMetadata = 1 << 30

// Names below a job's directory.
const (
	checkpointPrefix = "chk-"
	sharedName       = "shared"
)

const (
	directoryMode = fs.FileMode(0o755)
	fileMode      = fs.FileMode(0o644)
)

// Storage keeps the checkpoints of jobs in file systems. Safe for concurrent use.
type Storage struct {
	files *filesystem.Set
}

// NewStorage makes a Storage over files.
func NewStorage(files *filesystem.Set) *Storage { return &Storage{files: files} }

// CheckpointDirectory is where checkpoint id of a job goes, below the configured directory. run tells apart what successive
// JobMasters of the job write under the same id; it is empty for the first.
func CheckpointDirectory(base string, perJob bool, job graph.JobID, id int64, run string) string {
	if perJob {
		base = join(base, job.String())
	}
	if run != "" {
		return join(base, fmt.Sprintf(checkpointPrefix+"%d-%s", id, run))
	}
	return join(base, fmt.Sprintf(checkpointPrefix+"%d", id))
}

// SavepointDirectory is a new name for a savepoint of a job below base.
func SavepointDirectory(base string, job graph.JobID) string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return join(base, "savepoint-"+job.String()[:6]+"-"+hex.EncodeToString(b[:]))
}

func join(base, name string) string { return strings.TrimRight(base, "/") + "/" + name }

// Prepare makes the directory of a checkpoint and returns its full URI. A directory with a completed one is refused.
func (s *Storage) Prepare(ctx context.Context, dir string) (string, error) {
	f, p, err := s.files.Resolve(dir)
	if err != nil {
		return "", fmt.Errorf("make checkpoint directory %s: %w", dir, err)
	}
	if _, err := f.Stat(ctx, path.Join(p, MetadataFile)); err == nil {
		return "", fmt.Errorf("make checkpoint directory %s: it holds a completed checkpoint already; choose another directory", f.URI(p))
	}
	if err := f.MkdirAll(ctx, p, directoryMode); err != nil {
		return "", fmt.Errorf("make checkpoint directory %s: %w", f.URI(p), err)
	}
	return f.URI(p), nil
}

// WriteMetadata makes the checkpoint in md.Directory complete. Until it returns nil nobody sees it.
func (s *Storage) WriteMetadata(ctx context.Context, md *checkpointpb.Metadata) error {
	f, p, err := s.files.Resolve(md.GetDirectory())
	if err != nil {
		return fmt.Errorf("write checkpoint metadata: %w", err)
	}
	data, err := EncodeMetadata(md)
	if err != nil {
		return err
	}
	name := path.Join(p, MetadataFile)
	temporary := path.Join(p, "."+MetadataFile+".tmp")
	fail := func(err error) error {
		// The write may have failed because ctx has ended, so the clean-up has its own.
		_ = f.Remove(context.WithoutCancel(ctx), temporary, false)
		return fmt.Errorf("write checkpoint metadata %s: %w", f.URI(name), err)
	}
	w, err := f.Create(ctx, temporary, filesystem.CreateOptions{Overwrite: true, Mode: fileMode})
	if err != nil {
		return fail(err)
	}
	if _, err := w.Write(data); err != nil {
		_ = w.Close()
		return fail(err)
	}
	if err := w.Close(); err != nil {
		return fail(err)
	}
	if err := f.Rename(ctx, temporary, name, true); err != nil {
		return fail(err)
	}
	return nil
}

// EncodeMetadata is the content of a _metadata file.
func EncodeMetadata(md *checkpointpb.Metadata) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(metadataMagic), md)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint metadata: %w", err)
	}
	return binary.BigEndian.AppendUint64(data, xxhash.Sum64(data)), nil
}

// DecodeMetadata reads what EncodeMetadata made.
func DecodeMetadata(data []byte) (*checkpointpb.Metadata, error) {
	if len(data) < len(metadataMagic)+8 || string(data[:len(metadataMagic)]) != metadataMagic {
		return nil, errors.New("decode checkpoint metadata: it isn't Weft's (Flink's own savepoints can't be read)")
	}
	body, sum := data[:len(data)-8], binary.BigEndian.Uint64(data[len(data)-8:])
	if xxhash.Sum64(body) != sum {
		return nil, errors.New("decode checkpoint metadata: its checksum is wrong; the file is damaged")
	}
	md := &checkpointpb.Metadata{}
	if err := proto.Unmarshal(body[len(metadataMagic):], md); err != nil {
		return nil, fmt.Errorf("decode checkpoint metadata: %w", err)
	}
	if md.GetVersion() != FormatVersion {
		return nil, fmt.Errorf("decode checkpoint metadata: it has format version %d, this program reads version %d; use the version of Weft that wrote it", md.GetVersion(), FormatVersion)
	}
	return md, nil
}

// Load reads the checkpoint or savepoint at location: its directory or its _metadata file. One that was moved as a whole is
// read from where it is now.
func (s *Storage) Load(ctx context.Context, location string) (*checkpointpb.Metadata, error) {
	f, p, err := s.files.Resolve(location)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", location, err)
	}
	dir := p
	if path.Base(p) == MetadataFile {
		dir = path.Dir(p)
	}
	data, err := readAll(ctx, f, path.Join(dir, MetadataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read checkpoint %s: %w: %s", f.URI(dir), ErrNotACheckpoint, notThere(ctx, f, dir))
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", f.URI(dir), err)
	}
	md, err := DecodeMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", f.URI(dir), err)
	}
	rebase(md, f.URI(dir))
	return md, nil
}

// notThere says why a directory without metadata is no checkpoint.
func notThere(ctx context.Context, f filesystem.FileSystem, dir string) string {
	entries, err := f.List(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it doesn't exist"
	case err != nil:
		return err.Error()
	case len(entries) == 0:
		return "it is empty"
	}
	return fmt.Sprintf("it has no %s: it isn't complete, was aborted, or is something else", MetadataFile)
}

func readAll(ctx context.Context, f filesystem.FileSystem, name string) ([]byte, error) {
	r, err := f.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err == nil && len(data) > maxMetadata {
		err = fmt.Errorf("%s has more than %d bytes", name, maxMetadata)
	}
	return data, err
}

// rebase makes the files below the directory at which md was written those below the one where it is.
func rebase(md *checkpointpb.Metadata, now string) {
	then := md.GetDirectory()
	md.Directory = now
	if then == "" || then == now {
		return
	}
	for _, v := range md.GetVertices() {
		for _, t := range v.GetSubtasks() {
			for i, file := range t.GetFiles() {
				if rest, below := strings.CutPrefix(file, then+"/"); below {
					t.Files[i] = join(now, rest)
				}
			}
		}
	}
}

// bytesOf is the size of all state in md.
func bytesOf(md *checkpointpb.Metadata) int64 {
	var n int64
	for _, v := range md.GetVertices() {
		for _, t := range v.GetSubtasks() {
			n += t.GetBytes()
		}
	}
	return n
}

// SharedDirectory is where state of a job goes that belongs to no single checkpoint.
func SharedDirectory(base string, job graph.JobID) string {
	return join(join(base, job.String()), sharedName)
}
