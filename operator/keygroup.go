package operator

// KeyGroup maps a key's hash to its key group: the high bits decide, so that a table can use the low ones.
func KeyGroup(hash uint32, maxParallelism int) int {
	return int(uint64(hash) * uint64(maxParallelism) >> 32)
}

// SubtaskFor is the subtask that owns a key group (Flink's KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup).
func SubtaskFor(group, maxParallelism, parallelism int) int {
	return group * parallelism / maxParallelism
}

// KeyGroupRange is the half-open range of key groups that a subtask owns.
func KeyGroupRange(subtask, maxParallelism, parallelism int) (from, to int) {
	return (subtask*maxParallelism + parallelism - 1) / parallelism, ((subtask+1)*maxParallelism + parallelism - 1) / parallelism
}

// MaxKeyGroups is the highest max parallelism.
const MaxKeyGroups = 1 << 15

// DefaultMaxParallelism is Flink's: 128, or the next power of two above 1.5 × parallelism, at most 32768.
func DefaultMaxParallelism(parallelism int) int {
	n := parallelism + parallelism/2
	m := 128
	for m < n && m < MaxKeyGroups {
		m *= 2
	}
	return m
}
