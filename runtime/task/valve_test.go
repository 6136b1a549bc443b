package task

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weftstream/weft/operator"
)

// TestValve: each step is channel:watermark (i for idle), the output what passes.
func TestValve(t *testing.T) {
	for steps, want := range map[string]string{
		"0:5 1:3 1:4 0:9 1:20":    "3 4 9",
		"0:5 1:i 0:7":             "5 7",      // the idle channel doesn't count
		"0:5 1:i 1:3 0:9 1:8":     "5 8",      // it is back, behind: nothing falls, and it counts again
		"0:5 1:3 0:i 1:4 0:5 1:6": "3 4 5",    // its last mark again brings it back
		"0:5 1:3 0:i 1:i 1:3":     "3 idle 3", // all idle, and one back
		"0:5 1:3 0:i 1:i 1:9":     "3 idle 9",
		"0:i 1:i 0:2 1:1 1:4":     "idle 2", // channel 0 still holds back at 2
		"0:i 0:i 1:2":             "2",
	} {
		t.Run(steps, func(t *testing.T) {
			var v valve
			v.add()
			v.add()
			var got []string
			for _, s := range strings.Fields(steps) {
				var channel int
				var mark int64
				if _, err := fmt.Sscanf(s, "%d:%d", &channel, &mark); err != nil {
					mark = operator.IdleWatermark
				}
				switch low, pass := v.advance(channel, mark); {
				case pass && low == operator.IdleWatermark:
					got = append(got, "idle")
				case pass:
					got = append(got, fmt.Sprint(low))
				}
			}
			if g := strings.Join(got, " "); g != want {
				t.Fatalf("got %q, want %q", g, want)
			}
		})
	}
}
