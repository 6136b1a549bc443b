package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/conf/file"
)

// session is what a command works with, besides its own options.
type session struct {
	*Env
	conf conf.Configuration
	// target is execution.target as the command line and the configuration have it.
	target string
	log    *slog.Logger
	print  *printer
	// properties is the YARN properties file that the session was found in; nil: it wasn't looked for, or wasn't used.
	properties *propertiesFile
	// without is the configuration that holds without the properties file.
	without conf.Configuration
}

// load makes the configuration of dynamic settings over the file, and the log.
func (env *Env) load(o *commonOptions, more ...file.Dynamic) (*session, error) {
	d, err := dynamic(o.dynamic.Value(), "-D")
	if err != nil {
		return nil, err
	}
	c, warnings, err := file.Load(env.Getenv, append(d, more...))
	if err != nil {
		return nil, configurationError(err)
	}
	level := logLevel(conf.Get(c, conf.EnvLogLevel))
	if o.verbose {
		level = slog.LevelDebug
	}
	s := &session{Env: env, conf: c, log: newLogger(env.Err, level), print: &printer{out: env.Out, json: o.json}}
	for _, w := range warnings {
		switch {
		case w.Kind != conf.NoEffect:
			s.log.Warn("configuration: " + w.String())
		case strings.HasPrefix(w.Origin, "-"):
			s.log.Info("configuration: " + w.String()) // it was asked for just now
		default:
			s.log.Debug("configuration: " + w.String()) // a file that Flink shares has many
		}
	}
	s.target = conf.Get(c, conf.ExecutionTarget)
	return s, nil
}

// configurationError tells values that the command line has wrong from a file or directory that can't be read.
func configurationError(err error) error {
	var value *conf.ValueError
	if errors.As(err, &value) && strings.HasPrefix(value.Origin, "-") {
		return &usageError{err: err}
	}
	return &exitError{ExitConfiguration, err}
}

// load makes the configuration and finds the target as Flink does: -t or execution.target; then what speaks for YARN: -m
// yarn-cluster, an application's id, the properties file of a session; then -m or a configured endpoint. more are
// settings above -D. The target is "" if nothing speaks for any.
func (o *targetOptions) load(env *Env, more ...file.Dynamic) (*session, error) {
	own, err := o.settings()
	if err != nil {
		return nil, err
	}
	more = append(own, more...)
	s, err := env.load(&o.commonOptions, more...)
	if err != nil {
		return nil, err
	}
	if s.target != "" {
		if all := env.targets(); !slices.Contains(all, s.target) {
			return nil, usagef("-t %s (execution.target): there is no such target; expected one of %s", s.target, strings.Join(all, ", "))
		}
		if s.target != targetSession {
			return s, nil
		}
	}
	// A session without an id is the one that was started last.
	switch id := conf.Get(s.conf, conf.YarnApplicationId); {
	case id != "":
		s.target = targetSession
	case o.manager == managerYARN && s.target == "":
		s.target = targetPerJob
	case o.manager == "" && !o.yarn.isSet() && !o.ignoreProperties:
		if s, err = o.fromProperties(s, more); err != nil {
			return nil, err
		}
	}
	s.remoteByDefault()
	return s, nil
}

// remoteByDefault takes the endpoint that is configured if nothing speaks for another target.
func (s *session) remoteByDefault() {
	if _, configured := conf.Lookup(s.conf, conf.RestAddress); s.target == "" && configured {
		s.target = targetRemote
	}
}

// fromProperties takes the session of the YARN properties file, if there is one. What was given with it is above the
// configuration file and below this command line.
func (o *targetOptions) fromProperties(s *session, more []file.Dynamic) (*session, error) {
	f, err := readProperties(s.propertiesPath())
	if errors.Is(err, errNotOwn) {
		s.log.Warn("the YARN properties file is ignored: " + err.Error())
		return s, nil
	}
	if err != nil || f == nil {
		return s, err
	}
	below, err := dynamic(f.dynamic, f.path)
	if err != nil {
		return nil, &exitError{ExitConfiguration, fmt.Errorf("read %s: %w; remove it with: rm %s", f.path, err, f.path)}
	}
	below = append(below, file.Dynamic{Key: conf.YarnApplicationId.Key(), Value: f.id, Origin: f.path})
	own, err := dynamic(o.dynamic.Value(), "-D")
	if err != nil {
		return nil, err
	}
	c, _, err := file.Load(s.Getenv, slices.Concat(below, own, more))
	if err != nil {
		return nil, configurationError(err)
	}
	s.log.Info("Found Yarn properties file under "+f.path+".", "applicationId", f.id)
	s.conf, s.without, s.target, s.properties = c, s.conf, targetSession, f
	return s, nil
}

// settings are what the options say, in the form of configuration keys.
func (o *targetOptions) settings() ([]file.Dynamic, error) {
	var s settings
	y, err := dynamic(o.yarn.dynamic.Value(), "-yD")
	if err != nil {
		return nil, err
	}
	s = append(s, y...)
	s.add(conf.ExecutionTarget.Key(), o.executor, "--executor")
	s.add(conf.ExecutionTarget.Key(), o.target, "--target")
	s.add(conf.HighAvailabilityClusterId.Key(), o.namespace, "--zookeeperNamespace")
	y, err = o.yarn.settings("y")
	if err != nil {
		return nil, err
	}
	s = append(s, y...)
	if o.manager == "" || o.manager == managerYARN {
		return s, nil
	}
	m, err := managerSettings(o.manager)
	return append(s, m...), err
}

// managerSettings are what -m host:port, or a URL with a path, says.
func managerSettings(manager string) ([]file.Dynamic, error) {
	bad := usagef("-m %s: expected host:port, http://host:port/path or %s", manager, managerYARN)
	text := manager
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, bad
	}
	port := u.Port()
	switch {
	case u.Scheme == "https":
		return nil, usagef("-m %s: REST endpoints of Weft speak HTTP, not HTTPS", manager)
	case u.Scheme != "http", port == "" && !strings.Contains(manager, "://"):
		return nil, bad
	case port == "":
		port = "80"
	}
	var s settings
	s.add(conf.RestAddress.Key(), u.Hostname(), "--jobmanager")
	s.add(conf.RestPort.Key(), port, "--jobmanager")
	s.add(conf.RestPath.Key(), strings.Trim(u.Path, "/"), "--jobmanager")
	return s, nil
}

// errNoTarget is what a command without a target says.
func errNoTarget() error {
	return usagef("No cluster id was specified. Please specify a cluster to which you would like to connect: " +
		"-t yarn-session -Dyarn.application.id=<id>, or -m host:port")
}
