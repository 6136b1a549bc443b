package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/link"
)

// application is the user's program as a command needs it.
type application struct {
	client.Application
	// built is the directory of what was built here; "" if nothing was.
	built string
}

// driver is the executable that runs on this machine.
func (a *application) driver() string {
	if a.Driver != "" {
		return a.Driver
	}
	return a.Path
}

// close removes what was built.
func (a *application) close() {
	if a.built != "" {
		os.RemoveAll(a.built)
	}
}

// need says what an application is wanted for.
type need struct {
	// cluster: task hosts run it on the cluster's platform; driver: it runs here as the driver.
	cluster, driver bool
	// remote: it may be a URI that only the cluster can read.
	remote bool
}

// application finds the program that the command line names: an executable, a URI, or the directory of a Go package,
// which is built, with class for the package if that isn't the directory's own.
func (s *session) application(ctx context.Context, words []string, class string, n need) (*application, error) {
	path, args := words[0], words[1:]
	a := &application{Application: client.Application{Path: path, Args: args}}
	if scheme, rest, ok := strings.Cut(path, "://"); ok && scheme != "" {
		if scheme != "file" {
			if !n.remote {
				return nil, fmt.Errorf("run %s: the application's driver runs on this machine, which needs a local file: "+
					"copy it here, or use weft run-application", path)
			}
			return a, class0(class, path)
		}
		path = rest
	} else if rest, ok := strings.CutPrefix(path, "file:"); ok {
		path = rest
	} else if strings.HasPrefix(path, "hdfs:") {
		if n.remote {
			return a, class0(class, path)
		}
		return nil, fmt.Errorf("run %s: the application's driver runs on this machine, which needs a local file: "+
			"copy it here, or use weft run-application", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the application does not exist: %s (neither an executable nor a package directory is there)", path)
	}
	if err != nil {
		return nil, fmt.Errorf("find the application: %w", err)
	}
	if info.IsDir() {
		return s.build(ctx, path, class, args, n)
	}
	if a.Path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("find the application: %w", err)
	}
	if err := class0(class, path); err != nil {
		return nil, err
	}
	return a, s.checkExecutable(a.Path, n)
}

// class0 refuses -c where there is nothing to build.
func class0(class, path string) error {
	if class == "" {
		return nil
	}
	return usagef("-c %s: %s isn't the directory of a module; -c picks the package to build in one", class, path)
}

// checkExecutable refuses what the cluster, or this machine, couldn't run.
func (s *session) checkExecutable(path string, n need) error {
	info, err := link.ReadExecutable(path)
	if err != nil {
		return err
	}
	if err := info.CheckVersion(); err != nil {
		return fmt.Errorf("use %s: %w", path, err)
	}
	if n.cluster {
		if err := info.CheckPlatform(conf.Get(s.conf, conf.WeftClusterPlatform)); err != nil {
			return err
		}
		if w := info.Warning(); w != "" {
			s.log.Warn(w)
		}
	}
	if here := runtime.GOOS + "/" + runtime.GOARCH; n.driver && info.Platform() != here {
		return fmt.Errorf("%s is an executable for %s and its driver runs on this machine, which is %s: "+
			"give the package's directory, and weft builds both, or use weft run-application", path, info.Platform(), here)
	}
	return nil
}

// build builds the main package in dir for the platforms that are needed.
func (s *session) build(ctx context.Context, dir, class string, args []string, n need) (*application, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("build %s: there is no go command in PATH; install Go, or give an executable that was built with "+
			"CGO_ENABLED=0 go build", dir)
	}
	pkg := "."
	if class != "" {
		pkg = packagePattern(class)
	}
	out, err := os.MkdirTemp(s.TempDir, "weft-build-")
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", dir, err)
	}
	name := filepath.Base(dir)
	if abs, err := filepath.Abs(dir); err == nil {
		name = filepath.Base(abs)
	}
	if class != "" {
		name = filepath.Base(class)
	}
	a := &application{Application: client.Application{Args: args}, built: out}
	here := runtime.GOOS + "/" + runtime.GOARCH
	there := conf.Get(s.conf, conf.WeftClusterPlatform)
	if !n.cluster {
		there = here
	}
	s.log.Info("building the application", "package", pkg, "directory", dir, "platform", there)
	a.Path, err = s.goBuild(ctx, dir, pkg, filepath.Join(out, "cluster", name), there)
	if err == nil && n.driver && there != here {
		a.Driver, err = s.goBuild(ctx, dir, pkg, filepath.Join(out, "driver", name), here)
	}
	if err == nil {
		err = s.checkExecutable(a.Path, need{cluster: n.cluster})
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// packagePattern is class as go build wants it: an import path, or a path below the directory.
func packagePattern(class string) string {
	if strings.HasPrefix(class, ".") || filepath.IsAbs(class) {
		return class
	}
	if first, _, _ := strings.Cut(class, "/"); strings.Contains(first, ".") {
		return class
	}
	return "./" + class
}

// goBuild builds pkg for platform and returns the executable's path. The error has what go build wrote.
func (s *session) goBuild(ctx context.Context, dir, pkg, out, platform string) (string, error) {
	goos, goarch, _ := strings.Cut(platform, "/")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=exe", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("build %s: %w", dir, context.Cause(ctx))
		}
		hint := ""
		if bytes.Contains(text.Bytes(), []byte("main package")) {
			hint = "\n-c picks the main package of a module, as in -c ./cmd/wordcount"
		}
		what := dir
		if pkg != "." {
			what += ", package " + pkg + ","
		}
		return "", fmt.Errorf("build %s for %s: %w\n%s%s", what, platform, err, bytes.TrimRight(text.Bytes(), "\n"), hint)
	}
	return out, nil
}
