package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/viper"
)

// setting is one key of a file; the key is whole ("a.b.c") and in the case it was written in.
type setting struct {
	key, value string
	line       int
}

const (
	// settingsKey is the one key our codecs give viper. Viper lower-cases the keys it is given and takes them apart at
	// their dots, and keys here keep their case (containerized.taskmanager.env.LD_LIBRARY_PATH) and may be both a value
	// and the beginning of others (restart-strategy), so they travel as a list below a key of ours.
	settingsKey = "settings"
	maxFileSize = 4 << 20
)

// format is a codec's name in viper.
type format string

const (
	formatYAML format = "yaml"
	formatFlat format = "properties" // one of the names viper allows
)

// codec makes one of our decoders a viper codec; nothing is ever encoded.
type codec func(data []byte) ([]setting, error)

func (d codec) Decode(data []byte, into map[string]any) error {
	settings, err := d(data)
	into[settingsKey] = settings
	return err
}

func (codec) Encode(map[string]any) ([]byte, error) {
	return nil, errors.New("configuration files are never written")
}

// read parses the file at path by the syntax its name stands for.
func read(path string) ([]setting, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileSize)
	}
	codecs := viper.NewCodecRegistry()
	if err := errors.Join(
		codecs.RegisterCodec(string(formatYAML), codec(parseYAML)),
		codecs.RegisterCodec(string(formatFlat), codec(parseFlat)),
	); err != nil {
		return nil, fmt.Errorf("register configuration codecs: %w", err)
	}
	v := viper.NewWithOptions(viper.WithCodecRegistry(codecs))
	v.SetConfigFile(path)
	v.SetConfigType(string(formatYAML))
	if filepath.Base(path) == LegacyName {
		v.SetConfigType(string(formatFlat))
	}
	if err := v.ReadInConfig(); err != nil {
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			syntax.Path = path
			return nil, syntax
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	settings, _ := v.Get(settingsKey).([]setting)
	return settings, nil
}

// SyntaxError is returned for a file that is not of the form its name promises.
type SyntaxError struct {
	Path    string
	Line    int // 0 if unknown
	Problem string
}

// Error is "path:line: problem".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Problem
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Problem)
}
