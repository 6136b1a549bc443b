package task

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weftstream/weft/operator"
)

// passed are the watermarks that an input got.
type passed []string

func (p *passed) Batch(operator.Batch) error { return nil }
func (p *passed) End() error                 { return nil }

func (p *passed) Watermark(t int64) error {
	text := fmt.Sprint(t)
	switch t {
	case operator.IdleWatermark:
		text = "idle"
	case operator.MaxWatermark:
		text = "max"
	}
	*p = append(*p, text)
	return nil
}

// TestValve: each step is channel:watermark (i for idle, e for the end), the output what passes.
func TestValve(t *testing.T) {
	for steps, want := range map[string]string{
		"0:5 1:3 1:4 0:9 1:20":    "3 4 9",
		"0:5 1:i 0:7":             "5 7",        // the idle channel doesn't count
		"0:5 1:i 1:3 0:9 1:8":     "5 8",        // it is back, behind: nothing falls, and it counts again
		"0:5 1:3 0:i 1:4 0:5 1:6": "3 4 5",      // its last mark again brings it back
		"0:5 1:3 0:i 1:i 1:3":     "3 5 idle 5", // all idle: no matter which was the last; and one back
		"0:5 1:3 1:i 0:i 1:3":     "3 5 idle 5",
		"0:5 1:3 0:i 1:i 1:9":     "3 5 idle 9",
		"0:i 1:i 0:2 1:1 1:4":     "idle 2", // channel 0 still holds back at 2
		"0:i 0:i 1:2":             "2",
		"0:5 0:e 1:3 1:i 1:4 1:e": "3 idle 4 max", // what has ended doesn't end time for what is idle
		"0:5 1:3 1:i 0:e 1:4 1:e": "3 5 idle 5 max",
		"0:i 1:i 0:e 1:e":         "idle max",
		"0:e 1:e":                 "max",
	} {
		t.Run(steps, func(t *testing.T) {
			var got passed
			in := &input{in: &got}
			in.valve.add()
			in.valve.add()
			for _, s := range strings.Fields(steps) {
				var channel int
				var mark int64
				if _, err := fmt.Sscanf(s, "%d:%d", &channel, &mark); err != nil {
					mark = map[bool]int64{true: operator.MaxWatermark, false: operator.IdleWatermark}[s[len(s)-1] == 'e']
				}
				if _, _, err := (port{in: in, index: channel}).mark(mark); err != nil {
					t.Fatal(err)
				}
			}
			if g := strings.Join(got, " "); g != want {
				t.Fatalf("got %q, want %q", g, want)
			}
		})
	}
}
