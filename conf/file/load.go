// Package file finds and reads config.yaml and lays what the command line says over it.
//
// Only cli and entrypoint import it; everything else gets a conf.Configuration. Load keeps nothing and starts no
// goroutine.
package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weftstream/weft/conf"
)

// ConfDirVariables are the environment variables that name the directory of the configuration file, best first.
var ConfDirVariables = [...]string{"WEFT_CONF_DIR", "FLINK_CONF_DIR"}

// Names of the configuration file: the current one, and the flat one of Flink before 1.19, read only without the other.
const (
	Name       = "config.yaml"
	LegacyName = "flink-conf.yaml"
)

// ErrNoFile is returned when a directory is named and holds no configuration file.
var ErrNoFile = errors.New("no configuration file")

// Dynamic is one setting of the command line; a later one replaces an earlier one, and all of them the file's.
type Dynamic struct {
	Key, Value string
	Origin     string // for messages: "-D", "--parallelism"
}

// ParseDynamic splits "key=value" at the first "="; a key alone is set to true. origin is Dynamic's.
func ParseDynamic(s, origin string) (Dynamic, error) {
	key, value, found := strings.Cut(s, "=")
	if key = strings.TrimSpace(key); key == "" {
		return Dynamic{}, fmt.Errorf("%s: no key in %q: expected key=value", origin, s)
	}
	if !found {
		value = "true"
	}
	return Dynamic{key, strings.TrimSpace(value), origin}, nil
}

// Load reads the configuration file of the directory that the environment names, if it names one, and lays dynamic over
// it. A directory that is named must exist and hold a file. The error joins a *conf.ValueError for each bad value; a
// file that can't be parsed is an error with its line. env is like os.Getenv.
func Load(env func(string) string, dynamic []Dynamic) (conf.Configuration, []conf.Warning, error) {
	var b conf.Builder
	variable, dir := Dir(env)
	if dir != "" {
		path, err := find(dir)
		if err != nil {
			return conf.Configuration{}, nil, fmt.Errorf("load configuration from %s=%s: %w", variable, dir, err)
		}
		settings, err := read(path)
		if err != nil {
			return conf.Configuration{}, nil, fmt.Errorf("load configuration from %s=%s: %w", variable, dir, err)
		}
		for _, s := range settings {
			b.Set(s.key, s.value, fmt.Sprintf("%s:%d", path, s.line))
		}
	}
	for _, d := range dynamic {
		b.Set(d.Key, d.Value, d.Origin)
	}
	c, warnings, err := b.Build()
	if err != nil {
		return conf.Configuration{}, warnings, fmt.Errorf("load configuration: %w", err)
	}
	return c, warnings, nil
}

// Dir is the directory of the configuration file and the variable that names it; both are empty if none does.
func Dir(env func(string) string) (variable, dir string) {
	for _, v := range ConfDirVariables {
		if d := env(v); d != "" {
			return v, d
		}
	}
	return "", ""
}

// find is the path of dir's configuration file.
func find(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("find the directory: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", dir)
	}
	for _, name := range []string{Name, LegacyName} {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
	}
	return "", fmt.Errorf("%w: neither %s nor %s is in it; create one (an empty %s will do) or unset the variable",
		ErrNoFile, Name, LegacyName, Name)
}
