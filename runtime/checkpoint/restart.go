package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/weftstream/weft/conf"
)

// RestartStrategy says whether a job that has failed runs again, and after which pause. Not safe for concurrent use.
type RestartStrategy interface {
	// Failed notes a failure at now (Unix milliseconds). again is false when the job is to fail for good; why then says so.
	Failed(now int64) (delay int64, again bool, why string)
	// String is the strategy as REST and messages show it.
	String() string
}

// NewRestartStrategy makes the strategy that c configures (Flink's restart-strategy.* keys). Where none is configured it
// is exponential-delay for a job with checkpoints, else none. The first restart of a strategy is without delay, unlike
// Flink's: most failures are over when they are noticed.
func NewRestartStrategy(c conf.Configuration, checkpoints bool) RestartStrategy {
	ms := func(o *conf.Option[time.Duration]) int64 { return conf.Get(c, o).Milliseconds() }
	kind := conf.Get(c, conf.RestartStrategyType)
	if kind == "" {
		kind = "none"
		if checkpoints {
			kind = "exponential-delay"
		}
	}
	switch kind {
	case "fixed-delay":
		return &fixedDelay{attempts: conf.Get(c, conf.RestartStrategyFixedDelayAttempts), delay: ms(conf.RestartStrategyFixedDelayDelay)}
	case "failure-rate":
		return &failureRate{most: conf.Get(c, conf.RestartStrategyFailureRateMaxFailuresPerInterval),
			interval: ms(conf.RestartStrategyFailureRateFailureRateInterval), delay: ms(conf.RestartStrategyFailureRateDelay)}
	case "exponential-delay":
		return &exponentialDelay{initial: ms(conf.RestartStrategyExponentialDelayInitialBackoff), most: ms(conf.RestartStrategyExponentialDelayMaxBackoff),
			factor: conf.Get(c, conf.RestartStrategyExponentialDelayBackoffMultiplier), jitter: conf.Get(c, conf.RestartStrategyExponentialDelayJitterFactor),
			reset: ms(conf.RestartStrategyExponentialDelayResetBackoffThreshold), attempts: conf.Get(c, conf.RestartStrategyExponentialDelayAttemptsBeforeResetBackoff),
			random: rand.Float64}
	}
	return noRestart{}
}

type noRestart struct{}

func (noRestart) Failed(int64) (int64, bool, string) { return 0, false, "" }
func (noRestart) String() string                     { return "none" }

type fixedDelay struct {
	attempts int
	delay    int64
	used     int
}

func (s *fixedDelay) String() string {
	return fmt.Sprintf("fixed-delay (%d attempts, %d ms)", s.attempts, s.delay)
}

func (s *fixedDelay) Failed(int64) (int64, bool, string) {
	if s.used >= s.attempts {
		return 0, false, fmt.Sprintf("all %d restarts of restart-strategy.fixed-delay.attempts are used up", s.attempts)
	}
	if s.used++; s.used == 1 {
		return 0, true, ""
	}
	return s.delay, true, ""
}

type failureRate struct {
	most            int
	interval, delay int64
	failures        []int64 // within the interval
	restarted       bool
}

func (s *failureRate) String() string {
	return fmt.Sprintf("failure-rate (%d failures in %d ms, %d ms)", s.most, s.interval, s.delay)
}

func (s *failureRate) Failed(now int64) (int64, bool, string) {
	kept := s.failures[:0]
	for _, at := range s.failures {
		if now-at <= s.interval {
			kept = append(kept, at)
		}
	}
	s.failures = append(kept, now)
	if len(s.failures) > s.most {
		return 0, false, fmt.Sprintf("%d failures in %d ms, restart-strategy.failure-rate.max-failures-per-interval allows %d", len(s.failures), s.interval, s.most)
	}
	if !s.restarted {
		s.restarted = true
		return 0, true, ""
	}
	return s.delay, true, ""
}

type exponentialDelay struct {
	initial, most, reset int64
	factor, jitter       float64
	attempts             int
	random               func() float64 // [0, 1)
	used                 int            // since the last reset
	last                 int64          // when the last restart was to happen
	current              int64
}

func (s *exponentialDelay) String() string {
	return fmt.Sprintf("exponential-delay (%d ms to %d ms, × %g)", s.initial, s.most, s.factor)
}

func (s *exponentialDelay) Failed(now int64) (int64, bool, string) {
	if s.used > 0 && now-s.last >= s.reset {
		s.used = 0
	}
	if s.used >= s.attempts {
		return 0, false, fmt.Sprintf("%d restarts without %d ms in peace between them, which is all that restart-strategy.exponential-delay.attempts-before-reset-backoff allows", s.used, s.reset)
	}
	s.used++
	switch s.used {
	case 1:
		s.last = now
		return 0, true, ""
	case 2:
		s.current = s.initial
	default:
		s.current = int64(min(float64(s.most), float64(s.current)*s.factor))
	}
	delay := s.current + int64(float64(s.current)*s.jitter*(2*s.random()-1))
	delay = max(0, min(delay, s.most))
	s.last = now + delay
	return delay, true, ""
}
