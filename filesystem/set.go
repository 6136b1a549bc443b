package filesystem

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// Opener makes the FileSystem of one authority, the host:port or nameservice in hdfs://authority/path. An empty
// authority stands for the scheme's default. It must not connect: that is for the first operation.
type Opener func(authority string) (FileSystem, error)

// SetConfig says which file systems a Set knows.
type SetConfig struct {
	// Schemes maps a scheme in lower case to the way its file systems are made. "file" is always there.
	Schemes map[string]Opener
	// DefaultScheme is Flink's fs.default-scheme: the scheme, with or without authority, of locations that have none,
	// for instance "hdfs://nn:8020/" or "hdfs". Empty means "file".
	DefaultScheme string
}

// Set maps locations to file systems. The zero value knows file: alone. The process that makes a Set (an application,
// an entrypoint, the command line) passes it down and closes it at the end. It is safe for concurrent use and must not
// be copied.
type Set struct {
	openers                 map[string]Opener
	defScheme, defAuthority string

	mu     sync.Mutex // guards the fields below; held while an Opener runs, which does not connect
	open   map[string]FileSystem
	closed bool
}

// NewSet returns a Set, or an error if DefaultScheme names a scheme that isn't there.
func NewSet(cfg SetConfig) (*Set, error) {
	s := &Set{openers: map[string]Opener{}}
	for scheme, o := range cfg.Schemes {
		s.openers[strings.ToLower(scheme)] = o
	}
	if d := cfg.DefaultScheme; d != "" {
		scheme, authority, _, ok := splitURI(d)
		if !ok {
			scheme = strings.ToLower(strings.TrimRight(d, ":/"))
		}
		if scheme != "file" && s.openers[scheme] == nil {
			return nil, fmt.Errorf("fs.default-scheme %q: %w (known: %s)", d, ErrUnknownScheme, s.known())
		}
		s.defScheme, s.defAuthority = scheme, authority
	}
	return s, nil
}

// Resolve returns the file system and path of a location: file:///x, hdfs://nn:8020/x, hdfs:///x (the default
// nameservice), or a path without scheme, which belongs to the default scheme. A relative path starts at the working
// directory on file: and at the user's home directory elsewhere. Nothing is percent-decoded, as in Hadoop.
func (s *Set) Resolve(uri string) (FileSystem, string, error) {
	if uri == "" {
		return nil, "", errors.New("resolve location: it is empty")
	}
	scheme, authority, p, ok := splitURI(uri)
	if !ok {
		scheme, authority, p = s.defScheme, s.defAuthority, uri
		if scheme == "" {
			scheme = "file"
		}
	}
	fsys, err := s.lookup(scheme, authority)
	if err != nil {
		return nil, "", fmt.Errorf("resolve location %q: %w", uri, err)
	}
	switch {
	case strings.HasPrefix(p, "/"):
	case scheme == "file":
		if p, err = filepath.Abs(p); err != nil {
			return nil, "", fmt.Errorf("resolve location %q: %w", uri, err)
		}
		p = filepath.ToSlash(p)
	default:
		p = path.Join(fsys.Home(), p)
	}
	return fsys, path.Clean(p), nil
}

// Close closes every file system that was handed out.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, f := range s.open {
		errs = append(errs, f.Close())
	}
	s.open = nil
	return errors.Join(errs...)
}

func (s *Set) lookup(scheme, authority string) (FileSystem, error) {
	if scheme == "file" {
		if authority != "" && authority != "localhost" {
			return nil, fmt.Errorf("file: has no host, but %q is given; write file:///path", authority)
		}
		return Local{}, nil
	}
	opener := s.openers[scheme]
	if opener == nil {
		return nil, fmt.Errorf("%w %q (known: %s)", ErrUnknownScheme, scheme, s.known())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	key := scheme + "://" + authority
	if f := s.open[key]; f != nil {
		return f, nil
	}
	f, err := opener(authority)
	if err != nil {
		return nil, err
	}
	if s.open == nil {
		s.open = map[string]FileSystem{}
	}
	s.open[key] = f
	return f, nil
}

func (s *Set) known() string {
	names := []string{"file"}
	for n := range s.openers {
		if n != "file" {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// Scheme is the scheme of a location, in lower case; "" if it has none.
func Scheme(uri string) string {
	scheme, _, _, _ := splitURI(uri)
	return scheme
}

// splitURI takes scheme://authority/path or scheme:/path apart. ok is false if s has no scheme: a colon alone doesn't
// make one, since it may stand in a file name.
func splitURI(s string) (scheme, authority, p string, ok bool) {
	i := strings.IndexByte(s, ':')
	if i <= 0 || !strings.HasPrefix(s[i+1:], "/") || !validScheme(s[:i]) {
		return "", "", "", false
	}
	scheme, p = strings.ToLower(s[:i]), s[i+1:]
	if rest, two := strings.CutPrefix(p, "//"); two {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return scheme, rest, "/", true
		}
		authority, p = rest[:slash], rest[slash:]
	}
	return scheme, authority, p, true
}

func validScheme(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

// Base is the last element of a slash-separated path.
func Base(p string) string { return path.Base(p) }
