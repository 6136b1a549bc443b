package digest

import (
	"errors"
	"strings"
	"testing"
)

// The examples of RFC 2831, section 4.
var vectors = []struct {
	name              string
	exchange          Exchange
	response, rspAuth string
}{
	{
		"IMAP",
		Exchange{
			Username: "chris", Password: "secret", Realm: "elwood.innosoft.com",
			Nonce: "OA6MG9tEQGm2hh", CNonce: "OA6MHXh6VqTrRk", URI: "imap/elwood.innosoft.com",
		},
		"d388dad90d4bbd760a152321f2143af7", "ea40f60335c427b5527b84dbabcdfffd",
	},
	{
		"ACAP",
		Exchange{
			Username: "chris", Password: "secret", Realm: "elwood.innosoft.com",
			Nonce: "OA9BSXrbuRhWay", CNonce: "OA9BSuZWMSpW8m", URI: "acap/elwood.innosoft.com",
		},
		"6084c6db3fede7352c551284490fd0fc", "2f0b3d7c3c2e486600ef710726aa2eae",
	},
}

func TestRFC2831(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := v.exchange.Response(); got != v.response {
				t.Errorf("response %s, want %s", got, v.response)
			}
			if got := v.exchange.RspAuth(); got != v.rspAuth {
				t.Errorf("rspauth %s, want %s", got, v.rspAuth)
			}
			if err := v.exchange.Verify([]byte("rspauth=" + v.rspAuth)); err != nil {
				t.Error(err)
			}
			if err := v.exchange.Verify([]byte("rspauth=" + v.response)); !errors.Is(err, ErrMismatch) {
				t.Errorf("a wrong proof: got %v", err)
			}
		})
	}
}

// TestAnswer is what goes over the wire to a Hadoop server.
func TestAnswer(t *testing.T) {
	e := Exchange{Username: "VQ==", Password: "cGFzcw==", CNonce: "C", URI: "/default"}
	got, err := e.Answer([]byte(`realm="default",nonce="N",qop="auth",charset=utf-8,algorithm=md5-sess`))
	if err != nil {
		t.Fatal(err)
	}
	want := `charset=utf-8,username="VQ==",realm="default",nonce="N",nc=00000001,cnonce="C",` +
		`digest-uri="/default",maxbuf=65536,response=` + e.Response() + `,qop=auth`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	user, reply, err := Accept(got, "default", "N", "/default", func(string) (string, error) { return "cGFzcw==", nil })
	if err != nil || user != "VQ==" {
		t.Fatalf("the server's side: %q, %v", user, err)
	}
	if err := e.Verify(reply); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct{ nonce, password string }{{"other", "cGFzcw=="}, {"N", "wrong"}} {
		_, _, err := Accept(got, "default", bad.nonce, "/default", func(string) (string, error) { return bad.password, nil })
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("%v: got %v, want %v", bad, err, ErrMismatch)
		}
	}
}

func TestUnsupportedChallenge(t *testing.T) {
	for _, challenge := range []string{
		`nonce="N",qop="auth-int,auth-conf",algorithm=md5-sess`,
		`nonce="N",qop="auth"`,
		`nonce="N",qop="auth",algorithm=sha-256-sess`,
	} {
		e := Exchange{Username: "u", Password: "p"}
		if _, err := e.Answer([]byte(challenge)); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want %v", challenge, err, ErrUnsupported)
		}
	}
	e := Exchange{}
	if _, err := e.Answer([]byte(`nonce="N",qop="auth-int,auth",algorithm=md5-sess`)); err != nil {
		t.Errorf("auth among others: %v", err)
	}
	_, err := e.Answer([]byte(`nonce="N",qop="auth-conf",algorithm=md5-sess`))
	if err == nil || !strings.Contains(err.Error(), "hadoop.rpc.protection") {
		t.Errorf("the message should name the setting: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`realm="default",nonce="a\"b\\",qop="auth",charset=utf-8`))
	f.Add([]byte(`a="`))
	f.Add([]byte(`,, a = b ,c`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b)
		if err != nil {
			return
		}
		var out []string
		for name, value := range d {
			if name == "" || strings.ContainsAny(name, `,="\`) || strings.TrimSpace(name) != name || strings.ToLower(name) != name {
				return // not a name that we would write
			}
			out = append(out, name+"="+quote(value))
		}
		if s := strings.Join(out, ","); len(s) <= maxMessage {
			again, err := parse([]byte(s))
			if err != nil || len(again) != len(d) {
				t.Fatalf("%q read back from %q: %v, %v", d, s, again, err)
			}
			for name := range d {
				if again[name] != d[name] {
					t.Fatalf("%s: %q became %q", name, d[name], again[name])
				}
			}
		}
	})
}
