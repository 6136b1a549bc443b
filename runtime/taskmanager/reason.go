package taskmanager

import (
	"fmt"
	"strings"

	"github.com/weftstream/weft/link"
)

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
	headline, limit := firstLine(e.crash), link.MemoryDeath(e.code, e.crash, e.memory)
	switch {
	case e.signal == "killed":
		return "killed by SIGKILL from outside: the node ran out of memory, or somebody killed it"
	case e.signal != "":
		return "killed by signal: " + e.signal
	case limit != "":
		return limit + ": give the slots more memory (taskmanager.memory.process.size) or have fewer of them"
	case e.code == 2 && strings.HasPrefix(headline, "panic: "), e.code == 2 && strings.HasPrefix(headline, "fatal error: "):
		return headline
	case !e.attached:
		return fmt.Sprintf("ended with exit status %d before it attached to the TaskManager: "+
			"stream.Main has to be the first statement of the application's main", e.code)
	}
	return fmt.Sprintf("exit status %d", e.code)
}
