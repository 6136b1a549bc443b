package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/weftstream/weft/runtime/checkpoint"
)

// shownEntry is a line of `weft state show --json`.
type shownEntry struct {
	Operator string `json:"operator"`
	State    string `json:"state"`
	Subtask  int    `json:"subtask"`
	// Group is the key group of a keyed state.
	Group *int            `json:"keyGroup,omitempty"`
	Key   json.RawMessage `json:"key,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	// Raw is the block of a state that only its operator can read.
	Raw []byte `json:"raw,omitempty"`
}

// showState prints the entries of an operator's states.
func showState(ctx context.Context, v *savedState) error {
	o, err := v.find(v.o.operator)
	if err != nil {
		return err
	}
	states := o.States
	if v.o.state != "" {
		i := slices.IndexFunc(states, func(s checkpoint.StateContent) bool { return s.Name == v.o.state })
		if i < 0 {
			return fmt.Errorf("find state %q of operator %s in %s: there is none; there are %s", v.o.state, handle(o), v.md.GetDirectory(), stateNames(states))
		}
		states = states[i : i+1]
	}
	if len(states) == 0 {
		v.print.text("%s has no state.\n", o.Name)
	}
	for i := range states {
		if err := v.showOne(ctx, o, &states[i]); err != nil {
			return err
		}
	}
	return nil
}

func stateNames(states []checkpoint.StateContent) string {
	if len(states) == 0 {
		return "no states"
	}
	var names []string
	for i := range states {
		names = append(names, states[i].Name)
	}
	return strings.Join(names, ", ")
}

// showOne prints one state, up to the limit.
func (v *savedState) showOne(ctx context.Context, o *checkpoint.OperatorContent, s *checkpoint.StateContent) error {
	v.print.text("%s (%s, %s):\n", s.Name, kindName(s.Kind), typeName(s))
	n := 0
	for e, err := range v.storage.Entries(ctx, v.md, o.ID, s.Name) {
		if err != nil {
			return fmt.Errorf("show operator %s: %w", handle(o), err)
		}
		if v.o.limit > 0 && n == v.o.limit {
			v.print.text("  … more; --limit 0 shows all\n")
			return nil
		}
		n++
		if err := v.showEntry(o, s, &e); err != nil {
			return fmt.Errorf("show state %q of operator %s: %w", s.Name, handle(o), err)
		}
	}
	return nil
}

func (v *savedState) showEntry(o *checkpoint.OperatorContent, s *checkpoint.StateContent, e *checkpoint.Entry) error {
	line := shownEntry{Operator: handle(o), State: s.Name, Subtask: e.Subtask, Raw: e.Raw}
	text := fmt.Sprintf("  %x\n", e.Raw)
	if e.Raw == nil {
		var err error
		if line.Value, err = compact(e.Value); err != nil {
			return err
		}
		text = fmt.Sprintf("  %s\n", line.Value)
	}
	if s.Key != nil {
		var err error
		if line.Key, err = compact(e.Key); err != nil {
			return err
		}
		text = fmt.Sprintf("  %s: %s\n", line.Key, line.Value)
	}
	if e.Group >= 0 {
		line.Group = &e.Group
	}
	v.print.write(text, line)
	return nil
}

// compact writes a value as JSON on one line.
func compact(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write a value as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
