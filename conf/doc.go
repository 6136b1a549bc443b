// Package conf declares every configuration option once and holds configuration values.
//
// The keys and the value syntax are Flink's, so that a config.yaml written for Flink is understood: an Option carries
// its key, type, default, unit, one sentence of meaning, its older names, and where its default differs from Flink's and
// why. Parsing, error texts and the reference page (docs/configuration.md) all come from these declarations.
//
// A Configuration is an immutable set of key-value pairs kept exactly as they were written. Builder makes one out of
// layers (file, -D, flags), checks every value of a declared key and collects Warnings: an unknown key is a warning that
// names the nearest known one, never an error, since a configuration file is shared by versions of Weft and of Flink.
// Because a Configuration only ever holds values that parse, Get cannot fail:
//
//	c, warnings, err := new(conf.Builder).Set("parallelism.default", "4", "-D").Build()
//	n := conf.Get(c, conf.ParallelismDefault)
//
// The package imports nothing of Weft, reads no file and no environment variable (conf/file does) and starts no
// goroutine. Everything exported is safe for concurrent use except a Builder.
package conf
