// Package deptest pins the direction of imports: what the architecture says may depend on what.
package deptest

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/weftstream/weft/"

// layers, lowest first: a package imports only packages of its own layer's allowance or of lower layers. A name stands for
// itself and all packages below it; the longest match wins.
var layers = [][]string{
	{"operator", "codec", "conf", "metrics", "internal/version", "internal/pool"},
	{"graph", "filesystem", "hadoop"},
	{"link", "runtime/rpc", "runtime/ha", "runtime/artifact", "runtime/cachedfile", "runtime/state", "runtime/network", "runtime/checkpoint"},
	{"runtime/task"},
	{"runtime/host"},
	{"runtime/taskmanager", "runtime/jobmaster", "runtime/dispatcher", "runtime/resourcemanager", "runtime/jobmanager"},
	{"minicluster"},
	{"stream"},
	{"connector", "statebackend", "streamtest"},
	{"examples"},
}

// forbidden: package (or what lies below it) -> what it must not reach, directly or through others.
var forbidden = map[string][]string{
	"operator":     {""},
	"stream":       {"yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "conf/file"},
	"connector":    {"yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "conf/file"},
	"statebackend": {"stream", "yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "conf/file"},
	"examples":     {"yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "conf/file"},
	"runtime":      {"yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "stream", "connector", "minicluster", "conf/file"},
	"minicluster":  {"yarn", "cli", "rest", "entrypoint", "client", "executor", "standalone", "stream", "connector"},
	"client":       {"yarn", "cli", "standalone", "entrypoint"},
	"yarn":         {"cli", "entrypoint", "stream", "standalone"},
	"standalone":   {"cli", "entrypoint", "stream", "yarn"},
	"rest/api":     {"runtime", "yarn", "cli"},
	"executor":     {"yarn", "cli", "entrypoint", "stream"},
	"entrypoint":   {"cli", "stream", "yarn", "standalone"},
	"hadoop":       {"runtime", "yarn", "cli", "client"},
	"filesystem":   {"runtime", "yarn", "cli", "client", "stream"},
	"conf":         {"runtime", "graph", "operator"},
}

// heavy: libraries an application must not link.
var heavy = []string{"github.com/spf13/viper", "github.com/urfave/cli", "github.com/prometheus/", "k8s.io/", "github.com/hashicorp/go-retryablehttp"}

func under(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func list(t *testing.T, format string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join ."+format+" \" \"}}", module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	deps := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		deps[strings.TrimPrefix(f[0], module)] = f[1:]
	}
	return deps
}

func layerOf(pkg string) (int, string) {
	best, at := "", -1
	for i, names := range layers {
		for _, n := range names {
			if under(pkg, n) && len(n) > len(best) {
				best, at = n, i
			}
		}
	}
	return at, best
}

func TestImportsPointOneWay(t *testing.T) {
	for pkg, imports := range list(t, "Imports") {
		from, _ := layerOf(pkg)
		if from < 0 {
			continue
		}
		for _, imp := range imports {
			imp, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			if to, _ := layerOf(imp); to > from {
				t.Errorf("%s imports %s, which lies above it", pkg, imp)
			}
		}
	}
}

func TestForbiddenDependencies(t *testing.T) {
	for pkg, deps := range list(t, "Deps") {
		for root, not := range forbidden {
			if !under(pkg, root) || root == "conf" && under(pkg, "conf/file") {
				continue
			}
			for _, dep := range deps {
				dep, ours := strings.CutPrefix(dep, module)
				if !ours {
					continue
				}
				for _, bad := range not {
					if bad == "" || under(dep, bad) {
						t.Errorf("%s depends on %s", pkg, dep)
					}
				}
			}
		}
	}
}

func TestApplicationsStaySmall(t *testing.T) {
	for pkg, deps := range list(t, "Deps") {
		if !under(pkg, "stream") && !under(pkg, "examples") {
			continue
		}
		for _, dep := range deps {
			for _, bad := range heavy {
				if strings.HasPrefix(dep, bad) {
					t.Errorf("%s links %s", pkg, dep)
				}
			}
		}
	}
}
