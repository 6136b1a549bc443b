package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
)

// MaxFrame is the largest payload of a frame in bytes.
const MaxFrame = 32 << 10

// maxRecord bounds one encoded record, which travels in as many frames as it needs.
const maxRecord = 256 << 20

// maxCredits bounds what a consumer may grant for one channel.
const maxCredits = 1 << 10

// headerSize is the size of a frame's header:
//
//	length of payload 4 | channel 4 | kind 1 | value 8        (big endian)
//
// The channel's number was chosen by the consumer when it opened the channel.
const headerSize = 17

type frameKind uint8

// The kinds of frames, with the meaning of their value. Data, parts, ends and barriers use up a credit.
const (
	frameData    frameKind = 1 + iota // records (Type.Encode); value: the watermark after them
	framePart                         // bytes that precede those of the next data frame, which is one record's; value 0
	frameEnd                          // end of input; value 0
	frameBarrier                      // value: checkpoint id
	frameOpen                         // consumer to producer; payload: openBody; value 0
	frameCredit                       // consumer to producer; value: how many more frames may be sent
	frameUrgent                       // a barrier that uses up no credit; value: checkpoint id
)

type header struct {
	length  int
	channel uint32
	kind    frameKind
	value   int64
}

func (h header) put(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(h.length))
	binary.BigEndian.PutUint32(b[4:], h.channel)
	b[8] = byte(h.kind)
	binary.BigEndian.PutUint64(b[9:], uint64(h.value))
}

// parseHeader reads b, which has headerSize bytes, and checks what can be checked without knowing the channel.
func parseHeader(b []byte) (header, error) {
	h := header{channel: binary.BigEndian.Uint32(b[4:]), kind: frameKind(b[8]), value: int64(binary.BigEndian.Uint64(b[9:]))}
	length := binary.BigEndian.Uint32(b)
	ok := false
	switch h.kind {
	case frameData:
		ok = length <= MaxFrame
	case framePart:
		ok = length > 0 && length <= MaxFrame && h.value == 0
	case frameEnd:
		ok = length == 0 && h.value == 0
	case frameBarrier, frameUrgent:
		ok = length == 0
	case frameOpen:
		ok = length == openSize && h.value == 0
	case frameCredit:
		ok = length == 0 && h.value > 0 && h.value <= maxCredits
	}
	if !ok {
		return header{}, fmt.Errorf("frame of kind %d, %d bytes, value %d: %w", h.kind, length, h.value, ErrFrame)
	}
	h.length = int(length)
	return h, nil
}

// openSize is the size of the body of an open frame: edge, producer subtask and attempt, consumer subtask and attempt,
// credits; 4 bytes each.
const openSize = 24

func appendOpen(dst []byte, number uint32, id ChannelID, credits int) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	header{length: openSize, channel: number, kind: frameOpen}.put(dst[at:])
	for _, v := range []int{id.Edge, id.Producer, id.ProducerAttempt, id.Consumer, id.ConsumerAttempt, credits} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(v))
	}
	return dst
}

// parseOpen reads an open frame's body.
func parseOpen(b []byte) (id ChannelID, credits int, err error) {
	if len(b) != openSize {
		return id, 0, fmt.Errorf("open with %d bytes: %w", len(b), ErrFrame)
	}
	var v [6]int
	for i := range v {
		n := binary.BigEndian.Uint32(b[4*i:])
		if n > math.MaxInt32 {
			return id, 0, fmt.Errorf("open with field %d of %d: %w", i, n, ErrFrame)
		}
		v[i] = int(n)
	}
	if v[5] < 1 || v[5] > maxCredits {
		return id, 0, fmt.Errorf("open with %d credits, want 1 to %d: %w", v[5], maxCredits, ErrFrame)
	}
	return ChannelID{Edge: v[0], Producer: v[1], ProducerAttempt: v[2], Consumer: v[3], ConsumerAttempt: v[4]}, v[5], nil
}

// frame is a buffer that goes back to a pool: on the sending side the header and the payload, on the receiving side the
// payload.
type frame struct{ b []byte }

var frames = sync.Pool{New: func() any { return new(frame) }}

func newFrame() *frame { return frames.Get().(*frame) }

// recycle gives f back. A buffer that grew far above a frame isn't kept.
func (f *frame) recycle() {
	if cap(f.b) > 2*(headerSize+MaxFrame) {
		return
	}
	f.b = f.b[:0]
	frames.Put(f)
}

// readPayload reads a payload of n bytes. A pinned one gets a buffer of its own, of exactly its size, since the records
// decoded from it will keep it.
func readPayload(r io.Reader, n int, pinned bool) (*frame, error) {
	var f *frame
	if pinned {
		f = &frame{b: make([]byte, n)}
	} else {
		f = newFrame()
		if cap(f.b) < n {
			f.b = make([]byte, max(n, 4<<10))
		}
		f.b = f.b[:n]
	}
	if _, err := io.ReadFull(r, f.b); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return f, nil
}
