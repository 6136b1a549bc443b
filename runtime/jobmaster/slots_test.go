package jobmaster

import (
	"fmt"
	"strings"
	"testing"
)

// TestArrangeKeepsSubtasksWhereTheyWere: a slot of a TaskManager whose task host had ended goes to the subtasks that it had
// before, also when the whole job restarts: their state may have copies there.
func TestArrangeKeepsSubtasksWhereTheyWere(t *testing.T) {
	c := &core{executionGraph: &executionGraph{}}
	c.byHost = map[string]*host{}
	offer := func(tm string, number int32) {
		c.pool = append(c.pool, slot{host: c.hostOf(Location{ResourceID: tm}), number: number, allocation: fmt.Sprint(tm, number, len(c.hosts))})
	}
	lose := func(tm string) {
		c.byHost[tm].gone = true
		c.dropSlots(c.byHost[tm])
	}
	is := func(what, want string) {
		t.Helper()
		c.slots, c.need = len(c.pool), len(c.pool)
		c.arrange()
		var got []string
		for i, s := range c.pool {
			if s.position != i+1 {
				t.Errorf("%s: place %d says %d", what, i+1, s.position)
			}
			got = append(got, fmt.Sprint(s.host.loc.ResourceID, s.number))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", what, got, want)
		}
	}
	offer("a", 1)
	offer("b", 0)
	offer("a", 0)
	offer("b", 1)
	is("at first", "a0 a1 b0 b1")
	lose("a")
	offer("a", 0)
	offer("a", 1)
	is("a's host was replaced", "a0 a1 b0 b1")
	lose("a")
	lose("b")
	offer("b", 1)
	offer("c", 0)
	offer("a", 1)
	offer("b", 0)
	is("both were, and one slot is elsewhere", "a1 c0 b0 b1")
	c.pool = c.pool[2:]
	is("with less slots", "b0 b1")
	offer("d", 0)
	is("with more", "b0 b1 d0")
}
