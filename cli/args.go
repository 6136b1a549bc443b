package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// dynamicOptions are the options whose value may follow without a space: -Dkey=value.
var dynamicOptions = []string{"yD", "D"}

// rewrite turns Flink's (Apache Commons CLI's) way of writing options into that of package flag:
//
//	-Dkey=value      -D key=value
//	-p4              -p 4             (an option's short name and a number)
//	JOB -x           -x JOB           unless program, where all that follows the first argument is left as it is
func rewrite(command *cli.Command, args []string, program bool) []string {
	takesValue := optionNames(command)
	var options, arguments []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case program && (arg == "--" || !isOption(arg)):
			return append(options, args[i:]...)
		case arg == "--":
			return slices.Concat(options, []string{"--"}, arguments, args[i+1:])
		case !isOption(arg):
			arguments = append(arguments, arg)
			continue
		}
		split, value, attached := splitOption(arg, takesValue)
		options = append(options, split)
		switch {
		case attached:
			options = append(options, value)
		case takesValue[optionName(split)] && !strings.Contains(split, "=") && i+1 < len(args):
			i++
			options = append(options, args[i])
		}
	}
	if len(arguments) > 0 {
		options = append(append(options, "--"), arguments...)
	}
	return options
}

// optionNames are the command's options, and whether they take a value.
func optionNames(command *cli.Command) map[string]bool {
	names := map[string]bool{"h": false, "help": false}
	for _, f := range command.Flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			names[name] = !isBool
		}
	}
	return names
}

func isOption(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// optionName is the name in -name, --name or -name=value.
func optionName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	return name
}

// splitOption takes apart an option and its value where no space is between them.
func splitOption(arg string, takesValue map[string]bool) (option, value string, attached bool) {
	name := optionName(arg)
	if _, known := takesValue[name]; known || strings.HasPrefix(arg, "--") {
		return arg, "", false
	}
	for _, d := range dynamicOptions {
		if rest, ok := strings.CutPrefix(arg, "-"+d); ok && takesValue[d] && rest != "" {
			return "-" + d, rest, true
		}
	}
	digits := strings.TrimLeft(arg[1:], "abcdefghijklmnopqrstuvwxyz")
	short := arg[1 : len(arg)-len(digits)]
	if digits != "" && digits[0] >= '0' && digits[0] <= '9' && takesValue[short] {
		return "-" + short, digits, true
	}
	return arg, "", false
}
