package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/weftstream/weft/conf"
)

// The YARN properties file remembers a user's session, so that later commands find it: Flink's file, name and format.
const (
	propertiesPrefix    = ".yarn-properties-"
	propertyID          = "applicationID"
	propertyDynamic     = "dynamicPropertiesString"
	dynamicSeparator    = "@@"
	propertiesMaxLength = 1 << 20
)

var applicationIDPattern = regexp.MustCompile(`^application_[0-9]+_[0-9]+$`)

// propertiesFile is a properties file that was read, or is to be written.
type propertiesFile struct {
	path string
	id   string
	// dynamic are the dynamic properties of the session, "key=value".
	dynamic []string
}

// propertiesPath is where the user's properties file is.
func (s *session) propertiesPath() string {
	dir := conf.Get(s.conf, conf.YarnPropertiesFileLocation)
	if dir == "" {
		dir = s.TempDir
	}
	user := s.User
	if user == "" {
		user = "unknown"
	}
	return filepath.Join(dir, propertiesPrefix+filepath.Base(user))
}

// errNotOwn is returned by readProperties for a file that another user has put there: the directory may be everyone's.
var errNotOwn = errors.New("the file belongs to another user")

// readProperties reads the file at path; nil if there is none.
func readProperties(path string) (*propertiesFile, error) {
	bad := func(format string, args ...any) (*propertiesFile, error) {
		return nil, &exitError{ExitConfiguration, fmt.Errorf("read the YARN properties file %s: %w; if it isn't wanted, remove it, or use --ignore-properties",
			path, fmt.Errorf(format, args...))}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return bad("%w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return bad("%w", err)
	}
	if !ownFile(info) {
		return nil, fmt.Errorf("%s: %w", path, errNotOwn)
	}
	if info.Size() > propertiesMaxLength {
		return bad("it has %d bytes", info.Size())
	}
	text := make([]byte, info.Size())
	if n, err := f.ReadAt(text, 0); n < len(text) {
		return bad("%w", err)
	}
	p := &propertiesFile{path: path}
	for line := range strings.Lines(string(text)) {
		key, value, ok := parseProperty(line)
		switch {
		case !ok:
		case key == propertyID:
			p.id = value
		case key == propertyDynamic:
			for d := range strings.SplitSeq(value, dynamicSeparator) {
				if d != "" {
					p.dynamic = append(p.dynamic, d)
				}
			}
		}
	}
	switch {
	case p.id == "":
		return bad("it has no %s", propertyID)
	case !applicationIDPattern.MatchString(p.id):
		return bad("%s=%s is no application id", propertyID, p.id)
	}
	return p, nil
}

// parseProperty reads a line of Java's properties format: what Flink writes, that is without line continuations.
func parseProperty(line string) (key, value string, ok bool) {
	line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t\f")
	if line == "" || line[0] == '#' || line[0] == '!' {
		return "", "", false
	}
	var part strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			part.WriteByte(unescaped(line[i]))
		case !ok && (c == '=' || c == ':'):
			key, ok = strings.TrimRight(part.String(), " \t"), true
			part.Reset()
			for i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t') {
				i++
			}
		default:
			part.WriteByte(c)
		}
	}
	if !ok {
		return part.String(), "", true
	}
	return key, part.String(), true
}

func unescaped(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return c
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`, "=", `\=`, ":", `\:`, "#", `\#`, "!", `\!`)

// write writes the file in one step, so that nobody reads half of it. Like Flink's it can be read by everyone, unless the
// dynamic properties hold a secret.
func (p *propertiesFile) write(now time.Time) error {
	text := fmt.Sprintf("#Generated YARN properties file\n#%s\n%s=%s\n", now.Format("Mon Jan 02 15:04:05 MST 2006"),
		propertyID, escaper.Replace(p.id))
	mode := fs.FileMode(0o644)
	if len(p.dynamic) > 0 {
		text += propertyDynamic + "=" + escaper.Replace(strings.Join(p.dynamic, dynamicSeparator)) + "\n"
	}
	for _, d := range p.dynamic {
		if key, _, _ := strings.Cut(d, "="); conf.IsSensitive(key) {
			mode = 0o600
		}
	}
	err := replaceFile(p.path, []byte(text), mode)
	if err != nil {
		return fmt.Errorf("write the YARN properties file: %w", err)
	}
	return nil
}

// replaceFile puts data at path by a rename: also over a link that someone has put there, which isn't followed.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// remove removes the file if it is still the one of this session: another command may have written its own since.
func (p *propertiesFile) remove() error {
	now, err := readProperties(p.path)
	if err != nil || now == nil || now.id != p.id {
		return err
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the YARN properties file: %w", err)
	}
	return nil
}

// forget goes on without the session of the properties file, which has ended or isn't known to YARN, and removes the file.
func (s *session) forget(cause error) {
	f := s.properties
	s.log.Warn(fmt.Sprintf("The Yarn application %s of %s doesn't run anymore: the file is ignored and removed", f.id, f.path),
		"cause", cause)
	if err := f.remove(); err != nil {
		s.log.Warn(err.Error())
	}
	s.conf, s.target, s.properties = s.without, conf.Get(s.without, conf.ExecutionTarget), nil
	s.remoteByDefault()
}
