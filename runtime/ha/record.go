package ha

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// An item is the content of one file of a log, whole and checksummed, so that a torn one is never taken for a record:
//
//	+--------+---------+------+-------+----------+----------+------+---------+-----+-------------+---------+----------+
//	| "WFHA" | version | type | epoch | sequence | owner    | kind | key len | key | payload len | payload | checksum |
//	| 4      | 1       | 1    | 8     | 8        | 16 bytes | 2    | 4       |     | 4           |         | 8        |
//	+--------+---------+------+-------+----------+----------+------+---------+-----+-------------+---------+----------+
//
// Numbers are big-endian; the checksum is the XXH64 of all bytes before it.
type item struct {
	typ   itemType
	epoch uint64
	// sequence and owner make every item unique: a process that lost an answer recognises what it wrote.
	sequence uint64
	owner    owner
	Record
}

type itemType byte

const (
	claimItem  itemType = 1 // the epoch begins here
	recordItem itemType = 2
)

// owner identifies one attempt to take an epoch.
type owner [16]byte

func newOwner() (o owner) {
	rand.Read(o[:]) // never fails
	return o
}

func (o owner) String() string { return hex.EncodeToString(o[:]) }

const (
	itemMagic   = "WFHA"
	itemVersion = 1
	itemFixed   = 4 + 1 + 1 + 8 + 8 + 16 + 2 + 4 + 4 + 8
	maxItem     = itemFixed + MaxKey + MaxPayload
)

func (it *item) encode() []byte {
	b := make([]byte, 0, itemFixed+len(it.Key)+len(it.Payload))
	b = append(b, itemMagic...)
	b = append(b, itemVersion, byte(it.typ))
	b = binary.BigEndian.AppendUint64(b, it.epoch)
	b = binary.BigEndian.AppendUint64(b, it.sequence)
	b = append(b, it.owner[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(it.Kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(it.Key)))
	b = append(b, it.Key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(it.Payload)))
	b = append(b, it.Payload...)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

func decodeItem(b []byte) (*item, error) {
	bad := func(why string, args ...any) (*item, error) {
		return nil, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(why, args...))
	}
	if len(b) < itemFixed {
		return bad("%d bytes, a record has at least %d", len(b), itemFixed)
	}
	if len(b) > maxItem {
		return bad("%d bytes, a record has at most %d", len(b), maxItem)
	}
	if !bytes.HasPrefix(b, []byte(itemMagic)) {
		return bad("not a record of a high-availability log")
	}
	if v := b[4]; v != itemVersion {
		return bad("version %d, this program knows %d", v, itemVersion)
	}
	body, sum := b[:len(b)-8], binary.BigEndian.Uint64(b[len(b)-8:])
	if xxhash.Sum64(body) != sum {
		return bad("checksum mismatch")
	}
	it := &item{typ: itemType(b[5]), epoch: binary.BigEndian.Uint64(b[6:]), sequence: binary.BigEndian.Uint64(b[14:])}
	copy(it.owner[:], b[22:])
	it.Kind = Kind(binary.BigEndian.Uint16(b[38:]))
	key, rest, ok := lengthPrefixed(body[40:])
	if !ok {
		return bad("key longer than the record")
	}
	payload, rest, ok := lengthPrefixed(rest)
	if !ok || len(rest) > 0 {
		return bad("payload doesn't fill the record")
	}
	if it.typ != claimItem && it.typ != recordItem {
		return bad("unknown type %d", it.typ)
	}
	it.Key, it.Payload = string(key), bytes.Clone(payload)
	return it, nil
}

func lengthPrefixed(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}
