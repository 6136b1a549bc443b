package operator

import "math"

// Watermarks are event times in Unix milliseconds. A watermark t says: no record with a timestamp <= t is expected any more.
const (
	// NoWatermark is the watermark before any was seen.
	NoWatermark int64 = math.MinInt64
	// MaxWatermark is the watermark at the end of a bounded input: it fires every event-time timer and window.
	MaxWatermark int64 = math.MaxInt64
	// IdleWatermark travels like a watermark and is none: its sender has had no records for a while, and is not waited for
	// until its next watermark, which may repeat the last one. An operator passes it on and keeps its own watermark.
	IdleWatermark int64 = math.MinInt64 + 1
)

// Batch is a run of records of one type, in order: always a *Vec[T].
type Batch interface {
	// Len is the number of records.
	Len() int
	// Mark is the watermark that holds after the batch's records, NoWatermark when none rides in it.
	Mark() int64
	// SetMark makes t the watermark that rides in the batch.
	SetMark(t int64)
}

// Vec is the one implementation of Batch.
type Vec[T any] struct {
	// V holds the records.
	V []T
	// TS holds their event times (Unix milliseconds): as long as V, or empty where the stream has no timestamps.
	TS []int64
	// H holds the hashes of their keys: as long as V once the stream is keyed, else empty.
	H []uint32
	// WM is the watermark that holds after the records; NoWatermark when none rides here.
	WM int64
}

// NewVec makes an empty batch with room for capacity records.
func NewVec[T any](capacity int) *Vec[T] {
	return &Vec[T]{V: make([]T, 0, capacity), WM: NoWatermark}
}

// Len is the number of records.
func (v *Vec[T]) Len() int { return len(v.V) }

// Mark is the watermark riding in the batch.
func (v *Vec[T]) Mark() int64 { return v.WM }

// SetMark makes t the watermark riding in the batch.
func (v *Vec[T]) SetMark(t int64) { v.WM = t }

// Reset empties the batch and keeps its room. It does not clear the records: a type that holds pointers is cleared by
// Type.Reset, so that a pooled batch keeps nothing alive.
func (v *Vec[T]) Reset() {
	v.V, v.TS, v.H, v.WM = v.V[:0], v.TS[:0], v.H[:0], NoWatermark
}

// AppendFrom appends record i of src with its timestamp and hash.
func (v *Vec[T]) AppendFrom(src *Vec[T], i int) {
	v.V = append(v.V, src.V[i])
	if len(src.TS) != 0 {
		v.TS = append(v.TS, src.TS[i])
	}
	if len(src.H) != 0 {
		v.H = append(v.H, src.H[i])
	}
}

// AppendAll appends all records of src with their timestamps and hashes; the watermark stays as it is.
func (v *Vec[T]) AppendAll(src *Vec[T]) {
	v.V = append(v.V, src.V...)
	v.TS = append(v.TS, src.TS...)
	v.H = append(v.H, src.H...)
}

// Type is what the runtime knows of a record type: how to make, empty, encode and decode its batches. Package codec makes
// one from a Go type. A Type is immutable and safe for concurrent use.
type Type interface {
	// Signature names the schema: the same text for the same schema in every build. It is part of the graph fingerprint.
	Signature() string
	// New makes an empty batch with room for capacity records.
	New(capacity int) Batch
	// Reset empties b for reuse, dropping what its records point to.
	Reset(b Batch)
	// Encode appends the records from..to of b to dst (values, timestamps, hashes; not the watermark) and returns it.
	Encode(dst []byte, b Batch, from, to int) []byte
	// Decode appends to b the records that one Encode wrote. It never panics on bad input.
	Decode(b Batch, src []byte) error
	// Pins says that decoded records may point into src, so that src must not be written again while they live.
	Pins() bool
	// Copy appends the records of src to dst, sharing what they point to.
	Copy(dst, src Batch)
}
