package hadoop

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Kinds of token that Weft looks for.
const (
	KindAMRMToken      = "YARN_AM_RM_TOKEN"
	KindNMToken        = "NMToken"
	KindContainerToken = "ContainerToken"
	KindHDFSDelegation = "HDFS_DELEGATION_TOKEN"
)

// Token is a Hadoop security token. Identifier and Password are opaque.
type Token struct {
	Identifier []byte
	Password   []byte
	Kind       string
	// Service names the server the token is for; empty for an AMRMToken.
	Service string
}

// String shows kind and service, never the password.
func (t Token) String() string {
	return fmt.Sprintf("token(kind %s, service %q)", t.Kind, t.Service)
}

// IsZero reports whether t is no token at all.
func (t Token) IsZero() bool {
	return len(t.Identifier) == 0 && len(t.Password) == 0 && t.Kind == ""
}

// Equal reports whether both tokens are the same in every field.
func (t Token) Equal(o Token) bool {
	return t.Kind == o.Kind && t.Service == o.Service &&
		bytes.Equal(t.Identifier, o.Identifier) && bytes.Equal(t.Password, o.Password)
}

// EncodeURL is Hadoop's Token.encodeToUrlString: unpadded URL-safe base64 of
// the token's binary form. YARN's REST submission and WebHDFS use it.
func (t Token) EncodeURL() string {
	return base64.RawURLEncoding.EncodeToString(appendToken(nil, t))
}

// DecodeTokenURL reads what EncodeURL writes, padded or not.
func DecodeTokenURL(s string) (Token, error) {
	for len(s) > 0 && s[len(s)-1] == '=' {
		s = s[:len(s)-1]
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Token{}, fmt.Errorf("decode token string: %w", err)
	}
	r := &wireReader{buf: b}
	t := r.token()
	if err := r.finish(); err != nil {
		return Token{}, fmt.Errorf("decode token string: %w", err)
	}
	return t, nil
}

// Credentials is the content of a token file: tokens and secrets by alias.
type Credentials struct {
	Tokens  map[string]Token
	Secrets map[string][]byte
}

// TokenOfKind returns the token of that kind; with several, the one whose
// alias sorts first. An AMRMToken has an empty alias and service, so that the
// kind is the only way to find it.
func (c *Credentials) TokenOfKind(kind string) (Token, bool) {
	for _, alias := range slices.Sorted(maps.Keys(c.Tokens)) {
		if c.Tokens[alias].Kind == kind {
			return c.Tokens[alias], true
		}
	}
	return Token{}, false
}

// Without returns a copy that has no tokens of that kind, as an application
// master passes its credentials on without its AMRMToken.
func (c *Credentials) Without(kind string) *Credentials {
	out := &Credentials{Tokens: make(map[string]Token), Secrets: maps.Clone(c.Secrets)}
	for alias, t := range c.Tokens {
		if t.Kind != kind {
			out.Tokens[alias] = t
		}
	}
	return out
}

// ReadCredentialsFile reads a token file, such as the one that
// HADOOP_TOKEN_FILE_LOCATION names in a container.
func ReadCredentialsFile(path string) (*Credentials, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	if info.Size() > maxCredentials {
		return nil, fmt.Errorf("read token file %s: %d bytes is more than the %d that are accepted",
			path, info.Size(), maxCredentials)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	c, err := ParseCredentials(b)
	if err != nil {
		return nil, fmt.Errorf("read token file %s: %w", path, err)
	}
	return c, nil
}
