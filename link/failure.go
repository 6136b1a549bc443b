package link

import (
	"fmt"
	"strings"
)

// FailureText is a Failure's message in one line, with where it happened unless the message begins with that. subtask is -1
// for an operator's coordinator.
func FailureText(message, operator string, subtask int) string {
	if operator == "" || strings.HasPrefix(message, operator+" (") {
		return message
	}
	where := fmt.Sprintf("(in %s, subtask %d)", operator, subtask)
	if subtask < 0 { // its coordinator
		where = fmt.Sprintf("(in %s)", operator)
	}
	if message == "" {
		return where
	}
	return message + " " + where
}
