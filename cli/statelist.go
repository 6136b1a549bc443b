package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/weftstream/weft/runtime/checkpoint"
)

// stateListing is `weft state list --json`.
type stateListing struct {
	Path       string `json:"path"`
	Kind       string `json:"kind"` // savepoint or checkpoint
	Checkpoint int64  `json:"checkpointId"`
	JobID      string `json:"jobId"`
	JobName    string `json:"jobName"`
	// Triggered and Completed are in Unix milliseconds.
	Triggered int64            `json:"triggered"`
	Completed int64            `json:"completed"`
	Bytes     int64            `json:"bytes"`
	Commits   int              `json:"commits"` // what sinks have yet to commit, or have committed with it
	Operators []listedOperator `json:"operators"`
}

type listedOperator struct {
	ID             string        `json:"id"`
	UID            string        `json:"uid,omitempty"`
	Name           string        `json:"name"`
	Parallelism    int           `json:"parallelism"`
	MaxParallelism int           `json:"maxParallelism"`
	States         []listedState `json:"states"`
}

type listedState struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	Bytes int64  `json:"bytes"`
	// Entries is null unless they were counted; of an opaque state it counts blocks.
	Entries *int64 `json:"entries,omitempty"`
}

// listState prints the operators and their states.
func listState(ctx context.Context, v *savedState) error {
	l := v.listing()
	for i := range v.operators {
		o := listedOperatorOf(&v.operators[i])
		for j := range v.operators[i].States {
			s := listedStateOf(&v.operators[i].States[j])
			l.Bytes += s.Bytes
			if v.o.count {
				n, err := v.countEntries(ctx, &v.operators[i], s.Name)
				if err != nil {
					return err
				}
				s.Entries = &n
			}
			o.States = append(o.States, s)
		}
		l.Operators = append(l.Operators, o)
	}
	v.print.write(v.listingText(l), l)
	return nil
}

func (v *savedState) listing() *stateListing {
	md := v.md
	l := &stateListing{Path: md.GetDirectory(), Kind: "checkpoint", Checkpoint: md.GetCheckpoint(), JobID: fmt.Sprintf("%x", md.GetJobId()),
		JobName: md.GetJobName(), Triggered: md.GetTimestampMs(), Completed: md.GetCompletedMs(), Operators: []listedOperator{}}
	if md.GetSavepoint() {
		l.Kind = "savepoint"
	}
	for _, c := range md.GetCommits() {
		l.Commits += len(c.GetCommittables())
	}
	return l
}

func listedOperatorOf(o *checkpoint.OperatorContent) listedOperator {
	return listedOperator{ID: o.ID.String(), UID: o.UID, Name: o.Name, Parallelism: o.Parallelism, MaxParallelism: o.MaxParallelism, States: []listedState{}}
}

func listedStateOf(c *checkpoint.StateContent) listedState {
	s := listedState{Name: c.Name, Kind: kindName(c.Kind), Bytes: c.Bytes}
	if c.Key != nil {
		s.Key = c.Key.String()
	}
	if c.Value != nil {
		s.Value = c.Value.String()
	}
	return s
}

func (v *savedState) countEntries(ctx context.Context, o *checkpoint.OperatorContent, state string) (n int64, err error) {
	for _, err := range v.storage.Entries(ctx, v.md, o.ID, state) {
		if err != nil {
			return 0, fmt.Errorf("count the entries of operator %s: %w", handle(o), err)
		}
		n++
	}
	return n, nil
}

// listingText is the listing for people.
func (v *savedState) listingText(l *stateListing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d of job %q (%s)\n", strings.ToUpper(l.Kind[:1])+l.Kind[1:], l.Checkpoint, l.JobName, l.JobID)
	fmt.Fprintf(&b, "path:      %s\ncompleted: %s\nstate:     %s\ncommits:   %d\n", l.Path, time.UnixMilli(l.Completed).UTC().Format(time.RFC3339), sizeText(l.Bytes), l.Commits)
	for i, o := range l.Operators {
		fmt.Fprintf(&b, "\n%s\n", o.Name)
		if o.UID != "" {
			fmt.Fprintf(&b, "  uid %s\n", o.UID)
		}
		fmt.Fprintf(&b, "  id %s, parallelism %d, max parallelism %d\n", o.ID, o.Parallelism, o.MaxParallelism)
		if len(o.States) == 0 {
			b.WriteString("  no state\n")
		}
		for j, s := range o.States {
			fmt.Fprintf(&b, "  %s: %s, %s, %s", s.Name, s.Kind, typeName(&v.operators[i].States[j]), sizeText(s.Bytes))
			if s.Entries != nil {
				fmt.Fprintf(&b, ", %s", entriesText(*s.Entries, v.operators[i].States[j].Opaque()))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// entriesText shows a number of entries, or of blocks.
func entriesText(n int64, blocks bool) string {
	switch {
	case blocks && n == 1:
		return "1 block"
	case blocks:
		return fmt.Sprintf("%d blocks", n)
	case n == 1:
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// sizeText shows a number of bytes.
func sizeText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1<<10 && unit < 3 {
		size, unit = size/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %s", size, []string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
