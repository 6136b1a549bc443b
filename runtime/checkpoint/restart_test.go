package checkpoint

import (
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
)

func strategy(t *testing.T, checkpoints bool, pairs ...string) RestartStrategy {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	c, err := conf.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return NewRestartStrategy(c, checkpoints)
}

func TestRestartStrategies(t *testing.T) {
	if _, again, _ := strategy(t, false).Failed(0); again {
		t.Error("a job without checkpoints is restarted by default")
	}
	if delay, again, _ := strategy(t, true).Failed(0); !again || delay != 0 {
		t.Error("a job with checkpoints isn't restarted at once by default")
	}

	s := strategy(t, false, "restart-strategy.type", "fixed-delay", "restart-strategy.fixed-delay.attempts", "3", "restart-strategy.fixed-delay.delay", "7 s")
	for i, want := range []int64{0, 7000, 7000} {
		if delay, again, _ := s.Failed(int64(i)); !again || delay != want {
			t.Errorf("fixed delay, failure %d: %d, %v", i, delay, again)
		}
	}
	if _, again, why := s.Failed(9); again || !strings.Contains(why, "attempts") {
		t.Errorf("a fourth restart of three: %v %q", again, why)
	}

	s = strategy(t, false, "restart-strategy.type", "failure-rate", "restart-strategy.failure-rate.max-failures-per-interval", "2",
		"restart-strategy.failure-rate.failure-rate-interval", "10 s", "restart-strategy.failure-rate.delay", "1 s")
	for _, step := range []struct {
		at, delay int64
		again     bool
	}{{0, 0, true}, {5000, 1000, true}, {11_000, 1000, true}, {12_000, 0, false}} {
		if delay, again, _ := s.Failed(step.at); again != step.again || delay != step.delay {
			t.Errorf("failure rate at %d: %d, %v", step.at, delay, again)
		}
	}

	s = strategy(t, true, "restart-strategy.type", "exponential-delay", "restart-strategy.exponential-delay.initial-backoff", "1 s",
		"restart-strategy.exponential-delay.max-backoff", "3 s", "restart-strategy.exponential-delay.backoff-multiplier", "2",
		"restart-strategy.exponential-delay.jitter-factor", "0", "restart-strategy.exponential-delay.reset-backoff-threshold", "1 min",
		"restart-strategy.exponential-delay.attempts-before-reset-backoff", "5")
	now := int64(0)
	for i, want := range []int64{0, 1000, 2000, 3000, 3000} {
		delay, again, _ := s.Failed(now)
		if !again || delay != want {
			t.Errorf("exponential, failure %d: %d, %v, want %d", i, delay, again, want)
		}
		now += delay + 10
	}
	if _, again, _ := s.Failed(now); again {
		t.Error("more restarts than attempts-before-reset-backoff")
	}
	if delay, again, _ := s.Failed(now + 120_000); !again || delay != 0 {
		t.Error("the pause isn't reset after a time in peace")
	}
}
