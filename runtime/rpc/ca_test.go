package rpc

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/testkit"
)

func TestCertificates(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	a, other := authority(t), authority(t)
	r := newRecorder()
	_, address := listen(t, a, ServerConfig{Handler: r})

	expired, err := a.issue(RoleTaskManager, "old", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	// A TaskManager's key with another cluster's certificate, but trusting this one: only the server can refuse it.
	intruder := leaf(t, other, RoleTaskManager)
	intruder.authority = a.certificate

	for _, test := range []struct {
		name string
		leaf *Leaf
		ok   bool
	}{
		{"TaskManager", leaf(t, a, RoleTaskManager), true},
		{"other cluster", leaf(t, other, RoleTaskManager), false},
		{"other cluster's TaskManager that trusts this one", intruder, false},
		{"other role", leaf(t, a, RoleJobManager), false},
		{"unknown role", leaf(t, a, "taskhost"), false},
		{"expired", expired, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, _, err := Dial(address, test.leaf.ClientTLS()).Connect(t.Context(), registration("tm"))
			if err == nil {
				conn.Close()
			}
			if (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		c := leaf(t, a, RoleTaskManager).ClientTLS()
		c.Certificates = nil
		if conn, _, err := Dial(address, c).Connect(t.Context(), registration("tm")); err == nil {
			conn.Close()
			t.Error("accepted")
		}
	})
	if n := len(r.peers); n != 1 {
		t.Errorf("the handler saw %d TaskManagers, want 1", n)
	}
}

// A TaskManager doesn't talk to a server that isn't this cluster's JobManager.
func TestFalseJobManager(t *testing.T) {
	a, other := authority(t), authority(t)
	mine := leaf(t, a, RoleTaskManager)
	for _, test := range []struct {
		name, want string
		server     *Leaf
	}{
		{"another cluster's", "isn't a valid certificate of this cluster", leaf(t, other, RoleJobManager)},
		{"a TaskManager", "one of a taskmanager, want one of a jobmanager", leaf(t, a, RoleTaskManager)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := NewServer(ServerConfig{Handler: newRecorder(), TLS: test.server.ServerTLS()})
			if err != nil {
				t.Fatal(err)
			}
			address := serveOn(t, s)
			_, _, err = Dial(address, mine.ClientTLS()).Connect(t.Context(), registration("tm"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestPEM(t *testing.T) {
	a := authority(t)
	b, err := a.PEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseAuthority(b)
	if err != nil {
		t.Fatal(err)
	}
	issued := leaf(t, again, RoleTaskManager) // by the copy, for the original's cluster
	if b, err = issued.PEM(); err != nil {
		t.Fatal(err)
	}
	shipped, err := ParseLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	if shipped.Role() != RoleTaskManager || !shipped.Expires().Equal(a.certificate.NotAfter) {
		t.Errorf("got role %s until %s", shipped.Role(), shipped.Expires())
	}
	key, err := a.PEM()
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.LastIndex(key, []byte("-----BEGIN EC")); bytes.Contains(b, key[i:]) {
		t.Error("a leaf carries the authority's key")
	}
	_, address := listen(t, a, ServerConfig{Handler: newRecorder()})
	mustConnect(t, Dial(address, shipped.ClientTLS()), "tm")

	for name, bad := range map[string][]byte{
		"empty": nil, "garbage": []byte("garbage"), "cut": b[:len(b)/2],
		"other": []byte("-----BEGIN SECRET-----\nAAAA\n-----END SECRET-----\n"),
	} {
		if _, err := ParseLeaf(bad); err == nil {
			t.Errorf("leaf: %s was accepted", name)
		}
		if _, err := ParseAuthority(bad); err == nil {
			t.Errorf("authority: %s was accepted", name)
		}
	}
	if _, err := ParseAuthority(b); err == nil {
		t.Error("a leaf was taken for an authority")
	}
}

func TestToken(t *testing.T) {
	token := NewToken()
	if token == NewToken() || len(token) != 43 {
		t.Fatalf("token %q isn't random", token)
	}
	if !token.Equal(string(token)) || token.Equal("") || token.Equal(string(token[1:])) || token.Equal(string(NewToken())) {
		t.Error("comparison is wrong")
	}
	if Token("").Equal("") {
		t.Error("the zero token authorises")
	}
	if got, err := ParseToken(string(token)); err != nil || got != token {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "short", string(token) + "AAAA", strings.Repeat("!", 43)} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParsePEM(f *testing.F) {
	a, err := NewAuthority("fuzz", 0)
	if err != nil {
		f.Fatal(err)
	}
	l, err := a.Issue(RoleTaskManager, "tm")
	if err != nil {
		f.Fatal(err)
	}
	b, err := l.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLeaf(b); err == nil && (l.certificate == nil || l.key == nil || l.authority == nil) {
			t.Error("an incomplete leaf was accepted")
		}
	})
}
