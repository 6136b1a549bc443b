package conf

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const durationForm = "a duration, like 500 ms, 5 s, 1 min, 2 h, 1 d or PT5S (a bare number is milliseconds)"

const day = 24 * time.Hour

// durationUnits lists the units from the largest; names[0] is the one that is written.
var durationUnits = []struct {
	names []string
	unit  time.Duration
}{
	{[]string{"d", "day", "days"}, day},
	{[]string{"h", "hour", "hours"}, time.Hour},
	{[]string{"min", "m", "minute", "minutes"}, time.Minute},
	{[]string{"s", "sec", "secs", "second", "seconds"}, time.Second},
	{[]string{"ms", "milli", "millis", "millisecond", "milliseconds"}, time.Millisecond},
	{[]string{"µs", "μs", "us", "micro", "micros", "microsecond", "microseconds"}, time.Microsecond},
	{[]string{"ns", "nano", "nanos", "nanosecond", "nanoseconds"}, time.Nanosecond},
}

// ParseDuration reads Flink's durations: a whole number and a unit ("5 s", "500ms", "1 d"), a bare number of
// milliseconds, or ISO 8601 ("PT1H30M", "P1DT0.5S"). A value that does not fit time.Duration is an error.
func ParseDuration(s string) (time.Duration, error) {
	v, err := parseDuration(s)
	return v, named(err, s, durationForm)
}

func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if rest := strings.TrimLeft(s, "+-"); rest != "" && (rest[0] == 'P' || rest[0] == 'p') {
		return parseISODuration(strings.ToUpper(s))
	}
	number, unit := splitNumber(s)
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, errForm
	}
	if unit == "" {
		return scale(n, time.Millisecond)
	}
	for _, u := range durationUnits {
		for _, name := range u.names {
			if strings.EqualFold(unit, name) {
				return scale(n, u.unit)
			}
		}
	}
	return 0, errForm
}

// splitNumber cuts "-12 min" into "-12" and "min".
func splitNumber(s string) (number, unit string) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	return s[:end], strings.TrimSpace(s[end:])
}

func scale(n int64, unit time.Duration) (time.Duration, error) {
	if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return 0, errForm
	}
	return time.Duration(n) * unit, nil
}

// parseISODuration reads [-]P[nD][T[nH][nM][n[.n]S]] as java.time.Duration does; only seconds take a fraction.
func parseISODuration(s string) (time.Duration, error) {
	sign := time.Duration(1)
	if s[0] == '-' {
		sign = -1
	}
	s = strings.TrimPrefix(strings.TrimLeft(s, "+-"), "P")
	date, clock, hasClock := strings.Cut(s, "T")
	if date == "" && clock == "" || hasClock && clock == "" {
		return 0, errForm
	}
	total, rest, err := isoField(0, date, 'D', day)
	if err != nil || rest != "" {
		return 0, errForm
	}
	rest = clock
	for _, f := range []struct {
		letter byte
		unit   time.Duration
	}{{'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}} {
		if total, rest, err = isoField(total, rest, f.letter, f.unit); err != nil {
			return 0, err
		}
	}
	if rest != "" || total == math.MinInt64 {
		return 0, errForm
	}
	return sign * total, nil
}

// isoField adds the leading "n<letter>" of s, if it is there, to total and returns what follows it.
func isoField(total time.Duration, s string, letter byte, unit time.Duration) (time.Duration, string, error) {
	end := strings.IndexByte(s, letter)
	if end < 0 {
		return total, s, nil
	}
	whole, fraction, hasFraction := strings.Cut(s[:end], ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || hasFraction && (unit != time.Second || fraction == "") {
		return 0, "", errForm
	}
	d, err := scale(n, unit)
	if err != nil {
		return 0, "", err
	}
	if hasFraction {
		nanos, err := fractionNanos(fraction)
		if err != nil {
			return 0, "", err
		}
		if whole[0] == '-' {
			nanos = -nanos
		}
		if d, err = add(d, nanos); err != nil {
			return 0, "", err
		}
	}
	if total, err = add(total, d); err != nil {
		return 0, "", err
	}
	return total, s[end+1:], nil
}

func add(a, b time.Duration) (time.Duration, error) {
	sum := a + b
	if b > 0 && sum < a || b < 0 && sum > a {
		return 0, errForm
	}
	return sum, nil
}

// fractionNanos reads up to nine digits after the decimal point of a second.
func fractionNanos(digits string) (time.Duration, error) {
	if len(digits) > 9 {
		return 0, errForm
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, errForm
	}
	for range 9 - len(digits) {
		n *= 10
	}
	return time.Duration(n), nil
}

// FormatDuration writes d in the largest unit that divides it, as Flink does: "200 ms", "90 s", "1 d".
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0 ms"
	}
	for _, u := range durationUnits {
		if d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + " " + u.names[0]
		}
	}
	return strconv.FormatInt(int64(d), 10) + " ns"
}
