package link_test

import (
	"testing"

	"github.com/weftstream/weft/link"
)

func TestFailureText(t *testing.T) {
	for _, test := range []struct {
		message, operator string
		subtask           int
		want              string
	}{
		{"boom", "", 0, "boom"},
		{"boom", "counts", 2, "boom (in counts, subtask 2)"},
		{"boom", "counts", -1, "boom (in counts)"},
		{"counts (1/2): boom", "counts", 0, "counts (1/2): boom"},
		{"", "counts", 1, "(in counts, subtask 1)"},
	} {
		if got := link.FailureText(test.message, test.operator, test.subtask); got != test.want {
			t.Errorf("FailureText(%q, %q, %d) = %q, want %q", test.message, test.operator, test.subtask, got, test.want)
		}
	}
}
