// Package gen is the generator of the benchmark workloads: xorshift64*, seeded per subtask, so that the engine, the bare
// loops and other systems read the same records. It has no state of its own and starts no goroutine.
package gen

// Rand is a xorshift64* generator (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
type Rand struct{ x uint64 }

// New seeds the generator of a subtask.
func New(subtask int) Rand { return Rand{0x9E3779B97F4A7C15 * uint64(subtask+1)} }

// Next is the next 64 bits.
func (r *Rand) Next() uint64 {
	r.x ^= r.x >> 12
	r.x ^= r.x << 25
	r.x ^= r.x >> 27
	return r.x * 0x2545F4914F6CDD1D
}

// Below is the next number in 0..n-1.
func (r *Rand) Below(n uint64) uint64 { return (r.Next() >> 33) % n }

// Words is the vocabulary of the wordcount workload, and WordsPerLine how many make a line.
const (
	Words        = 10000
	WordsPerLine = 10
)

const digits = "0123456789abcdefghijklmnopqrstuvwxyz"

// AppendLine appends a line of ten words of four base-36 digits, joined by a space.
func (r *Rand) AppendLine(dst []byte) []byte {
	for w := range WordsPerLine {
		if w > 0 {
			dst = append(dst, ' ')
		}
		n := r.Below(Words) + 46656
		dst = append(dst, digits[n/46656], digits[n/1296%36], digits[n/36%36], digits[n%36])
	}
	return dst
}

// Event is a record of the window workload.
type Event struct {
	Key, Value int64
}

// Event is the next record of the window workload.
func (r *Rand) Event(keys uint64) Event {
	return Event{int64(r.Below(keys)), int64(r.Below(100))}
}

// Share is how many of total records the subtask reads; the first subtasks take what doesn't divide evenly.
func Share(total int64, subtask, parallelism int) int64 {
	n := total / int64(parallelism)
	if int64(subtask) < total%int64(parallelism) {
		n++
	}
	return n
}

// Cars is the number of cars of the topspeed workload.
const Cars = 1000

// Car is a record of the topspeed workload: where car ID stood after one more second.
type Car struct {
	ID, Speed int32   // Speed in km/h
	Distance  float64 // metres since the start
	At        int64   // event time in ms
}

// Traffic makes the cars of a subtask. Every car begins at 50 km/h.
type Traffic struct {
	r        Rand
	made     int64
	speed    [Cars]int32
	distance [Cars]float64
}

// NewTraffic seeds the traffic of a subtask.
func NewTraffic(subtask int) *Traffic {
	t := &Traffic{r: New(subtask)}
	for i := range t.speed {
		t.speed[i] = 50
	}
	return t
}

// Next is the next record: below(1000) picks the car, below(2) whether it goes 5 km/h faster (0) or slower (1).
func (t *Traffic) Next() Car {
	id := int32(t.r.Below(Cars))
	if t.r.Below(2) == 0 {
		t.speed[id] = min(100, t.speed[id]+5)
	} else {
		t.speed[id] = max(0, t.speed[id]-5)
	}
	t.distance[id] += float64(t.speed[id]) / 3.6
	c := Car{id, t.speed[id], t.distance[id], t.made / 100}
	t.made++
	return c
}
