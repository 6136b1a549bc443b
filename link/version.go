package link

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/weftstream/weft/link/linkpb"
)

// Version is the version of Weft that this executable was linked with.
const Version = "0.1.0"

// ProtocolMin and ProtocolMax are the range of protocols, of both links and of the JobManager's, that this executable
// speaks.
const (
	ProtocolMin = 1
	ProtocolMax = 1
)

// versionMark is how ReadExecutable finds Version in an executable that it doesn't run. ThisVersion reads the mark, so
// every executable that uses a link contains it.
const versionMark = "weft.link/version=" + Version + " protocol=1-1;"

var versionMarkPattern = regexp.MustCompile(`weft\.link/version=([0-9A-Za-z.+-]{1,64}) protocol=([0-9]{1,9})-([0-9]{1,9});`)

// ErrVersion is wrapped by every *VersionError.
var ErrVersion = errors.New("versions of Weft differ")

// VersionError says that two ends were built with versions of Weft that don't work together.
type VersionError struct {
	Peer   string // who the other end is: "TaskManager", "application"
	Ours   string
	Theirs string
	// OurRange and TheirRange are the protocols, "1-1".
	OurRange, TheirRange string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the %s has Weft %s (protocol %s), this side has Weft %s (protocol %s): "+
		"build or install both with the same version", e.Peer, e.Theirs, e.TheirRange, e.Ours, e.OurRange)
}

func (e *VersionError) Unwrap() error { return ErrVersion }

// ThisVersion is what this executable says of itself in a handshake.
func ThisVersion() *linkpb.Version {
	v, err := parseVersionMark(versionMark)
	if err != nil {
		return &linkpb.Version{Version: Version, ProtocolMin: ProtocolMin, ProtocolMax: ProtocolMax}
	}
	return v
}

func parseVersionMark(mark string) (*linkpb.Version, error) {
	m := versionMarkPattern.FindStringSubmatch(mark)
	if m == nil {
		return nil, fmt.Errorf("parse version mark %q: wrong form", mark)
	}
	low, err := strconv.ParseInt(m[2], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse version mark %q: %w", mark, err)
	}
	high, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse version mark %q: %w", mark, err)
	}
	return &linkpb.Version{Version: m[1], ProtocolMin: int32(low), ProtocolMax: int32(high)}, nil
}

// CheckVersion compares what the other end said with ThisVersion and returns a *VersionError if the two can't work
// together. Until 1.0 the versions have to be equal; from then on it is enough that the ranges overlap.
func CheckVersion(peer string, theirs *linkpb.Version) error {
	return checkVersions(peer, ThisVersion(), theirs)
}

func checkVersions(peer string, ours, theirs *linkpb.Version) error {
	overlap := theirs.GetProtocolMin() <= ours.GetProtocolMax() && ours.GetProtocolMin() <= theirs.GetProtocolMax()
	same := theirs.GetVersion() == ours.GetVersion() && theirs.GetProtocolMin() == ours.GetProtocolMin() &&
		theirs.GetProtocolMax() == ours.GetProtocolMax()
	if same || overlap && stable(ours) && stable(theirs) {
		return nil
	}
	e := &VersionError{Peer: peer, Ours: ours.GetVersion(), Theirs: theirs.GetVersion(),
		OurRange: protocolRange(ours), TheirRange: protocolRange(theirs)}
	if e.Theirs == "" {
		e.Theirs = "of an unknown version"
	}
	return e
}

// stable says whether v is 1.0 or later.
func stable(v *linkpb.Version) bool {
	s := strings.TrimPrefix(v.GetVersion(), "v")
	return s != "" && !strings.HasPrefix(s, "0.")
}

func protocolRange(v *linkpb.Version) string {
	return fmt.Sprintf("%d-%d", v.GetProtocolMin(), v.GetProtocolMax())
}
