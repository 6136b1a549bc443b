package yarntest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weftstream/weft/hadoop/records"
)

// killDelay is how long a process has between SIGTERM and SIGKILL, as in YARN.
const killDelay = 250 * time.Millisecond

// Fetch copies the file that a URL names to a local path.
type Fetch func(ctx context.Context, url, path string) error

// Processes runs each container as a real process group below dir, as a
// NodeManager does: resources copied and linked, the token file, a launch
// script with YARN's environment, SIGTERM and then SIGKILL to end it. Files are
// fetched by fetch; nil serves file: URLs. Logs are in
// <dir>/logs/<application>/<container>/.
func Processes(dir string, fetch Fetch) Launcher {
	return func(ctx context.Context, l *Launch) (int32, string) {
		p := &process{dir: dir, fetch: fetch, launch: l}
		if err := p.localize(ctx); err != nil {
			return records.ExitInvalid, fmt.Sprintf("Failed to localize %s: %s", l.ID, err)
		}
		return p.run(ctx)
	}
}

type process struct {
	dir    string
	fetch  Fetch
	launch *Launch
	work   string
	logs   string
}

// localize prepares the working directory.
func (p *process) localize(ctx context.Context) error {
	app, id := p.launch.ID.Attempt.Application.String(), p.launch.ID.String()
	appDir := filepath.Join(p.dir, "usercache", p.launch.User, "appcache", app)
	p.work, p.logs = filepath.Join(appDir, id), filepath.Join(p.dir, "logs", app, id)
	cache := filepath.Join(appDir, "filecache", id)
	for _, d := range []string{p.work, p.logs, cache} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for i, name := range slices.Sorted(maps.Keys(p.launch.Context.LocalResources)) {
		r := p.launch.Context.LocalResources[name]
		target := filepath.Join(cache, fmt.Sprint(i))
		if err := p.get(ctx, r, target); err != nil {
			return fmt.Errorf("%s: %w", r.URL, err)
		}
		link := filepath.Join(p.work, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(p.work, "container_tokens"), p.launch.Context.Credentials.Marshal(), 0o600)
}

// get copies one resource and makes it as YARN does: executable, or unpacked.
func (p *process) get(ctx context.Context, r records.LocalResource, target string) error {
	fetch := p.fetch
	if u, err := url.Parse(r.URL); err == nil && (fetch == nil || u.Scheme == "file") {
		if u.Scheme != "file" {
			return errors.New("only file: URLs are served here")
		}
		info, err := os.Stat(u.Path)
		if err != nil {
			return err
		}
		if info.Size() != r.Size || info.ModTime().UnixMilli() != r.Timestamp {
			return fmt.Errorf("Resource %s changed on src filesystem - expected: %d, was: %d, size expected: %d, was: %d",
				r.URL, r.Timestamp, info.ModTime().UnixMilli(), r.Size, info.Size())
		}
		fetch = copyFile
	}
	file := target
	if r.Type == records.ResourceArchive {
		file += ".archive"
	}
	if err := fetch(ctx, r.URL, file); err != nil {
		return err
	}
	if r.Type != records.ResourceArchive {
		return os.Chmod(file, 0o500)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", file, "-C", target).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack: %w: %s", err, out)
	}
	return nil
}

func copyFile(_ context.Context, from, to string) error {
	u, err := url.Parse(from)
	if err != nil {
		return err
	}
	src, err := os.Open(u.Path)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// script is YARN's launch script: values stand in double quotes, where the
// shell expands them.
func (p *process) script() string {
	l := p.launch
	env := maps.Clone(l.Context.Environment)
	if env == nil {
		env = make(map[string]string)
	}
	maps.Copy(env, map[string]string{
		"CONTAINER_ID": l.ID.String(), "NM_HOST": l.Node.Host, "NM_PORT": fmt.Sprint(l.Node.Port),
		"NM_HTTP_PORT": "8042", "LOCAL_DIRS": filepath.Dir(p.work), "LOG_DIRS": p.logs,
		"LOCAL_USER_DIRS": filepath.Join(p.dir, "usercache", l.User), "USER": l.User, "LOGNAME": l.User,
		"HOME": "/home/", "PWD": p.work,
		"HADOOP_TOKEN_FILE_LOCATION": filepath.Join(p.work, "container_tokens"),
	})
	if l.Master {
		env["APPLICATION_WEB_PROXY_BASE"] = "/proxy/" + l.ID.Attempt.Application.String()
		env["APP_SUBMIT_TIME_ENV"] = fmt.Sprint(time.Now().UnixMilli())
	}
	var b strings.Builder
	b.WriteString("#!/bin/bash\nset -o pipefail -e\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "export %s=\"%s\"\n", name, strings.ReplaceAll(env[name], "<LOG_DIR>", p.logs))
	}
	command := strings.ReplaceAll(l.Context.Command, "<LOG_DIR>", p.logs)
	fmt.Fprintf(&b, "exec /bin/bash -c \"%s\"\n", command)
	return b.String()
}

func (p *process) run(ctx context.Context) (int32, string) {
	path := filepath.Join(p.work, "launch_container.sh")
	if err := os.WriteFile(path, []byte(p.script()), 0o700); err != nil {
		return records.ExitInvalid, err.Error()
	}
	cmd := exec.Command("/bin/bash", path)
	cmd.Dir = p.work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for name, out := range map[string]*io.Writer{"prelaunch.out": &cmd.Stdout, "prelaunch.err": &cmd.Stderr} {
		f, err := os.Create(filepath.Join(p.logs, name))
		if err != nil {
			return records.ExitInvalid, err.Error()
		}
		defer f.Close()
		*out = f
	}
	if err := cmd.Start(); err != nil {
		return records.ExitInvalid, err.Error()
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // received below on every path
	return exitStatus(cmd, p.attend(ctx, cmd.Process.Pid, done))
}

// attend delivers signals until the process has ended.
func (p *process) attend(ctx context.Context, pid int, done <-chan error) error {
	kill := func(s syscall.Signal) { syscall.Kill(-pid, s) }
	for {
		select {
		case err := <-done:
			kill(syscall.SIGKILL) // what it left behind
			return err
		case s := <-p.launch.Signals:
			switch s {
			case SignalThreadDump:
				kill(syscall.SIGQUIT)
			case SignalGraceful:
				kill(syscall.SIGTERM)
			case SignalForceful:
				kill(syscall.SIGKILL)
			}
		case <-ctx.Done():
			kill(syscall.SIGTERM)
			select {
			case err := <-done:
				kill(syscall.SIGKILL)
				return err
			case <-time.After(killDelay):
			}
			kill(syscall.SIGKILL)
			return <-done
		}
	}
}

// exitStatus is a shell's: 128 plus the signal for a process that was killed.
func exitStatus(cmd *exec.Cmd, err error) (int32, string) {
	if err == nil {
		return 0, ""
	}
	code := int32(cmd.ProcessState.ExitCode())
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int32(ws.Signal())
	}
	return code, fmt.Sprintf("Exception from container-launch.\nExit code: %d", code)
}
