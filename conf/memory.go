package conf

import (
	"math"
	"strconv"
	"strings"
)

// MemorySize is an amount of memory in bytes.
type MemorySize int64

// Units of MemorySize; like Flink's they are powers of 1024 whatever the spelling.
const (
	Byte     MemorySize = 1
	Kibibyte            = 1024 * Byte
	Mebibyte            = 1024 * Kibibyte
	Gibibyte            = 1024 * Mebibyte
	Tebibyte            = 1024 * Gibibyte

	// Unlimited is the upper bound that bounds nothing; it is written "unlimited".
	Unlimited MemorySize = math.MaxInt64
)

const memoryForm = "a memory size, like 256m, 64 kb or 1 gb (a bare number is bytes)"

// memoryUnits lists the units from the largest; names[0] is the one that is written.
var memoryUnits = []struct {
	names []string
	unit  MemorySize
}{
	{[]string{"tb", "t", "tebibytes"}, Tebibyte},
	{[]string{"gb", "g", "gibibytes"}, Gibibyte},
	{[]string{"mb", "m", "mebibytes"}, Mebibyte},
	{[]string{"kb", "k", "kibibytes"}, Kibibyte},
	{[]string{"bytes", "b"}, Byte},
}

// ParseMemorySize reads Flink's memory sizes: a whole number and a unit in any case ("256m", "64 kb", "1 GB"), a bare
// number of bytes, or "unlimited".
func ParseMemorySize(s string) (MemorySize, error) { return ParseMemorySizeUnit(s, Byte) }

// ParseMemorySizeUnit is ParseMemorySize with another unit for a bare number: the command line's -jm and -tm count in
// Mebibyte.
func ParseMemorySizeUnit(s string, bare MemorySize) (MemorySize, error) {
	m, err := parseMemorySize(s, bare)
	return m, named(err, s, memoryForm)
}

func parseMemorySize(s string, bare MemorySize) (MemorySize, error) {
	s = strings.TrimSpace(s)
	if strings.EqualFold(s, "unlimited") {
		return Unlimited, nil
	}
	number, unit := splitNumber(s)
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, errForm
	}
	factor, ok := bare, unit == ""
	for _, u := range memoryUnits {
		for _, name := range u.names {
			if strings.EqualFold(unit, name) {
				factor, ok = u.unit, true
			}
		}
	}
	if !ok || factor <= 0 || n > math.MaxInt64/int64(factor) {
		return 0, errForm
	}
	return MemorySize(n) * factor, nil
}

// Bytes is m as a plain number.
func (m MemorySize) Bytes() int64 { return int64(m) }

// Mebibytes is m in whole mebibytes, rounded up: YARN asks for containers in this unit.
func (m MemorySize) Mebibytes() int64 {
	whole := int64(m / Mebibyte)
	if m%Mebibyte > 0 {
		whole++
	}
	return whole
}

// String writes m in the largest unit that divides it, as Flink does: "256 mb", "1 gb", "1500 bytes".
func (m MemorySize) String() string {
	if m == Unlimited {
		return "unlimited"
	}
	if m != 0 {
		for _, u := range memoryUnits {
			if m%u.unit == 0 {
				return strconv.FormatInt(int64(m/u.unit), 10) + " " + u.names[0]
			}
		}
	}
	return "0 bytes"
}
