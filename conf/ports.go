package conf

import (
	"iter"
	"strconv"
	"strings"
)

const portsForm = "a port, a range or a list of both, like 0, 50100-50200 or 50100,50200-50300"

// PortSpan is the ports from First to Last, both included.
type PortSpan struct{ First, Last int }

// PortRange is the ports a server may listen on, to be tried in order; port 0 stands for any free port.
type PortRange []PortSpan

// ParsePortRange reads a comma-separated list of ports and of ranges "first-last".
func ParsePortRange(s string) (PortRange, error) {
	v, err := parsePortRange(s)
	return v, named(err, s, portsForm)
}

func parsePortRange(s string) (PortRange, error) {
	var r PortRange
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := parsePort(first)
		to, err2 := parsePort(last)
		if err1 != nil || err2 != nil || from > to || isRange && from == 0 {
			return nil, errForm
		}
		r = append(r, PortSpan{from, to})
	}
	return r, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0, errForm
	}
	return int(n), nil
}

// All yields the ports in the order in which they are to be tried.
func (r PortRange) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, span := range r {
			for port := span.First; port <= span.Last; port++ {
				if !yield(port) {
					return
				}
			}
		}
	}
}

// String is the form ParsePortRange reads.
func (r PortRange) String() string {
	parts := make([]string, len(r))
	for i, span := range r {
		parts[i] = strconv.Itoa(span.First)
		if span.Last != span.First {
			parts[i] += "-" + strconv.Itoa(span.Last)
		}
	}
	return strings.Join(parts, ",")
}
