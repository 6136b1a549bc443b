package link

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/weftstream/weft/link/linkpb"
)

// modulePath is the module that an application requires.
const modulePath = "github.com/weftstream/weft"

var (
	// ErrNotExecutable is wrapped by ReadExecutable for a file that isn't an executable: a script, an archive, a directory.
	ErrNotExecutable = errors.New("not an executable")

	// ErrNotWeft is wrapped by ReadExecutable for an executable that isn't a Weft application.
	ErrNotWeft = errors.New("not a Weft application")

	// ErrPlatform is wrapped by every *PlatformError.
	ErrPlatform = errors.New("executable for another platform")
)

// PlatformError says that an executable was built for another platform than it is wanted for.
type PlatformError struct {
	Path      string // the file
	Got, Want string // "linux/amd64"
	Main      string // the package to build, where known
}

func (e *PlatformError) Error() string {
	goos, goarch, _ := bytes.Cut([]byte(e.Want), []byte("/"))
	pkg := e.Main
	if pkg == "" || pkg == "command-line-arguments" {
		pkg = "<package>"
	}
	return fmt.Sprintf("%s is an executable for %s, and the cluster runs %s: build it with "+
		"`CGO_ENABLED=0 GOOS=%s GOARCH=%s go build %s`", e.Path, e.Got, e.Want, goos, goarch, pkg)
}

func (e *PlatformError) Unwrap() error { return ErrPlatform }

// Info is what an application's executable says of itself, without being run.
type Info struct {
	Path      string // the file
	GoVersion string // "go1.26.1"
	Main      string // import path of the main package
	Module    string // path of the main module
	// WeftVersion is the Weft that it was linked with, as in Version; ModuleVersion is the module's as Go's build
	// information has it: a tag, a pseudo-version or "(devel)".
	WeftVersion   string
	ModuleVersion string
	Protocol      *linkpb.Version
	GOOS, GOARCH  string
	// Static says that no shared library is needed, so that it runs on any distribution; only known on Linux.
	Static bool
	Size   int64
}

// Platform is "linux/amd64".
func (i Info) Platform() string { return i.GOOS + "/" + i.GOARCH }

// CheckPlatform returns a *PlatformError, which names the command that builds the right executable, unless the executable
// is for the platform "os/arch".
func (i Info) CheckPlatform(want string) error {
	if i.Platform() == want {
		return nil
	}
	return &PlatformError{Path: i.Path, Got: i.Platform(), Want: want, Main: i.Main}
}

// CheckVersion returns a *VersionError unless this executable's Weft and the application's work together.
func (i Info) CheckVersion() error { return CheckVersion("application", i.Protocol) }

// Warning is what a user should know of an executable that is accepted, or "".
func (i Info) Warning() string {
	if i.GOOS != "linux" || i.Static {
		return ""
	}
	return fmt.Sprintf("%s is dynamically linked: it only runs on nodes that have the same libraries; "+
		"build it with CGO_ENABLED=0", i.Path)
}

// ReadExecutable reads what the executable at path says of itself. An error wraps ErrNotExecutable, ErrNotWeft, or what
// the file system said.
func ReadExecutable(path string) (Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("read application: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("read application: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Info{}, fmt.Errorf("read application %s: it is %s: %w", path, kindOf(st), ErrNotExecutable)
	}
	info := Info{Path: path, Size: st.Size()}
	if err := info.readFormat(f); err != nil {
		return Info{}, fmt.Errorf("read application %s: %w", path, err)
	}
	bi, err := buildinfo.Read(f)
	if err != nil {
		return Info{}, fmt.Errorf("read application %s: no Go build information (%w): %w", path, err, ErrNotWeft)
	}
	info.readBuild(bi)
	if err := info.readVersion(f, bi); err != nil {
		return Info{}, fmt.Errorf("read application %s: %w", path, err)
	}
	return info, nil
}

func kindOf(st os.FileInfo) string {
	if st.IsDir() {
		return "a directory"
	}
	return "no regular file"
}

// readFormat recognises the executable formats that Go writes, and whether an ELF file needs a dynamic linker.
func (i *Info) readFormat(f *os.File) error {
	var head [4]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case string(head[:]) == elf.ELFMAG:
	case bytes.HasPrefix(head[:], []byte("MZ")): // Windows
		return nil
	case bytes.HasSuffix(head[:], []byte("\xfe\xed\xfa\xcf")), bytes.HasPrefix(head[:], []byte("\xcf\xfa\xed\xfe")): // macOS
		return nil
	case bytes.HasPrefix(head[:], []byte("#!")):
		return fmt.Errorf("it is a script: %w: give the executable that `go build` writes", ErrNotExecutable)
	default:
		return fmt.Errorf("it begins with %q: %w: give the executable that `go build` writes", head[:], ErrNotExecutable)
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotExecutable, err)
	}
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN {
		return fmt.Errorf("it is an ELF file of type %s: %w", e.Type, ErrNotExecutable)
	}
	libraries, err := e.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotExecutable, err)
	}
	i.Static = len(libraries) == 0
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			i.Static = false
		}
	}
	return nil
}

func (i *Info) readBuild(bi *debug.BuildInfo) {
	i.GoVersion, i.Main, i.Module = bi.GoVersion, bi.Path, bi.Main.Path
	for _, s := range bi.Settings {
		switch s.Key {
		case "GOOS":
			i.GOOS = s.Value
		case "GOARCH":
			i.GOARCH = s.Value
		}
	}
}

func (i *Info) readVersion(f io.ReaderAt, bi *debug.BuildInfo) error {
	if bi.Path == modulePath+"/cmd/weft" {
		return fmt.Errorf("it is weft itself: %w", ErrNotWeft)
	}
	for _, m := range append([]*debug.Module{&bi.Main}, bi.Deps...) {
		if m.Path == modulePath {
			i.ModuleVersion = m.Version
			if m.Replace != nil && m.Replace.Version != "" {
				i.ModuleVersion = m.Replace.Version
			}
		}
	}
	mark, err := findVersionMark(f)
	if err != nil {
		return err
	}
	if mark == nil {
		return fmt.Errorf("%s doesn't call stream.Main of %s: %w", bi.Path, modulePath, ErrNotWeft)
	}
	i.Protocol, i.WeftVersion = mark, mark.GetVersion()
	return nil
}

// findVersionMark searches the whole file, whose format doesn't matter then; nil if there is none.
func findVersionMark(f io.ReaderAt) (*linkpb.Version, error) {
	const longest = 256 // of a mark
	prefix := []byte("weft.link/version=")
	buffer := make([]byte, 1<<20)
	for offset := int64(0); ; {
		n, err := f.ReadAt(buffer, offset)
		for b := buffer[:n]; ; {
			at := bytes.Index(b, prefix)
			if at < 0 {
				break
			}
			b = b[at:]
			if v, err := parseVersionMark(string(b[:min(len(b), longest)])); err == nil {
				return v, nil
			}
			b = b[len(prefix):]
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		offset += int64(n - longest) // a mark may lie across two reads
	}
}
