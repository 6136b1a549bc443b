package amrm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
)

// TestBooks runs the scripts of testdata/books. A line of input is a word and
// name=value pairs; the output is the events, or the request that would be sent.
//
//	want        one line per want: priority=1 mem=1024 count=3 spread=n1/r1,n2/r1 label=x
//	send        print the request; it is under way until reply, refuse or resync
//	reply       lines: grant id=2 node=n1 priority=1 [mem=1024]; done id=2 exit=1;
//	            recovered id=9 node=n1; token node=n1; lost node=n1
//	register    the same lines stand for containers and tokens of the reply;
//	            maximum mem=8192; lost-reply
//	release     ids=2,3
//	blacklist   hosts=n1,n2
//	resync      YARN has forgotten the application master
//	refuse      YARN can't ever grant the asks under way
//	state       what the books hold
func TestBooks(t *testing.T) {
	datadriven.Walk(t, "testdata/books", func(t *testing.T, path string) {
		b := newBooks()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return runCommand(t, b, d)
		})
	})
}

func runCommand(t *testing.T, b *books, d *datadriven.TestData) string {
	switch d.Cmd {
	case "want":
		var wants []Want
		for _, line := range lines(d.Input) {
			wants = append(wants, line.want(t))
		}
		if err := checkWants(wants); err != nil {
			return err.Error() + "\n"
		}
		b.setWants(wants)
		return ""
	case "send":
		return requestText(b.request())
	case "register":
		r := &RegisterResponse{Queue: "default"}
		for _, line := range lines(d.Input) {
			switch line.word {
			case "maximum":
				r.MaximumCapability = records.Resource{MemoryMB: int64(line.number(t, "mem", 0)), VCores: 4}
			case "lost-reply":
				return eventText(b.joined(nil))
			case "recovered":
				r.Containers = append(r.Containers, line.container(t))
			case "token":
				r.NMTokens = append(r.NMTokens, records.NMToken{Node: node(line.args["node"])})
			}
		}
		return eventText(b.joined(r))
	case "reply":
		return eventText(b.replied(reply(t, b, d.Input)))
	case "release":
		for _, line := range lines("release " + strings.TrimSpace(argText(d))) {
			var ids []records.ContainerID
			for part := range strings.SplitSeq(line.args["ids"], ",") {
				ids = append(ids, containerID(t, part))
			}
			b.release(ids)
		}
		return ""
	case "blacklist":
		var hosts []string
		for _, arg := range d.CmdArgs {
			hosts = append(hosts, arg.Vals...)
		}
		b.setBlacklist(hosts)
		return ""
	case "resync":
		b.forgotten()
		return ""
	case "refuse":
		return eventText(b.refused(errors.New("too large")))
	case "state":
		return fmt.Sprintf("dirty=%t pending=%t wanted=%v\n", b.dirty(), b.pending(), b.priorities())
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func argText(d *datadriven.TestData) string {
	var parts []string
	for _, arg := range d.CmdArgs {
		parts = append(parts, arg.Key+"="+strings.Join(arg.Vals, ","))
	}
	return strings.Join(parts, " ")
}

type line struct {
	word string
	args map[string]string
}

func lines(input string) []line {
	var out []line
	for text := range strings.Lines(input) {
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		l := line{args: make(map[string]string)}
		for _, f := range fields {
			if name, value, ok := strings.Cut(f, "="); ok {
				l.args[name] = value
			} else {
				l.word = f
			}
		}
		out = append(out, l)
	}
	return out
}

func (l line) number(t *testing.T, name string, def int) int {
	t.Helper()
	text, ok := l.args[name]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (l line) want(t *testing.T) Want {
	w := Want{
		Priority: l.number(t, "priority", 1), Count: l.number(t, "count", 0), NodeLabel: l.args["label"],
		Capability: records.Resource{MemoryMB: int64(l.number(t, "mem", 1024)), VCores: 1},
	}
	if l.args["spread"] != "" {
		for part := range strings.SplitSeq(l.args["spread"], ",") {
			host, rack, _ := strings.Cut(part, "/")
			if rack != "" {
				rack = "/" + rack
			}
			w.Spread = append(w.Spread, NodeHost{Host: host, Rack: rack})
		}
	}
	return w
}

func node(host string) records.NodeID { return records.NodeID{Host: host, Port: 1} }

func containerID(t *testing.T, text string) records.ContainerID {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return records.ContainerID{
		Attempt: records.AttemptID{Application: records.ApplicationID{ClusterTimestamp: 1, ID: 1}, Attempt: 1}, ID: n,
	}
}

func (l line) container(t *testing.T) records.Container {
	return records.Container{
		ID: containerID(t, l.args["id"]), Node: node(l.args["node"]), Priority: int32(l.number(t, "priority", 1)),
		Resource: records.Resource{MemoryMB: int64(l.number(t, "mem", 1024)), VCores: 1},
		Token:    hadoop.Token{Kind: hadoop.KindContainerToken},
	}
}

func reply(t *testing.T, b *books, input string) *AllocateResponse {
	r := &AllocateResponse{ResponseID: b.responseID + 1}
	for _, line := range lines(input) {
		switch line.word {
		case "grant":
			r.Allocated = append(r.Allocated, line.container(t))
		case "recovered":
			r.Recovered = append(r.Recovered, line.container(t))
		case "done":
			r.Completed = append(r.Completed, records.ContainerStatus{
				ID: containerID(t, line.args["id"]), State: records.ContainerComplete, ExitStatus: int32(line.number(t, "exit", 0)),
			})
		case "token":
			r.NMTokens = append(r.NMTokens, records.NMToken{Node: node(line.args["node"])})
		case "lost":
			r.Nodes = append(r.Nodes, records.NodeReport{Node: node(line.args["node"]), State: records.NodeLost})
		default:
			t.Fatalf("unknown line %s", line.word)
		}
	}
	return r
}

func requestText(r AllocateRequest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "response-id %d\n", r.ResponseID)
	for _, a := range r.Asks {
		fmt.Fprintf(&b, "ask %d %s %s x%d", a.Priority, a.ResourceName, a.Capability, a.Count)
		if a.NodeLabel != "" {
			fmt.Fprintf(&b, " label %s", a.NodeLabel)
		}
		b.WriteByte('\n')
	}
	for _, id := range r.Release {
		fmt.Fprintf(&b, "release %d\n", id.ID)
	}
	if len(r.BlacklistAdd)+len(r.BlacklistRemove) > 0 {
		fmt.Fprintf(&b, "blacklist +%v -%v\n", r.BlacklistAdd, r.BlacklistRemove)
	}
	return b.String()
}

func eventText(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		ids := func(list []records.Container) (out []string) {
			for _, c := range list {
				out = append(out, fmt.Sprintf("%d@%s", c.ID.ID, c.Node.Host))
			}
			return out
		}
		switch e := e.(type) {
		case Registered:
			fmt.Fprintf(&b, "Registered resync=%t reply-lost=%t %v\n", e.Resync, e.ReplyLost, ids(e.Containers))
		case Allocated:
			fmt.Fprintf(&b, "Allocated %v\n", ids(e.Containers))
		case Recovered:
			fmt.Fprintf(&b, "Recovered %v\n", ids(e.Containers))
		case SurplusReleased:
			fmt.Fprintf(&b, "SurplusReleased %v\n", ids(e.Containers))
		case Completed:
			for _, s := range e.Statuses {
				fmt.Fprintf(&b, "Completed %d exit %d\n", s.ID.ID, s.ExitStatus)
			}
		case WantsRefused:
			for _, w := range e.Wants {
				fmt.Fprintf(&b, "WantsRefused priority %d x%d: %v\n", w.Priority, w.Count, e.Err)
			}
		default:
			fmt.Fprintln(&b, e)
		}
	}
	return b.String()
}
