package operator

import (
	"bytes"
	"testing"
)

func TestEntries(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1000)
	var data []byte
	want := []Entry{{ID: []byte("a"), Pair: []byte("ab")}, {ID: []byte("a"), Removed: true}, {ID: []byte{}, Pair: []byte{}}, {ID: []byte{}, Removed: true},
		{ID: []byte("k"), Pair: []byte("k")}, {ID: long, Pair: append(bytes.Clone(long), long...)}}
	for _, e := range want {
		if e.Removed {
			data = AppendRemoval(data, e.ID)
		} else {
			data = AppendEntry(data, e.ID, e.Pair[len(e.ID):])
		}
	}
	rest := data
	for i, w := range want {
		var e Entry
		var err error
		if e, rest, err = ReadEntry(rest); err != nil || e.Removed != w.Removed || !bytes.Equal(e.ID, w.ID) || !bytes.Equal(e.Pair, w.Pair) || (e.Pair == nil) != w.Removed {
			t.Fatalf("entry %d is %+v, %v; want %+v", i, e, err, w)
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	// Cut off anywhere, the last entry is refused.
	last := AppendEntry(nil, long, long)
	for n := range last {
		if e, _, err := ReadEntry(last[:n]); err == nil {
			t.Fatalf("cut off at %d of %d it is %+v", n, len(last), e)
		}
	}
}

// FuzzReadEntry: whatever the bytes are, what is read lies within them, is in front of the rest, and is written again as it was
// understood.
func FuzzReadEntry(f *testing.F) {
	f.Add(AppendEntry(nil, []byte("key"), []byte("value")))
	f.Add(AppendRemoval(nil, []byte("key")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, rest, err := ReadEntry(data)
		if err != nil {
			return
		}
		var again []byte
		if e.Removed {
			again = AppendRemoval(nil, e.ID)
		} else {
			again = AppendEntry(nil, e.ID, e.Pair[len(e.ID):])
		}
		if len(again)+len(rest) > len(data) || !bytes.HasSuffix(data, rest) { // lengths may have been written longer than they need to be
			t.Fatalf("%x is read as %+v and %x", data, e, rest)
		}
		same, none, err := ReadEntry(again)
		if err != nil || len(none) != 0 || same.Removed != e.Removed || !bytes.Equal(same.ID, e.ID) || !bytes.Equal(same.Pair, e.Pair) {
			t.Fatalf("%+v is written and read as %+v, %v", e, same, err)
		}
	})
}
