package graph

// pointwise says that a subtask is connected with its share of those on the other side, not with all of them.
func (p Partitioning) pointwise() bool {
	return p == Partitioning_FORWARD || p == Partitioning_RESCALE
}

// Targets is the range from, to-1 of receiving subtasks that a sending subtask has channels to, on an edge of that
// partitioning between sources and targets subtasks. It is never empty, and the inverse of Sources.
//
// Where the partitioning is pointwise the shares are consecutive and differ by at most one, as Flink deals them.
func (p Partitioning) Targets(subtask, sources, targets int) (from, to int) {
	if !p.pointwise() {
		return 0, targets
	}
	if sources >= targets {
		t := ((subtask+1)*targets - 1) / sources
		return t, t + 1
	}
	return (subtask*targets + sources - 1) / sources, ((subtask+1)*targets + sources - 1) / sources
}

// Sources is the range from, to-1 of sending subtasks that a receiving subtask has channels from: see Targets.
func (p Partitioning) Sources(subtask, sources, targets int) (from, to int) {
	if !p.pointwise() {
		return 0, sources
	}
	if sources >= targets {
		return subtask * sources / targets, (subtask + 1) * sources / targets
	}
	s := subtask * sources / targets
	return s, s + 1
}
