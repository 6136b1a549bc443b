package api

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The golden file is what Java itself writes for a SerializedThrowable with these texts.
func TestThrowableIsWhatJavaWrites(t *testing.T) {
	golden, err := os.ReadFile("testdata/serialized-throwable.hex")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(golden))
	got := hex.EncodeToString(serializeThrowable("S$Bad", "S$Bad: MSG", "S$Bad: MSG\n\tat S.main(S.java:3)\n"))
	if got != want {
		t.Errorf("stream differs:\n got %s\nwant %s", got, want)
	}
}

func TestModifiedUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00b":     "61c08062",
		"é":          "c3a9",
		"€":          "e282ac",
		"\U0001F600": "eda0bdedb880",
		"a\xffb":     "61efbfbd62",
		"":           "",
	} {
		if got := hex.EncodeToString(modifiedUTF8(in)); got != want {
			t.Errorf("modifiedUTF8(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestLongTextsBecomeLongStrings(t *testing.T) {
	var w javaWriter
	w.string(strings.Repeat("x", 0xffff))
	if w[0] != tcString || len(w) != 3+0xffff {
		t.Errorf("65535 bytes: code %#x, %d bytes", w[0], len(w))
	}
	w = nil
	w.string(strings.Repeat("x", 0x10000))
	if w[0] != tcLongString || len(w) != 9+0x10000 {
		t.Errorf("65536 bytes: code %#x, %d bytes", w[0], len(w))
	}
}
