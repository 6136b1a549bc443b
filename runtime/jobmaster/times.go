package jobmaster

import "github.com/weftstream/weft/link/linkpb"

// duration is the time from start to end, or to now while there is no end; -1 before the start.
func duration(start, end, now int64) int64 {
	if start < 0 {
		return -1
	}
	if end < 0 {
		end = now
	}
	return max(0, end-start)
}

// stateDurations says how long each state lasted: until the next one was entered, the current one until now. Final
// states last no time. States follow each other in the order of their numbers, except that a task may finish while it is
// being cancelled.
func stateDurations(entered *[StateCount]int64, current linkpb.ExecutionState, now int64) map[linkpb.ExecutionState]int64 {
	d := map[linkpb.ExecutionState]int64{}
	for s, t := range entered {
		state := linkpb.ExecutionState(s)
		if t == 0 || final(state) {
			continue
		}
		end := now
		if state != current {
			end = entered[current]
			for _, next := range entered[s+1:] {
				if next != 0 {
					end = next
					break
				}
			}
		}
		d[state] = max(0, end-t)
	}
	return d
}
