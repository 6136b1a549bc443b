package records

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// ApplicationID names one YARN application. The zero value names none.
type ApplicationID struct {
	// ClusterTimestamp is the start time of the YARN ResourceManager that
	// issued the id, in milliseconds since the epoch.
	ClusterTimestamp int64
	// ID is the sequence number below that timestamp, from 1.
	ID int32
}

// String is YARN's form, application_<timestamp>_<sequence, 4 digits or more>.
func (a ApplicationID) String() string {
	return fmt.Sprintf("application_%d_%04d", a.ClusterTimestamp, a.ID)
}

// IsZero reports whether a names no application.
func (a ApplicationID) IsZero() bool { return a == ApplicationID{} }

// ParseApplicationID reads the form that String writes.
func ParseApplicationID(s string) (ApplicationID, error) {
	fields, err := numbers("application id", s, "application", 2)
	if err != nil {
		return ApplicationID{}, err
	}
	id, err := toInt32("application id", s, fields[1])
	if err != nil {
		return ApplicationID{}, err
	}
	return ApplicationID{ClusterTimestamp: fields[0], ID: id}, nil
}

// AttemptID names one attempt of an application's master.
type AttemptID struct {
	Application ApplicationID
	// Attempt counts from 1.
	Attempt int32
}

// String is YARN's form, appattempt_<timestamp>_<app>_<attempt, 6 digits>.
func (a AttemptID) String() string {
	return fmt.Sprintf("appattempt_%d_%04d_%06d",
		a.Application.ClusterTimestamp, a.Application.ID, a.Attempt)
}

// ParseAttemptID reads the form that String writes.
func ParseAttemptID(s string) (AttemptID, error) {
	fields, err := numbers("application attempt id", s, "appattempt", 3)
	if err != nil {
		return AttemptID{}, err
	}
	return attemptID("application attempt id", s, fields)
}

// ContainerID names one container of one application attempt.
type ContainerID struct {
	Attempt AttemptID
	// ID packs the number of recovered YARN ResourceManager restarts (the
	// epoch, above bit 40) and a sequence number (below). Sequence 1 of an
	// attempt is its application master.
	ID int64
}

// epochShift is where the epoch begins in a container id.
const epochShift = 40

// Epoch is how often the YARN ResourceManager had restarted with recovery when
// it issued the id.
func (c ContainerID) Epoch() int64 { return c.ID >> epochShift }

// Sequence is the number of the container within its attempt and epoch.
func (c ContainerID) Sequence() int64 { return c.ID & (1<<epochShift - 1) }

// IsZero reports whether c names no container.
func (c ContainerID) IsZero() bool { return c == ContainerID{} }

// String is YARN's form: container_<timestamp>_<app>_<attempt>_<sequence>, and
// container_e<epoch>_… from the first recovered restart on.
func (c ContainerID) String() string {
	epoch := ""
	if e := c.Epoch(); e > 0 {
		epoch = fmt.Sprintf("e%02d_", e)
	}
	return fmt.Sprintf("container_%s%d_%04d_%02d_%06d", epoch,
		c.Attempt.Application.ClusterTimestamp, c.Attempt.Application.ID, c.Attempt.Attempt, c.Sequence())
}

// Compare orders by application, attempt and id.
func (c ContainerID) Compare(o ContainerID) int {
	return cmp.Or(
		cmp.Compare(c.Attempt.Application.ClusterTimestamp, o.Attempt.Application.ClusterTimestamp),
		cmp.Compare(c.Attempt.Application.ID, o.Attempt.Application.ID),
		cmp.Compare(c.Attempt.Attempt, o.Attempt.Attempt),
		cmp.Compare(c.ID, o.ID),
	)
}

// ParseContainerID reads the form that String writes, as found in the
// environment variable CONTAINER_ID.
func ParseContainerID(s string) (ContainerID, error) {
	const what = "container id"
	rest, epoch := s, int64(0)
	if tail, ok := strings.CutPrefix(s, "container_e"); ok {
		digits, after, found := strings.Cut(tail, "_")
		n, err := strconv.ParseInt(digits, 10, 64)
		if !found || err != nil || n < 0 || n >= 1<<(63-epochShift) {
			return ContainerID{}, fmt.Errorf("parse %s %q: bad epoch", what, s)
		}
		rest, epoch = "container_"+after, n
	}
	fields, err := numbers(what, rest, "container", 4)
	if err != nil {
		return ContainerID{}, err
	}
	attempt, err := attemptID(what, s, fields[:3])
	if err != nil {
		return ContainerID{}, err
	}
	if fields[3] >= 1<<epochShift {
		return ContainerID{}, fmt.Errorf("parse %s %q: sequence number too large", what, s)
	}
	return ContainerID{Attempt: attempt, ID: epoch<<epochShift | fields[3]}, nil
}

// NodeID names a NodeManager by the address of its container service.
type NodeID struct {
	Host string
	Port int32
}

// String is host:port, which is also the key of the NodeManager's token.
func (n NodeID) String() string { return n.Host + ":" + strconv.Itoa(int(n.Port)) }

// ParseNodeID reads host:port.
func ParseNodeID(s string) (NodeID, error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 {
		return NodeID{}, fmt.Errorf("parse node id %q: want host:port", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return NodeID{}, fmt.Errorf("parse node id %q: bad port", s)
	}
	return NodeID{Host: s[:i], Port: int32(port)}, nil
}

// numbers splits prefix_n1_n2… into exactly count numbers that are not
// negative.
func numbers(what, s, prefix string, count int) ([]int64, error) {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	parts := strings.Split(rest, "_")
	if !ok || len(parts) != count {
		return nil, fmt.Errorf("parse %s %q: want %s_ and %d numbers", what, s, prefix, count)
	}
	out := make([]int64, count)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("parse %s %q: %q is not a number", what, s, part)
		}
		out[i] = int64(n)
	}
	return out, nil
}

func attemptID(what, s string, fields []int64) (AttemptID, error) {
	app, err := toInt32(what, s, fields[1])
	if err != nil {
		return AttemptID{}, err
	}
	attempt, err := toInt32(what, s, fields[2])
	if err != nil {
		return AttemptID{}, err
	}
	return AttemptID{
		Application: ApplicationID{ClusterTimestamp: fields[0], ID: app},
		Attempt:     attempt,
	}, nil
}

func toInt32(what, s string, n int64) (int32, error) {
	if n != int64(int32(n)) {
		return 0, fmt.Errorf("parse %s %q: %d does not fit in 32 bits", what, s, n)
	}
	return int32(n), nil
}
