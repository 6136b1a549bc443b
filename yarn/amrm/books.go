package amrm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weftstream/weft/hadoop/records"
)

// books know what is wanted, what YARN is believed to have been asked, and what
// is on its way. They are a deterministic core: Session feeds them wants,
// replies and failures, and sends the requests they make.
//
// One request is under way at a time. While its fate is unknown it is repeated
// unchanged under the same response id: YARN answers a repetition from memory
// without reading it, so that anything added to it would be lost.
type books struct {
	registered bool
	attempts   int // registrations so far
	responseID int32
	maximum    records.Resource // of one container; zero if unknown
	progress   float32
	underway   *AllocateRequest

	wants map[int]*want // by priority
	asked map[askKey]Ask
	held  map[records.ContainerID]struct{} // granted and not known to have ended

	// releasing holds what was given back until it is reported complete; true
	// means that YARN has been told.
	releasing map[records.ContainerID]bool
	// unseen are released containers that the owner never heard of.
	unseen map[records.ContainerID]struct{}

	blacklist     map[string]struct{} // as it should be
	blacklistSent map[string]struct{} // as YARN has it
}

// askKey is what YARN tells asks apart by.
type askKey struct {
	priority          int
	name              string
	capability, label string
}

func keyOf(a Ask) askKey {
	return askKey{a.Priority, a.ResourceName, a.Capability.String(), a.NodeLabel}
}

func newBooks() *books {
	return &books{
		progress:  1,
		wants:     make(map[int]*want),
		asked:     make(map[askKey]Ask),
		held:      make(map[records.ContainerID]struct{}),
		releasing: make(map[records.ContainerID]bool),
		unseen:    make(map[records.ContainerID]struct{}),
		blacklist: make(map[string]struct{}), blacklistSent: make(map[string]struct{}),
	}
}

// checkWants refuses what YARN could not tell apart.
func checkWants(wants []Want) error {
	seen := make(map[int]bool)
	for _, w := range wants {
		switch {
		case w.Priority < 0:
			return fmt.Errorf("want containers: priority %d is negative", w.Priority)
		case w.Count < 0:
			return fmt.Errorf("want containers: count %d of priority %d is negative", w.Count, w.Priority)
		case w.Capability.MemoryMB <= 0 || w.Capability.VCores <= 0:
			return fmt.Errorf("want containers: capability %s of priority %d must have memory and vcores", w.Capability, w.Priority)
		case seen[w.Priority]:
			return fmt.Errorf("want containers: priority %d is used twice, each kind needs its own", w.Priority)
		}
		seen[w.Priority] = true
	}
	return nil
}

// setWants replaces all wants; priorities that are missing are not wanted.
func (b *books) setWants(wants []Want) {
	old := b.wants
	b.wants = make(map[int]*want, len(wants))
	for _, w := range wants {
		if have := old[w.Priority]; have != nil && have.equal(w) {
			b.wants[w.Priority] = have // keeps which nodes have given already
		} else if w.Count > 0 {
			b.wants[w.Priority] = newWant(w)
		}
	}
}

// release gives containers back.
func (b *books) release(ids []records.ContainerID) {
	for _, id := range ids {
		if _, known := b.releasing[id]; !known {
			b.releasing[id] = false
		}
	}
}

func (b *books) setBlacklist(hosts []string) {
	b.blacklist = make(map[string]struct{}, len(hosts))
	for _, h := range hosts {
		b.blacklist[h] = struct{}{}
	}
}

// pending reports whether something is awaited, so that heartbeats should be
// fast.
func (b *books) pending() bool { return len(b.wants) > 0 || len(b.releasing) > 0 }

// dirty reports whether the next request would tell YARN anything new.
func (b *books) dirty() bool {
	if b.underway != nil {
		return true
	}
	r := b.compose()
	return len(r.Asks)+len(r.Release)+len(r.BlacklistAdd)+len(r.BlacklistRemove) > 0
}

// request returns what to send now: the request under way, or a new one.
func (b *books) request() AllocateRequest {
	if b.underway == nil {
		r := b.compose()
		b.underway = &r
	}
	return *b.underway
}

func (b *books) compose() AllocateRequest {
	r := AllocateRequest{ResponseID: b.responseID, Progress: b.progress, Asks: b.changedAsks()}
	for id, told := range b.releasing {
		if !told {
			r.Release = append(r.Release, id)
		}
	}
	slices.SortFunc(r.Release, records.ContainerID.Compare)
	r.BlacklistAdd = missing(b.blacklist, b.blacklistSent)
	r.BlacklistRemove = missing(b.blacklistSent, b.blacklist)
	return r
}

// missing lists what is in a and not in b.
func missing(a, b map[string]struct{}) []string {
	var out []string
	for name := range a {
		if _, ok := b[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// changedAsks compares what should be asked with what YARN is believed to have.
// Withdrawals come first: when the capability of a priority changes, YARN keeps
// the last one it reads.
func (b *books) changedAsks() []Ask {
	desired := make(map[askKey]Ask)
	for _, w := range b.wants {
		for _, a := range w.asks() {
			desired[keyOf(a)] = a
		}
	}
	var out []Ask
	for key, a := range b.asked {
		if _, ok := desired[key]; !ok {
			a.Count = 0
			out = append(out, a)
		}
	}
	for key, a := range desired {
		if b.asked[key].Count != a.Count {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(x, y Ask) int {
		return cmp.Or(
			boolCompare(x.Count > 0, y.Count > 0),
			cmp.Compare(x.Priority, y.Priority),
			cmp.Compare(nameOrder(x.ResourceName), nameOrder(y.ResourceName)),
			cmp.Compare(x.Capability.String(), y.Capability.String()),
			cmp.Compare(x.NodeLabel, y.NodeLabel),
		)
	})
	return out
}

func boolCompare(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// nameOrder sorts hosts before racks before any.
func nameOrder(name string) string {
	switch {
	case name == AnyHost:
		return "2"
	case name[0] == '/':
		return "1" + name
	}
	return "0" + name
}

// joined takes the reply to a registration; nil means that the reply was lost.
func (b *books) joined(r *RegisterResponse) []Event {
	b.registered = true
	e := Registered{Resync: b.attempts > 0, ReplyLost: r == nil}
	b.attempts++
	var events []Event
	if r != nil {
		b.maximum = r.MaximumCapability
		e.Queue, e.MaximumCapability, e.Containers = r.Queue, r.MaximumCapability, r.Containers
		for _, c := range r.Containers {
			b.held[c.ID] = struct{}{}
		}
		if len(r.NMTokens) > 0 {
			events = append(events, NMTokensReceived{r.NMTokens})
		}
	}
	return append(events, e)
}

// forgotten is called when YARN doesn't know the application master any more,
// as after its restart: everything outstanding has to be sent again.
func (b *books) forgotten() {
	b.registered, b.responseID, b.underway = false, 0, nil
	clear(b.asked)
	clear(b.blacklistSent)
	for id := range b.releasing {
		b.releasing[id] = false
	}
}

// refused is called when YARN can never grant the asks under way. It has read
// none of them. Wants above the maximum are given up; if that isn't it, all
// those that the request asked for, since YARN doesn't say which one it means.
func (b *books) refused(err error) []Event {
	var asked, tooLarge []int
	for _, a := range b.underway.Asks {
		w := b.wants[a.Priority]
		if w == nil || a.Count == 0 || slices.Contains(asked, a.Priority) {
			continue
		}
		asked = append(asked, a.Priority)
		if b.maximum.MemoryMB > 0 && !w.Capability.FitsIn(b.maximum) {
			tooLarge = append(tooLarge, a.Priority)
		}
	}
	if len(tooLarge) > 0 {
		asked = tooLarge
	}
	e := WantsRefused{Err: err}
	for _, p := range asked {
		e.Wants = append(e.Wants, b.wants[p].Want)
		delete(b.wants, p)
	}
	b.underway = nil
	return []Event{e}
}

// replied takes the reply to the request under way. A command in it is the
// caller's business.
func (b *books) replied(r *AllocateResponse) []Event {
	before := b.settle()
	b.responseID = r.ResponseID
	var events []Event
	if len(r.NMTokens) > 0 {
		events = append(events, NMTokensReceived{r.NMTokens})
	}
	if fresh := b.recovered(r.Recovered); len(fresh) > 0 {
		events = append(events, Recovered{fresh})
	}
	granted, surplus := b.take(r.Allocated, before)
	if len(granted) > 0 {
		events = append(events, Allocated{granted})
	}
	if len(surplus) > 0 {
		events = append(events, SurplusReleased{surplus})
	}
	if ended := b.completed(r.Completed); len(ended) > 0 {
		events = append(events, Completed{ended})
	}
	if len(r.Nodes) > 0 {
		events = append(events, NodesUpdated{r.Nodes})
	}
	return events
}

// settle notes that YARN has read the request under way. It returns the counts
// that its asks replaced.
func (b *books) settle() map[askKey]int {
	before := make(map[askKey]int)
	for _, a := range b.underway.Asks {
		key := keyOf(a)
		before[key] = b.asked[key].Count
		if b.asked[key] = a; a.Count == 0 {
			delete(b.asked, key)
		}
	}
	for _, id := range b.underway.Release {
		_, held := b.held[id]
		_, unseen := b.unseen[id]
		if _, ok := b.releasing[id]; ok && (held || unseen) {
			b.releasing[id] = true
		} else {
			delete(b.releasing, id) // it has ended before: no word will come
		}
	}
	for _, h := range b.underway.BlacklistAdd {
		b.blacklistSent[h] = struct{}{}
	}
	for _, h := range b.underway.BlacklistRemove {
		delete(b.blacklistSent, h)
	}
	b.underway = nil
	return before
}

func (b *books) recovered(containers []records.Container) []records.Container {
	var fresh []records.Container
	for _, c := range containers {
		if _, ok := b.held[c.ID]; !ok {
			b.held[c.ID] = struct{}{}
			fresh = append(fresh, c)
		}
	}
	return fresh
}

// take parts granted containers into wanted ones and surplus, which is released.
func (b *books) take(containers []records.Container, before map[askKey]int) (granted, surplus []records.Container) {
	for _, c := range containers {
		if _, again := b.held[c.ID]; again {
			continue
		}
		priority := int(c.Priority)
		w := b.wants[priority]
		b.consumed(priority, c.Node.Host, before)
		// Only memory is compared: with YARN's default resource calculator a container has one vcore, whatever was asked.
		if w == nil || w.Capability.MemoryMB > c.Resource.MemoryMB {
			surplus = append(surplus, c)
			b.releasing[c.ID] = false
			b.unseen[c.ID] = struct{}{}
			continue
		}
		b.held[c.ID] = struct{}{}
		granted = append(granted, c)
		if w.granted(c.Node.Host); w.Count == 0 {
			delete(b.wants, priority)
		}
	}
	return granted, surplus
}

// consumed lowers the counts that YARN is believed to hold, as YARN does for a
// container on host: the host's, its rack's and any. A container in the reply
// to an ask was, as a rule, granted before that ask was read, and counted
// against what the ask replaced; only those beyond that count are of the new
// one. (A wrong guess costs one more ask: counts are absolute.)
func (b *books) consumed(priority int, host string, before map[askKey]int) {
	names := []string{AnyHost}
	if w := b.wants[priority]; w != nil {
		if rack, ok := w.racks[host]; ok {
			names = append(names, host, rack)
		}
	}
	for key, a := range b.asked {
		if key.priority != priority || !slices.Contains(names, key.name) {
			continue
		}
		if before[key] > 0 {
			before[key]--
			continue
		}
		if a.Count--; a.Count > 0 {
			b.asked[key] = a
		} else {
			delete(b.asked, key)
		}
	}
}

// completed drops what the owner never heard of and ends releases.
func (b *books) completed(statuses []records.ContainerStatus) []records.ContainerStatus {
	var out []records.ContainerStatus
	for _, s := range statuses {
		delete(b.held, s.ID)
		delete(b.releasing, s.ID)
		if _, ok := b.unseen[s.ID]; ok {
			delete(b.unseen, s.ID)
			continue
		}
		out = append(out, s)
	}
	return out
}

// priorities lists the wanted ones in order, for messages and tests.
func (b *books) priorities() []int { return slices.Sorted(maps.Keys(b.wants)) }
