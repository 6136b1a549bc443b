package cli

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// total is a value of the savepoint in testdata.
type total struct {
	Count int64
	Sum   float64
	Tags  []string
	Last  *time.Time
}

func typeOf[T any](t *testing.T) *codec.Type[T] {
	t.Helper()
	c, err := codec.Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func schemaBytes(t *testing.T, s encoding.BinaryMarshaler) []byte {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opID is the operator id that ends with n.
func opID(n byte) []byte { return append(make([]byte, 15), n) }

// writtenAt is where the savepoint in testdata was written; it has been moved since.
const writtenAt = "hdfs://namenode:8020/savepoints/savepoint-0f3c2a-1b2c3d4e5f60"

// savepointOf makes the savepoint in testdata: its metadata, and the file of one subtask.
func savepointOf(t *testing.T) (md *checkpointpb.Metadata, file []byte) {
	keys, totals, offsets := typeOf[string](t), typeOf[total](t), typeOf[int64](t)
	at := time.UnixMilli(1795211048005)
	pair := func(dst []byte, k string, v total) []byte { return totals.EncodeValue(keys.EncodeValue(dst, &k), &v) }
	offset := func(n int64) []byte { return offsets.EncodeValue(nil, &n) }
	file = pair(nil, "ant", total{Count: 1, Sum: 0.5})
	first := int64(len(file))
	file = pair(pair(file, "bee", total{Count: 2, Sum: 2.5, Tags: []string{"<b>"}, Last: &at}), "cat", total{})
	rule := func() []byte {
		k, n := "limit", int64(9)
		return offsets.EncodeValue(keys.EncodeValue(nil, &k), &n)
	}()
	named := func(name string, kind operator.StateKind, key, value encoding.BinaryMarshaler, blocks ...*linkpb.StateBlock) *linkpb.NamedState {
		s := &linkpb.NamedState{Name: name, Kind: int32(kind), Blocks: blocks}
		if key != nil {
			s.KeySchema = schemaBytes(t, key)
		}
		if value != nil {
			s.ValueSchema = schemaBytes(t, value)
		}
		return s
	}
	inline := func(data []byte) *linkpb.StateBlock { return &linkpb.StateBlock{Group: -1, File: -1, Data: data} }
	counts := func(blocks ...*linkpb.StateBlock) *linkpb.OperatorState {
		return &linkpb.OperatorState{Operator: opID(2), States: []*linkpb.NamedState{
			named("total", operator.KeyedState, keys.Schema(), totals.Schema(), blocks...),
			named("rules", operator.BroadcastState, keys.Schema(), offsets.Schema(), inline(rule))}}
	}
	source := func(states ...*linkpb.NamedState) *linkpb.TaskState {
		return &linkpb.TaskState{Operators: []*linkpb.OperatorState{{Operator: opID(1), States: states}}}
	}
	md = &checkpointpb.Metadata{Version: checkpoint.FormatVersion, Checkpoint: 12, JobId: bytes.Repeat([]byte{0x0f, 0x3c}, 8), JobName: "counts",
		Savepoint: true, TimestampMs: 1795211047985, CompletedMs: 1795211048100, Directory: writtenAt,
		Commits: []*linkpb.OperatorCommit{{Operator: opID(3), Committables: [][]byte{[]byte("a"), []byte("b")}}},
		Operators: []*checkpointpb.Operator{
			{Id: opID(1), Name: "Source: lines", Parallelism: 2, MaxParallelism: 128},
			{Id: opID(2), Uid: "counts", Name: "Count", Parallelism: 2, MaxParallelism: 128},
			{Id: opID(3), Name: "Sink: files", Parallelism: 1, MaxParallelism: 128},
			{Id: opID(4), Name: "Sink: files", Parallelism: 1, MaxParallelism: 128}},
		Vertices: []*checkpointpb.Vertex{
			{Id: opID(1), Parallelism: 2, MaxParallelism: 128, Subtasks: []*linkpb.TaskState{
				source(named("offsets", operator.ListState, nil, offsets.Schema(), inline(offset(7)), inline(offset(-8)))),
				source(named("offsets", operator.ListState, nil, offsets.Schema(), inline(offset(9))), named("splits", operator.UnionState, nil, nil, inline([]byte{0xca, 0xfe})))}},
			{Id: opID(2), Parallelism: 2, MaxParallelism: 128, Subtasks: []*linkpb.TaskState{
				{Files: []string{writtenAt + "/00000002-0-1-abc"}, Operators: []*linkpb.OperatorState{counts(
					&linkpb.StateBlock{Group: 3, Length: first}, &linkpb.StateBlock{Group: 5, Offset: first, Length: int64(len(file)) - first})}},
				{Operators: []*linkpb.OperatorState{counts(&linkpb.StateBlock{Group: 64, File: -1, Data: pair(nil, "zebra", total{Count: 5})})}}}}}}
	return md, file
}

// savepoint is a copy of the savepoint in testdata, which -update writes anew. It was written by an earlier run: what is in
// savepoints must stay readable.
func savepoint(t *testing.T) string {
	t.Helper()
	stored := filepath.Join("testdata", "savepoint")
	if *update {
		md, file := savepointOf(t)
		data, err := checkpoint.EncodeMetadata(md)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(stored, checkpoint.MetadataFile), data)
		writeFile(t, filepath.Join(stored, "00000002-0-1-abc"), file)
	}
	dir := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(dir, os.DirFS(stored)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestState(t *testing.T) {
	dir := savepoint(t)
	for name, args := range map[string][]string{
		"list": {"list", dir}, "list-count": {"list", "--count", dir + "/_metadata"}, "list-json": {"list", dir, "--json", "--count"},
		"show": {"show", dir, "--operator", "counts"}, "show-state": {"show", dir, "--operator", "counts", "--state", "total", "--limit", "2"},
		"show-json": {"show", dir, "--operator", "counts", "--json"}, "show-id": {"show", "file://" + dir, "--operator", strings.Repeat("0", 31) + "1"},
		"show-name": {"show", dir, "--operator", "Source: lines", "--limit", "0", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.wants(k.run(append([]string{"state"}, args...)...), ExitOK, nil, nil)
			got := strings.ReplaceAll(k.out.String(), dir, "/moved")
			golden := filepath.Join("testdata", "state", name+".txt")
			if *update {
				writeFile(t, golden, []byte(got))
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs:\n%s", golden, got)
			}
		})
	}
}

// sealed is metadata with its checksum.
func sealed(t *testing.T, md *checkpointpb.Metadata) []byte {
	t.Helper()
	data, err := proto.MarshalOptions{}.MarshalAppend([]byte("WFCP"), md)
	if err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.AppendUint64(data, xxhash.Sum64(data))
}

func TestStateOfWhatIsNoSavepoint(t *testing.T) {
	metadata, file := checkpoint.MetadataFile, "00000002-0-1-abc"
	list := []string{"list"}
	show := []string{"show", "--operator", "counts"}
	for name, c := range map[string]struct {
		damage func(dir string, data []byte)
		args   []string
		want   string
	}{
		"nothing": {func(dir string, _ []byte) { _ = os.RemoveAll(dir) }, list, "no completed checkpoint or savepoint there: it doesn't exist"},
		"empty":   {func(dir string, _ []byte) { _ = os.Remove(dir + "/" + metadata); _ = os.Remove(dir + "/" + file) }, list, "it is empty"},
		"half":    {func(dir string, _ []byte) { _ = os.Remove(dir + "/" + metadata) }, list, "it has no _metadata: it isn't complete"},
		"cut":     {func(dir string, b []byte) { writeFile(t, dir+"/"+metadata, b[:len(b)/2]) }, list, "its checksum is wrong; the file is damaged"},
		"changed": {func(dir string, b []byte) { b[40] ^= 1; writeFile(t, dir+"/"+metadata, b) }, list, "its checksum is wrong; the file is damaged"},
		"flink":   {func(dir string, _ []byte) { writeFile(t, dir+"/"+metadata, []byte("\x49\x60\x67\x2d etc etc etc")) }, list, "it isn't Weft's (Flink's own savepoints can't be read)"},
		"newer": {func(dir string, _ []byte) {
			writeFile(t, dir+"/"+metadata, sealed(t, &checkpointpb.Metadata{Version: 2}))
		}, list, "it has format version 2, this program reads version 1; use the version of Weft that wrote it"},
		"without a file": {func(dir string, _ []byte) { _ = os.Remove(dir + "/" + file) }, show, "no such file"},
		"file cut":       {func(dir string, _ []byte) { _ = os.Truncate(dir+"/"+file, 10) }, show, "unexpected EOF"},
		"file changed": {func(dir string, _ []byte) {
			writeFile(t, dir+"/"+file, bytes.Repeat([]byte{0xff}, 1000))
		}, show, `state "total" of subtask 0: key group 3: key: corrupt encoding`},
	} {
		t.Run(name, func(t *testing.T) {
			dir, k := savepoint(t), newKit(t)
			data, err := os.ReadFile(filepath.Join(dir, metadata))
			if err != nil {
				t.Fatal(err)
			}
			c.damage(dir, data)
			k.wants(k.run(append(append([]string{"state"}, c.args...), dir)...), ExitError, nil, []string{c.want, "moved"})
		})
	}
}

func TestStateUsage(t *testing.T) {
	dir := savepoint(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "it takes list or show"},
		{[]string{"drop", dir}, "it takes list or show"},
		{[]string{"list"}, "the path of a savepoint or checkpoint is missing"},
		{[]string{"list", dir, "x"}, "unexpected argument: x"},
		{[]string{"list", dir, "--operator", "counts"}, "go with show"},
		{[]string{"show", dir}, "--operator is missing"},
		{[]string{"show", dir, "--operator", "counts", "--limit", "-1"}, "it takes 0 or more"},
		{[]string{"show", dir, "--operator", "count"}, "those with state are 00000000000000000000000000000001, counts"},
		{[]string{"show", dir, "--operator", "Sink: files"}, "there are 2 of that name; use the id of one: 00000000000000000000000000000003, "},
		{[]string{"show", dir, "--operator", "counts", "--state", "x"}, "there are rules, total"},
	} {
		k := newKit(t)
		k.wants(k.run(append([]string{"state"}, c.args...)...), ExitError, nil, []string{c.want})
	}
}
