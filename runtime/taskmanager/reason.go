package taskmanager

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/weftstream/weft/conf"
)

// outOfMemory is what the Go runtime writes when the system gives it no memory.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory|cannot allocate heap metadata|failed to (allocate|reserve)`)

// ending is how a task host's process has ended.
type ending struct {
	code     int    // exit code, -1 after a signal
	signal   string // "killed", "" without
	crash    string // beginning of the Go runtime's crash report
	memory   int64  // the budget; 0 = unlimited
	attached bool
}

// reason says in one line for people why a task host has ended.
func (e ending) reason() string {
	headline := firstLine(e.crash)
	switch {
	case e.signal == "killed":
		return "killed by SIGKILL from outside: the node ran out of memory, or somebody killed it"
	case e.signal != "":
		return "killed by signal: " + e.signal
	case e.code == 2 && e.memory > 0 && outOfMemory.MatchString(e.crash):
		return fmt.Sprintf("killed by its memory limit of %s: give the slots more memory "+
			"(taskmanager.memory.process.size) or have fewer of them", people(e.memory))
	case e.code == 2 && strings.HasPrefix(headline, "panic: "), e.code == 2 && strings.HasPrefix(headline, "fatal error: "):
		return headline
	case !e.attached:
		return fmt.Sprintf("ended with exit status %d before it attached to the TaskManager: "+
			"stream.Main has to be the first statement of the application's main", e.code)
	}
	return fmt.Sprintf("exit status %d", e.code)
}

// people writes a number of bytes as people read it, 96 MiB.
func people(bytes int64) string {
	switch {
	case bytes >= 10*int64(conf.Gibibyte):
		return fmt.Sprintf("%.1f GiB", float64(bytes)/float64(conf.Gibibyte))
	case bytes >= int64(conf.Mebibyte):
		return fmt.Sprintf("%d MiB", bytes/int64(conf.Mebibyte))
	}
	return fmt.Sprintf("%d bytes", bytes)
}
