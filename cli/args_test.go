package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	all := map[string]verb{}
	for _, v := range verbs(&Env{}) {
		all[v.command.Name] = v
	}
	for _, test := range []struct{ verb, args, want string }{
		{"run", "-Da.b=c app", "-D|a.b=c|app"},
		{"run", "-D a.b=c app", "-D|a.b=c|app"},
		{"run", "-Da.b=c=d,e -yDx=y app", "-D|a.b=c=d,e|-yD|x=y|app"},
		{"run", "-Dkey app", "-D|key|app"},
		{"run", "-d app", "-d|app"},
		{"run", "-sae -p4 app", "-sae|-p|4|app"},
		{"run", "-ys2 -yjm1024 -ytm 2g app", "-ys|2|-yjm|1024|-ytm|2g|app"},
		{"run", "-p -3 app", "-p|-3|app"},
		{"run", "--parallelism=3 app", "--parallelism=3|app"},
		{"run", "-p=3 app", "-p=3|app"},
		{"run", "app -p 3 -Dx=y --json", "app|-p|3|-Dx=y|--json"},
		{"run", "-- app -p 3", "--|app|-p|3"},
		{"run", "-d -m host:1 app -- -x", "-d|-m|host:1|app|--|-x"},
		{"run", "-unknown app", "-unknown|app"},
		{"run", "-p", "-p"},
		{"list", "-r -a -Dx=y", "-r|-a|-D|x=y"},
		{"list", "extra -r", "-r|--|extra"},
		{"cancel", "0a1b -m host:1 --json", "-m|host:1|--json|--|0a1b"},
		{"cancel", "0a1b -Dx=y", "-D|x=y|--|0a1b"},
		{"cancel", "-- -weird", "--|-weird"},
		{"yarn-session", "stop app1 -v", "-v|--|stop|app1"},
		{"yarn-session", "-s4 -tm1024 -jm 1g -d -nm name -qu q", "-s|4|-tm|1024|-jm|1g|-d|-nm|name|-qu|q"},
		{"yarn-session", "-id application_1_2 -Dx", "-id|application_1_2|-D|x"},
	} {
		v := all[test.verb]
		got := rewrite(v.command, strings.Fields(test.args), v.program)
		if want := strings.Split(test.want, "|"); !slices.Equal(got, want) {
			t.Errorf("%s %s:\n got %q\nwant %q", test.verb, test.args, got, want)
		}
	}
}

// What follows the application is the application's own, whatever it looks like.
func FuzzRewriteKeepsArguments(f *testing.F) {
	f.Add("-p 3", "-p 4 --json")
	f.Add("-Dx=y -d", "-Dx -- -h")
	v := runVerb(&Env{})
	f.Fuzz(func(t *testing.T, options, arguments string) {
		var before []string
		for _, o := range strings.Fields(options) {
			if strings.HasPrefix(o, "-D") && len(o) > 2 {
				before = append(before, o)
			}
		}
		after := append([]string{"app"}, strings.Split(arguments, " ")...)
		got := rewrite(v.command, slices.Concat(before, after), true)
		if len(got) < len(after) || !slices.Equal(got[len(got)-len(after):], after) {
			t.Errorf("%q then %q became %q", before, after, got)
		}
	})
}
