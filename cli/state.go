package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// stateOptions are state's.
type stateOptions struct {
	commonOptions
	operator, state string
	limit           int
	count           bool
}

func stateVerb(env *Env) verb {
	o := &stateOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "state", Usage: "show what a savepoint or checkpoint holds", ArgsUsage: "[options] list|show <path>",
		Description: `list shows the operators with their states; show prints the entries of an operator's states. No cluster is needed, and not the
program either: the schemas of keys and values are part of the checkpoint. The path is that of its directory or its _metadata
file. Names of states that begin with "_" are the engine's own: windows and timers.

Examples:
  weft state list hdfs:///savepoints/savepoint-0f3c2a-1b2c3d4e5f60
  weft state list --count file:///checkpoints/0f3c2a51d9874e0b8a54b8d7c1e2f693/chk-7
  weft state show hdfs:///savepoints/savepoint-0f3c2a-1b2c3d4e5f60 --operator counts --limit 10
  weft state show ./savepoint --operator counts --state total --limit 0 --json | jq .value`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "operator", Usage: "show: `uid`, id or name of the operator", Destination: &o.operator},
			&cli.StringFlag{Name: "state", Usage: "show: only the state of this `name`", Destination: &o.state},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "show: print so many entries of a state at most; 0 prints all (default 100)", Destination: &o.limit},
			&cli.BoolFlag{Name: "count", Usage: "list: count entries, for which all state is read", Destination: &o.count},
		}, o.commonOptions.flags()...),
		Action: func(c *cli.Context) error {
			action, err := o.action(c)
			if err != nil {
				return err
			}
			return o.on(c.Context, env, c.Args().Get(1), action)
		},
	}}
}

// stateAction does something with a checkpoint that was read.
type stateAction func(ctx context.Context, v *savedState) error

// savedState is a checkpoint that was read.
type savedState struct {
	*session
	o         *stateOptions
	storage   *checkpoint.Storage
	md        *checkpointpb.Metadata
	operators []checkpoint.OperatorContent
}

// action checks the arguments and says what is to be done.
func (o *stateOptions) action(c *cli.Context) (stateAction, error) {
	switch {
	case c.NArg() > 2:
		return nil, usagef("unexpected argument: %s", c.Args().Get(2))
	case o.limit < 0:
		return nil, usagef("--limit %d: it takes 0 or more", o.limit)
	}
	switch name := c.Args().First(); {
	case name != "list" && name != "show":
		return nil, usagef("it takes list or show, and the path of a savepoint or checkpoint")
	case c.NArg() < 2:
		return nil, usagef("the path of a savepoint or checkpoint is missing")
	case name == "list" && (o.operator != "" || o.state != ""):
		return nil, usagef("list shows all operators; --operator and --state go with show")
	case name == "list":
		return listState, nil
	case o.operator == "":
		return nil, usagef("--operator is missing; weft state list shows which there are")
	}
	return showState, nil
}

// on reads the checkpoint and does something with it.
func (o *stateOptions) on(ctx context.Context, env *Env, path string, do stateAction) error {
	s, err := env.load(&o.commonOptions)
	if err != nil {
		return err
	}
	files, err := hdfs.NewSet(s.conf, s.Getenv)
	if err != nil {
		return err
	}
	defer files.Close()
	v := &savedState{session: s, o: o, storage: checkpoint.NewStorage(files)}
	if v.md, err = v.storage.Load(ctx, path); err != nil {
		return err
	}
	if v.operators, err = checkpoint.Operators(v.md); err != nil {
		return err
	}
	return do(ctx, v)
}

// find finds the operator that --operator names: by uid, then by id, then by name.
func (v *savedState) find(which string) (*checkpoint.OperatorContent, error) {
	for _, is := range []func(*checkpoint.OperatorContent) bool{
		func(o *checkpoint.OperatorContent) bool { return o.UID == which },
		func(o *checkpoint.OperatorContent) bool { return o.ID.String() == strings.ToLower(which) },
		func(o *checkpoint.OperatorContent) bool { return o.Name == which },
	} {
		var found []*checkpoint.OperatorContent
		for i := range v.operators {
			if is(&v.operators[i]) {
				found = append(found, &v.operators[i])
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, fmt.Errorf("find operator %q in %s: there are %d of that name; use the id of one: %s", which, v.md.GetDirectory(), len(found), ids(found))
		}
	}
	var names []string
	for i := range v.operators {
		if o := &v.operators[i]; len(o.States) > 0 {
			names = append(names, handle(o))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("find operator %q in %s: no operator has state in it", which, v.md.GetDirectory())
	}
	return nil, fmt.Errorf("find operator %q in %s: there is none; those with state are %s", which, v.md.GetDirectory(), strings.Join(names, ", "))
}

func ids(operators []*checkpoint.OperatorContent) string {
	var all []string
	for _, o := range operators {
		all = append(all, o.ID.String())
	}
	return strings.Join(all, ", ")
}

// handle is the shortest name that finds an operator for certain.
func handle(o *checkpoint.OperatorContent) string {
	if o.UID != "" {
		return o.UID
	}
	return o.ID.String()
}

// kindNames are those of the public API.
var kindNames = map[operator.StateKind]string{
	operator.KeyedState: "keyed", operator.ListState: "list", operator.UnionState: "union", operator.BroadcastState: "broadcast",
}

func kindName(k operator.StateKind) string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", k)
}

// typeName is what the state's entries are, as far as the checkpoint tells.
func typeName(s *checkpoint.StateContent) string {
	switch {
	case s.Opaque():
		return "the operator's own bytes"
	case s.Key == nil:
		return s.Value.String()
	}
	return s.Key.String() + " -> " + s.Value.String()
}
