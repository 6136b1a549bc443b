package hadoop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/internal/pb"
)

// A token file is
//
//	'H' 'D' 'T' 'S' version body
//
// with version 0, which Hadoop 3.4.1 writes:
//
//	vint tokens { text alias, token } vint secrets { text alias, vint length, bytes }
//	token = vint length, identifier, vint length, password, text kind, text service
//	text  = vint length, UTF-8
//
// and version 1: one length-delimited protobuf message Credentials.
const tokenMagic = "HDTS"

// maxCredentials bounds a token file; real ones have a few kilobytes.
const maxCredentials = 16 << 20

var errNotUTF8 = errors.New("text is not UTF-8")

// ParseCredentials reads a token file of version 0 or 1.
func ParseCredentials(b []byte) (*Credentials, error) {
	if len(b) < len(tokenMagic)+1 || string(b[:len(tokenMagic)]) != tokenMagic {
		return nil, errors.New("parse credentials: not a Hadoop token file (it must begin with HDTS)")
	}
	body := b[len(tokenMagic)+1:]
	var c *Credentials
	var err error
	switch version := b[len(tokenMagic)]; version {
	case 0:
		c, err = parseWritable(body)
	case 1:
		c, err = parseProtobuf(body)
	default:
		return nil, fmt.Errorf("parse credentials: token file version %d is unknown, 0 and 1 are supported", version)
	}
	if err != nil {
		return nil, fmt.Errorf("parse credentials: %w", err)
	}
	return c, nil
}

func parseWritable(b []byte) (*Credentials, error) {
	r := &wireReader{buf: b}
	c := &Credentials{Tokens: make(map[string]Token), Secrets: make(map[string][]byte)}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		alias := r.text()
		c.Tokens[alias] = r.token()
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		alias := r.text()
		c.Secrets[alias] = r.bytes()
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return c, nil
}

func parseProtobuf(b []byte) (*Credentials, error) {
	raw, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if n != len(b) {
		return nil, fmt.Errorf("%d bytes after the end", len(b)-n)
	}
	var m pb.Credentials
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	c := &Credentials{Tokens: make(map[string]Token), Secrets: make(map[string][]byte)}
	for _, e := range m.GetTokens() {
		t := e.GetToken()
		// proto2 doesn't check, and version 0 couldn't hold it.
		if !utf8.ValidString(e.GetAlias()) || !utf8.ValidString(t.GetKind()) || !utf8.ValidString(t.GetService()) {
			return nil, errNotUTF8
		}
		c.Tokens[e.GetAlias()] = Token{
			Identifier: t.GetIdentifier(), Password: t.GetPassword(),
			Kind: t.GetKind(), Service: t.GetService(),
		}
	}
	for _, e := range m.GetSecrets() {
		if !utf8.ValidString(e.GetAlias()) {
			return nil, errNotUTF8
		}
		c.Secrets[e.GetAlias()] = e.GetSecret()
	}
	return c, nil
}

// Marshal writes a token file of version 0, which every Hadoop reads. Entries
// are in the order of their aliases, so that equal credentials are equal bytes.
func (c *Credentials) Marshal() []byte {
	b := append([]byte(tokenMagic), 0)
	b = appendVint(b, int64(len(c.Tokens)))
	for _, alias := range slices.Sorted(maps.Keys(c.Tokens)) {
		b = appendToken(appendBytes(b, []byte(alias)), c.Tokens[alias])
	}
	b = appendVint(b, int64(len(c.Secrets)))
	for _, alias := range slices.Sorted(maps.Keys(c.Secrets)) {
		b = appendBytes(appendBytes(b, []byte(alias)), c.Secrets[alias])
	}
	return b
}

// MarshalProtobuf writes a token file of version 1.
func (c *Credentials) MarshalProtobuf() ([]byte, error) {
	var m pb.Credentials
	for _, alias := range slices.Sorted(maps.Keys(c.Tokens)) {
		t := c.Tokens[alias]
		m.Tokens = append(m.Tokens, &pb.CredentialsEntry{Alias: proto.String(alias), Token: &pb.Token{
			Identifier: nonNil(t.Identifier), Password: nonNil(t.Password),
			Kind: proto.String(t.Kind), Service: proto.String(t.Service),
		}})
	}
	for _, alias := range slices.Sorted(maps.Keys(c.Secrets)) {
		m.Secrets = append(m.Secrets, &pb.CredentialsEntry{Alias: proto.String(alias), Secret: nonNil(c.Secrets[alias])})
	}
	raw, err := proto.Marshal(&m)
	if err != nil {
		return nil, fmt.Errorf("write credentials: %w", err)
	}
	return protowire.AppendBytes(append([]byte(tokenMagic), 1), raw), nil
}

// nonNil makes an empty field present: Hadoop requires it.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func appendToken(b []byte, t Token) []byte {
	b = appendBytes(b, t.Identifier)
	b = appendBytes(b, t.Password)
	b = appendBytes(b, []byte(t.Kind))
	return appendBytes(b, []byte(t.Service))
}

func appendBytes(b, v []byte) []byte {
	return append(appendVint(b, int64(len(v))), v...)
}

// appendVint is Hadoop's WritableUtils.writeVLong: one byte for -112 to 127,
// otherwise a byte that holds sign and count (-113 to -120 positive, -121 to
// -128 negative) and then the bytes of the value, or of its complement.
func appendVint(b []byte, v int64) []byte {
	if v >= -112 && v <= 127 {
		return append(b, byte(v))
	}
	head := -112
	if v < 0 {
		v, head = ^v, -120
	}
	var be [8]byte
	binary.BigEndian.PutUint64(be[:], uint64(v))
	skip := 0
	for skip < 7 && be[skip] == 0 {
		skip++
	}
	b = append(b, byte(head-(8-skip)))
	return append(b, be[skip:]...)
}

// wireReader reads Writable fields; the first failure sticks.
type wireReader struct {
	buf []byte
	err error
}

func (r *wireReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.buf = nil
}

func (r *wireReader) take(n int) []byte {
	if n > len(r.buf) {
		r.fail(io.ErrUnexpectedEOF)
		return nil
	}
	out := r.buf[:n]
	r.buf = r.buf[n:]
	return out
}

func (r *wireReader) vint() int64 {
	head := r.take(1)
	if len(head) == 0 {
		return 0
	}
	first := int8(head[0])
	if first >= -112 {
		return int64(first)
	}
	size, negative := -112-int(first), false
	if first < -120 {
		size, negative = -120-int(first), true
	}
	var v uint64
	for _, c := range r.take(size) {
		v = v<<8 | uint64(c)
	}
	if negative {
		return int64(^v)
	}
	return int64(v)
}

// count reads a number of entries: each needs at least two bytes, so a larger
// number than that is a lie.
func (r *wireReader) count() int64 {
	n := r.vint()
	if r.err == nil && (n < 0 || n > int64(len(r.buf)/2)) {
		r.fail(fmt.Errorf("bad number of entries %d", n))
		return 0
	}
	return n
}

func (r *wireReader) bytes() []byte {
	n := r.vint()
	if n < 0 || n > int64(len(r.buf)) {
		r.fail(io.ErrUnexpectedEOF)
		return nil
	}
	return append([]byte{}, r.take(int(n))...)
}

func (r *wireReader) text() string {
	b := r.bytes()
	if r.err == nil && !utf8.Valid(b) {
		r.fail(errNotUTF8)
	}
	return string(b)
}

func (r *wireReader) token() Token {
	return Token{Identifier: r.bytes(), Password: r.bytes(), Kind: r.text(), Service: r.text()}
}

func (r *wireReader) finish() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = fmt.Errorf("%d bytes after the end", len(r.buf))
	}
	return r.err
}
