// Package digest is the SASL mechanism DIGEST-MD5 (RFC 2831) as Hadoop uses it
// for tokens: algorithm md5-sess, quality of protection "auth", one round. Both
// ends are here, the client's for package ipc and the server's for the tests.
//
// MD5 is what the peers speak; the password it protects is a random key that
// lives for one application.
package digest

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnsupported is returned for a challenge that asks for more than
// authentication.
var ErrUnsupported = errors.New("unsupported SASL protection")

// ErrMismatch is returned when the other side doesn't know the password.
var ErrMismatch = errors.New("mismatched response")

// maxMessage bounds what the other side may send; the RFC allows it 4096 bytes.
const maxMessage = 4096

// Exchange holds everything that goes into the two hashes of one login.
type Exchange struct {
	Username, Password string
	Realm              string
	Nonce, CNonce      string
	// URI is the service, a slash and the server id.
	URI string
}

// The nonce count never gets past one, since connections don't authenticate
// twice.
const nonceCount = "00000001"

// Response is the client's proof.
func (e Exchange) Response() string { return e.hash("AUTHENTICATE:") }

// RspAuth is the server's.
func (e Exchange) RspAuth() string { return e.hash(":") }

func (e Exchange) hash(method string) string {
	secret := md5.Sum([]byte(e.Username + ":" + e.Realm + ":" + e.Password))
	a1 := string(secret[:]) + ":" + e.Nonce + ":" + e.CNonce
	a2 := method + e.URI
	return h(strings.Join([]string{h(a1), e.Nonce, nonceCount, e.CNonce, "auth", h(a2)}, ":"))
}

func h(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Answer takes the server's challenge and fills in realm and nonce. It returns
// the message that proves knowledge of the password.
func (e *Exchange) Answer(challenge []byte) ([]byte, error) {
	d, err := parse(challenge)
	if err != nil {
		return nil, fmt.Errorf("understand DIGEST-MD5 challenge: %w", err)
	}
	if alg := d["algorithm"]; alg != "md5-sess" {
		return nil, fmt.Errorf("%w: algorithm %q, want md5-sess", ErrUnsupported, alg)
	}
	if qop, ok := d["qop"]; ok && !slices.Contains(splitList(qop), "auth") {
		return nil, fmt.Errorf("%w: the server demands qop %q and Weft offers auth: "+
			"hadoop.rpc.protection must include authentication", ErrUnsupported, qop)
	}
	if d["nonce"] == "" {
		return nil, errors.New("understand DIGEST-MD5 challenge: it has no nonce")
	}
	e.Realm, e.Nonce = d["realm"], d["nonce"]
	return []byte("charset=utf-8,username=" + quote(e.Username) + ",realm=" + quote(e.Realm) +
		",nonce=" + quote(e.Nonce) + ",nc=" + nonceCount + ",cnonce=" + quote(e.CNonce) +
		",digest-uri=" + quote(e.URI) + ",maxbuf=65536,response=" + e.Response() + ",qop=auth"), nil
}

// Verify checks that the server knows the password too.
func (e *Exchange) Verify(final []byte) error {
	d, err := parse(final)
	if err != nil {
		return fmt.Errorf("understand DIGEST-MD5 reply: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(d["rspauth"]), []byte(e.RspAuth())) != 1 {
		return fmt.Errorf("authenticate the server: %w", ErrMismatch)
	}
	return nil
}

// Challenge is the server's first message.
func Challenge(realm, nonce string) []byte {
	return []byte("realm=" + quote(realm) + ",nonce=" + quote(nonce) +
		`,qop="auth",charset=utf-8,algorithm=md5-sess`)
}

// Accept is the server's side: it checks the client's answer to the challenge
// with that realm and nonce and returns the user's name and the reply.
func Accept(answer []byte, realm, nonce, uri string, password func(user string) (string, error)) (user string, reply []byte, err error) {
	d, err := parse(answer)
	if err != nil {
		return "", nil, err
	}
	e := Exchange{
		Username: d["username"], Realm: realm, Nonce: nonce, CNonce: d["cnonce"], URI: uri,
	}
	if d["nonce"] != nonce || d["digest-uri"] != uri || d["nc"] != nonceCount {
		return "", nil, ErrMismatch
	}
	if e.Password, err = password(e.Username); err != nil {
		return "", nil, err
	}
	if subtle.ConstantTimeCompare([]byte(d["response"]), []byte(e.Response())) != 1 {
		return "", nil, ErrMismatch
	}
	return e.Username, []byte("rspauth=" + e.RspAuth()), nil
}

func splitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// parse reads name=value pairs, values quoted or not, between commas.
func parse(b []byte) (map[string]string, error) {
	if len(b) > maxMessage {
		return nil, fmt.Errorf("%d bytes are too long", len(b))
	}
	out := make(map[string]string)
	rest := string(b)
	for {
		rest = strings.TrimLeft(rest, ", \t\r\n")
		if rest == "" {
			return out, nil
		}
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, fmt.Errorf("no value in %q", rest)
		}
		value, tail, err := cutValue(after)
		if err != nil {
			return nil, err
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := out[name]; twice && name != "realm" {
			return nil, fmt.Errorf("%s is given twice", name)
		} else if !twice { // of several realms the first one is taken
			out[name] = value
		}
		rest = tail
	}
}

func cutValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexByte(s, ','); i >= 0 {
			return strings.TrimSpace(s[:i]), s[i:], nil
		}
		return strings.TrimSpace(s), "", nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("unterminated quotation")
}
