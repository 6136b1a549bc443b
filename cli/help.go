package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/link"
)

// appHelp is `weft --help`.
const appHelp = `weft: {{.Usage}}.

Usage: weft <action> [options] [arguments]

Actions:{{range .VisibleCommands}}
  {{printf "%-18s" .Name}}{{.Usage}}{{end}}

weft <action> --help shows an action's options and examples; weft --version the version.
`

// verbHelp is `weft <action> --help`.
func verbHelp(c *cli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "weft %s: %s.\n\nUsage: %s\n", c.Name, c.Usage, strings.TrimSpace("weft "+c.Name+" "+c.ArgsUsage))
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Description)
	}
	b.WriteString("\nOptions:\n")
	for _, o := range visibleOptions(c) {
		fmt.Fprintf(&b, "  %-38s %s\n", o.names, o.usage)
	}
	return b.String()
}

// option is an option as help shows it.
type option struct{ names, usage string }

// visibleOptions are the options for people: "-p,--parallelism <value>", as Flink shows them.
func visibleOptions(c *cli.Command) []option {
	var all []option
	for _, f := range c.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		if v, hides := f.(cli.VisibleFlag); !ok || hides && !v.IsVisible() {
			continue
		}
		var names []string
		for i, name := range f.Names() { // the long name comes first, unless there is only a short one
			if i > 0 || len(name) == 1 {
				names = append([]string{"-" + name}, names...)
			} else {
				names = append(names, "--"+name)
			}
		}
		text := strings.Join(names, ",")
		placeholder, usage := unquoted(d.GetUsage())
		if d.TakesValue() {
			text += " <" + placeholder + ">"
		}
		all = append(all, option{text, usage})
	}
	return append(all, option{"-h,--help", "show this help"})
}

// unquoted takes the name of the value out of a usage text: what stands in backquotes.
func unquoted(usage string) (placeholder, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	name, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		return "value", usage
	}
	return name, before + name + after
}

// usageLine is how a verb is called.
func usageLine(name string) string {
	if name == "" {
		return "weft <action> [options] [arguments]"
	}
	for _, v := range verbs(&Env{}) {
		if v.command.Name == name {
			return "weft " + name + " " + v.command.ArgsUsage
		}
	}
	return ""
}

func versionText() string {
	return fmt.Sprintf("Version: %s, Commit ID: %s", link.Version, commit())
}

func versionVerb(env *Env) verb {
	return verb{command: &cli.Command{Name: "version", Usage: "print the version", ArgsUsage: " ",
		Action: func(*cli.Context) error {
			fmt.Fprintln(env.Out, versionText())
			return nil
		}}}
}
