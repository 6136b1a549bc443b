package state

import (
	"encoding/binary"

	"github.com/weftstream/weft/operator"
)

// What has changed and doesn't fit into memory is found by a log in the store, beside the values: a key for each changed
// entry that was evicted, without a value. In order of its bytes: a prefix, the checkpoint behind which the entry changed,
// its key group, its key.

// logPrefix is the length of what stands before the key's encoding.
const logPrefix = 4 + 8 + 4

// logOf is where the log of key group i begins, behind a checkpoint.
func (p *spill[K, V]) logOf(dst []byte, checkpoint int64, group int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, p.log)
	dst = binary.BigEndian.AppendUint64(dst, uint64(checkpoint))
	return binary.BigEndian.AppendUint32(dst, uint32(group))
}

// logEvicted notes that s, which is evicted from group i, has changed, if it has since what may be a base.
func (t *Table[K, V]) logEvicted(b operator.StateBatch, g *group[K, V], i int, s *slot[K, V]) error {
	p := t.spill
	at := behind(s.stamp, t.removed.last)
	if !t.removed.On() || at < t.removed.low() {
		return nil
	}
	if p.log == 0 {
		p.log = p.space.store.Prefix()
	}
	g.logged = max(g.logged, at)
	p.key = p.f.AppendKey(p.logOf(p.key[:0], at, i), &s.key)
	return b.Set(p.key, nil)
}

// trimStored removes what the log has of times before the base.
func (t *Table[K, V]) trimStored() {
	if low := t.removed.low(); low > t.spill.trimmed {
		t.deleteLog(low)
		t.spill.trimmed = low
	}
}

// deleteLog removes from the log what changed behind checkpoints before to.
func (t *Table[K, V]) deleteLog(to int64) {
	p := t.spill
	if p.log == 0 {
		return
	}
	if err := p.space.store.DeleteRange(p.logOf(nil, p.trimmed, 0), p.logOf(nil, to, 0)); err != nil {
		p.space.fail(err)
	}
}
