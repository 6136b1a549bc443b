package hadoop

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// golden is a token file of version 0 as Hadoop 3.4.1 writes it, byte by byte.
const golden = "48445453" + "00" + // HDTS, version
	"01" + // tokens
	"00" + // alias ""
	"03" + "0a0b0c" + // identifier
	"02" + "7077" + // password
	"10" + "5941524e5f414d5f524d5f544f4b454e" + // YARN_AM_RM_TOKEN
	"00" + // service ""
	"01" + // secrets
	"03" + "6b6579" + "8f80" // key, a secret of 128 bytes

func goldenBytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, bytes.Repeat([]byte{7}, 128)...)
}

func goldenCredentials() *Credentials {
	return &Credentials{
		Tokens: map[string]Token{"": {
			Identifier: []byte{10, 11, 12}, Password: []byte("pw"), Kind: KindAMRMToken,
		}},
		Secrets: map[string][]byte{"key": bytes.Repeat([]byte{7}, 128)},
	}
}

func TestGoldenTokenFile(t *testing.T) {
	got, err := ParseCredentials(goldenBytes(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, goldenCredentials()) {
		t.Errorf("read %+v", got)
	}
	if b := got.Marshal(); !bytes.Equal(b, goldenBytes(t)) {
		t.Errorf("wrote %x", b)
	}
	token, ok := got.TokenOfKind(KindAMRMToken)
	if !ok || string(token.Password) != "pw" {
		t.Errorf("got %v, %t", token, ok)
	}
	if rest := got.Without(KindAMRMToken); len(rest.Tokens) != 0 || len(rest.Secrets) != 1 || len(got.Tokens) != 1 {
		t.Errorf("without: %+v of %+v", rest, got)
	}
}

// TestEmptyTokenFile is what YARN gives a container without credentials.
func TestEmptyTokenFile(t *testing.T) {
	empty := []byte("HDTS\x00\x00\x00")
	if got := (&Credentials{}).Marshal(); !bytes.Equal(got, empty) {
		t.Errorf("wrote %x", got)
	}
	if c, err := ParseCredentials(empty); err != nil || len(c.Tokens)+len(c.Secrets) != 0 {
		t.Errorf("read %+v, %v", c, err)
	}
}

func TestTokenFileVersion1(t *testing.T) {
	b, err := goldenCredentials().MarshalProtobuf()
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:5]) != "HDTS\x01" {
		t.Errorf("begins with %x", b[:5])
	}
	got, err := ParseCredentials(b)
	if err != nil || !reflect.DeepEqual(got, goldenCredentials()) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestBrokenTokenFiles(t *testing.T) {
	good := goldenBytes(t)
	for name, b := range map[string][]byte{
		"empty":            nil,
		"not a token file": []byte("PK\x03\x04abc"),
		"unknown version":  []byte("HDTS\x02\x00\x00"),
		"cut":              good[:len(good)-1],
		"longer":           append(bytes.Clone(good), 0),
		"huge count":       []byte("HDTS\x00\x8c\x7f\xff\xff\xff\x00"),
		"negative length":  []byte("HDTS\x00\x01\xff\x00\x00\x00\x00\x00"),
		"bad protobuf":     []byte("HDTS\x01\x02\x08"),
	} {
		if c, err := ParseCredentials(b); err == nil {
			t.Errorf("%s: read %+v", name, c)
		}
	}
}

func TestReadCredentialsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "container_tokens")
	if err := os.WriteFile(path, goldenBytes(t), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadCredentialsFile(path)
	if err != nil || len(c.Tokens) != 1 {
		t.Errorf("read %+v, %v", c, err)
	}
	if _, err := ReadCredentialsFile(path + "x"); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing file: %v", err)
	}
}

// TestVint holds the values that Hadoop's own test of WritableUtils uses, and
// the limits of each length.
func TestVint(t *testing.T) {
	for v, want := range map[int64]string{
		0: "00", 127: "7f", -112: "90", -1: "ff", 128: "8f80", 255: "8fff", 256: "8e0100", -113: "8770", -256: "87ff",
		-257: "860100", 1 << 31: "8c80000000", math.MaxInt64: "887fffffffffffffff", math.MinInt64: "807fffffffffffffff",
	} {
		b := appendVint(nil, v)
		if hex.EncodeToString(b) != want {
			t.Errorf("%d: wrote %x, want %s", v, b, want)
		}
		r := &wireReader{buf: b}
		if got := r.vint(); got != v || r.finish() != nil {
			t.Errorf("%d: read %d, %v", v, got, r.err)
		}
	}
}

func TestTokenURL(t *testing.T) {
	token := Token{Identifier: []byte{0xfb, 0xff}, Password: []byte("p"), Kind: "k", Service: "host:8020"}
	s := token.EncodeURL()
	if strings.ContainsAny(s, "+/=") {
		t.Errorf("%q is not URL-safe", s)
	}
	for _, in := range []string{s, s + "=="} {
		if got, err := DecodeTokenURL(in); err != nil || !got.Equal(token) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "A", "AAAA", s + "AAAA", "!!"} {
		if got, err := DecodeTokenURL(in); err == nil {
			t.Errorf("%q: read %v", in, got)
		}
	}
	if strings.Contains(Token{Password: []byte("secret")}.String(), "secret") {
		t.Error("the password is in the text")
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(goldenBytes(f))
	f.Add([]byte("HDTS\x00\x00\x00"))
	one, _ := goldenCredentials().MarshalProtobuf()
	f.Add(one)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCredentials(b)
		if err != nil {
			return
		}
		again, err := ParseCredentials(c.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), c.Marshal()) {
			t.Fatalf("%x: %+v became %+v, %v", b, c, again, err)
		}
	})
}

func FuzzDecodeTokenURL(f *testing.F) {
	f.Add(Token{Identifier: []byte("i"), Password: []byte("p"), Kind: "k", Service: "s"}.EncodeURL())
	f.Fuzz(func(t *testing.T, s string) {
		token, err := DecodeTokenURL(s)
		if err != nil {
			return
		}
		if again, err := DecodeTokenURL(token.EncodeURL()); err != nil || !again.Equal(token) {
			t.Fatalf("%q: %v became %v, %v", s, token, again, err)
		}
	})
}
