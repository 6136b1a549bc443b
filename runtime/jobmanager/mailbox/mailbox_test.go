package mailbox

import (
	"slices"
	"testing"
	"testing/synctest"
)

func TestOrderAndClose(t *testing.T) {
	m := New[int]()
	for i := range 3 {
		if !m.Post(i) {
			t.Fatal("refused")
		}
	}
	<-m.Ready()
	if got := m.Take(); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("took %v", got)
	}
	if got := m.Take(); len(got) != 0 {
		t.Errorf("took %v again", got)
	}
	m.Post(3)
	m.Close()
	if m.Post(4) || m.PostWait(5) || len(m.Take()) != 0 {
		t.Error("a closed mailbox takes or holds messages")
	}
}

// TestPostWait: floods wait, what roles say to each other doesn't, and both the reader and Close end the wait.
func TestPostWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New[int]()
		sent := make(chan bool)
		go func() {
			for i := range Limit + 1 {
				if !m.PostWait(i) {
					t.Error("refused")
				}
			}
			sent <- true
			for m.PostWait(0) {
			}
			sent <- false
		}()
		synctest.Wait()
		if !m.Post(-1) {
			t.Error("Post was refused")
		}
		if got := m.Take(); len(got) != Limit+1 || got[Limit] != -1 {
			t.Errorf("took %d messages, want %d and the one that doesn't wait", len(got), Limit)
		}
		<-sent
		synctest.Wait() // it waits again
		m.Close()
		if <-sent {
			t.Error("the writer didn't hear of the end")
		}
	})
}
