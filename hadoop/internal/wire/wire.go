// Package wire frames the messages of Hadoop IPC version 9, for its client
// (package ipc) and the server that tests run (package ipctest). It is pure
// encoding: connections, authentication and calls are elsewhere.
//
// A connection begins with a preamble of seven bytes, which has no reply:
//
//	+-----+-----+-----+-----+---------+---------------+------+
//	| 'h' | 'r' | 'p' | 'c' | version | service class | auth |
//	+-----+-----+-----+-----+---------+---------------+------+
//
// Everything after it, in both directions, is a frame: the length of the rest
// in big endian and then messages, each behind its own length as a varint.
//
//	+--------+--------+--------+--------+----------+---------+----------+---
//	|        length of the rest         |  varint  | message |  varint  | …
//	+--------+--------+--------+--------+----------+---------+----------+---
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Version is the version of Hadoop IPC.
const Version = 9

// The authentication bytes of the preamble.
const (
	AuthSimple byte = 0x00
	AuthSASL   byte = 0xDF // -33
)

// Call ids of the connection's own frames.
const (
	CallConnectionContext int32 = -3
	CallPing              int32 = -4
	CallSASL              int32 = -33
)

// ErrFrameTooLong is returned for a frame whose announced length is above the
// limit: the peer is not speaking Hadoop IPC, or is hostile.
var ErrFrameTooLong = errors.New("frame too long")

// PreambleLen is the length of the preamble.
const PreambleLen = 7

// Preamble returns the first bytes of a connection.
func Preamble(auth byte) []byte { return []byte{'h', 'r', 'p', 'c', Version, 0, auth} }

// ParsePreamble returns the authentication byte of a preamble.
func ParsePreamble(b [PreambleLen]byte) (auth byte, err error) {
	if string(b[:4]) != "hrpc" || b[4] != Version {
		return 0, fmt.Errorf("not a Hadoop IPC version %d connection: it begins with % x", Version, b)
	}
	return b[6], nil
}

// AppendFrame appends one frame of these messages.
func AppendFrame(b []byte, messages ...proto.Message) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, m := range messages {
		b = protowire.AppendVarint(b, uint64(proto.Size(m)))
		var err error
		if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b, m); err != nil {
			return nil, fmt.Errorf("encode frame: %w", err)
		}
	}
	size := len(b) - start - 4
	if int64(size) > 1<<31-1 {
		return nil, fmt.Errorf("encode frame of %d bytes: %w", size, ErrFrameTooLong)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(size))
	return b, nil
}

// ReadFrame reads one frame of at most limit bytes and returns what follows
// its length. It allocates as the bytes arrive, so that an announced length
// alone costs nothing.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size > int64(limit) {
		return nil, fmt.Errorf("read frame of %d bytes, %d are accepted: %w", size, limit, ErrFrameTooLong)
	}
	const direct = 64 << 10
	if size <= direct {
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, noEOF(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, noEOF(err)
	}
	if int64(len(body)) < size {
		return nil, io.ErrUnexpectedEOF
	}
	return body, nil
}

// noEOF turns an end inside a frame into what it is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Consume decodes the first message of b and returns the bytes after it.
func Consume(b []byte, m proto.Message) ([]byte, error) {
	raw, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, fmt.Errorf("decode %s: %w", m.ProtoReflect().Descriptor().Name(), io.ErrUnexpectedEOF)
	}
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return b[n:], nil
}
