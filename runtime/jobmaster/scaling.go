package jobmaster

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/operator"
)

// scalingSettings are the options of scaling; times are in milliseconds.
type scalingSettings struct {
	// adaptive: the lower bounds are 1. reactive: and the upper ones the max parallelism.
	adaptive, reactive bool
	waitTimeout        int64 // for all slots that are wanted; below 0: for ever
	stabilization      int64
	cooldown           int64
	forced             int64 // 0: never
	minIncrease        int
	tolerated          int   // failed checkpoints before a rescale
	maxDelay           int64 // of a rescale by its checkpoint; below 0: no limit
}

const (
	schedulerAdaptive = "Adaptive"
	modeReactive      = "REACTIVE"
)

func scalingSettingsOf(c conf.Configuration) scalingSettings {
	s := scalingSettings{
		reactive:      conf.Get(c, conf.SchedulerMode) == modeReactive,
		stabilization: conf.Get(c, conf.AdaptiveSchedulerResourceStabilizationTimeout).Milliseconds(),
		cooldown:      conf.Get(c, conf.AdaptiveSchedulerCooldown).Milliseconds(),
		forced:        conf.Get(c, conf.AdaptiveSchedulerScalingIntervalMax).Milliseconds(),
		minIncrease:   conf.Get(c, conf.AdaptiveSchedulerMinParallelismIncrease),
		tolerated:     conf.Get(c, conf.AdaptiveSchedulerMaxCheckpointFailures),
	}
	s.maxDelay = maxDelayOf(c, s.tolerated)
	s.adaptive = s.reactive || conf.Get(c, conf.JobManagerScheduler) == schedulerAdaptive
	if !s.adaptive {
		return s
	}
	s.waitTimeout = conf.Get(c, conf.AdaptiveSchedulerResourceWaitTimeout).Milliseconds()
	if _, set := conf.Lookup(c, conf.AdaptiveSchedulerResourceWaitTimeout); s.reactive && !set {
		s.waitTimeout = -1
	}
	if _, set := conf.Lookup(c, conf.AdaptiveSchedulerResourceStabilizationTimeout); s.reactive && !set {
		s.stabilization = 0
	}
	return s
}

// maxDelayOf is how long a rescale waits for its checkpoint.
func maxDelayOf(c conf.Configuration, tolerated int) int64 {
	if d, set := conf.Lookup(c, conf.AdaptiveSchedulerMaxDelay); set {
		return d.Milliseconds()
	}
	if every := conf.Get(c, conf.ExecutionCheckpointingInterval).Milliseconds(); every > 0 {
		return every * int64(tolerated+1)
	}
	return -1
}

// scaling is the part of the core that decides with which parallelism the job runs: with that which its slots allow,
// between the bounds of its vertices. Bounds that are equal, as they are with the default scheduler, leave no choice.
type scaling struct {
	required Requirements
	before   Requirements // those of an earlier JobMaster
	shape    *shape
	past     map[operator.ID]past
	// stableAt is when a job that waits takes the slots there are, stable that it does.
	stableAt int64
	stable   bool
	// planned is how many slots are enough for the next deployment, whatever is wanted beyond; 0: none are.
	planned int
	// changed is when slots came or the bounds changed last, scaled when the job was deployed as a whole.
	changed, scaled int64
	asked           bool // the bounds were changed while it ran
	// rescaleAt is when the running job is to be rescaled, failed the checkpoints in a row that were to begin it.
	rescaleAt int64
	failed    int
	preparing bool // such a checkpoint is under way
	// rescaleBy is how long it is waited for the checkpoint and its commits.
	rescaleBy int64
	// rescaleAfter is the complete one; the job is rescaled when sinks have committed what it holds.
	rescaleAfter int64
}

// past is what is remembered of a vertex' subtasks from before the job was rescaled: the next attempt, and by subtask the
// earlier ones.
type past struct {
	next    int
	earlier [][]SubtaskDetails
}

// bound gives the vertices their bounds: those that an earlier JobMaster recorded, or those of the configuration.
func (c *core) bound(now int64) error {
	r := Requirements{}
	for _, v := range c.g.GetVertices() {
		b := Bounds{int(v.GetParallelism()), int(v.GetParallelism())}
		if c.adaptive {
			b.Lower = 1
		}
		if c.reactive {
			b.Upper = int(v.GetMaxParallelism())
		}
		r[idOf(v.GetId())] = b
	}
	if c.before != nil {
		if err := c.before.check(c.g); err != nil {
			c.note("the resource requirements that were asked for earlier are dropped: %s", err)
		} else {
			r = c.before
		}
	}
	c.required, c.shape = r, newShape(c.g, r)
	all, _ := c.shape.fit(c.shape.most)
	return c.reshape(now, all)
}

// require declares the slots of the upper bounds, and gives them their time.
func (c *core) require(now int64) {
	c.need = c.shape.most
	c.slotsBy, c.stableAt, c.stable = 0, 0, false
	if timeout, _ := c.slotWait(); timeout >= 0 {
		c.slotsBy = now + max(1, timeout)
	}
	c.declare()
}

// slotWait is how long the job waits for slots, and the option that says so.
func (c *core) slotWait() (timeout int64, key string) {
	if c.adaptive && !c.committing() {
		return c.waitTimeout, conf.AdaptiveSchedulerResourceWaitTimeout.Key()
	}
	return c.slotTimeout, conf.SlotRequestTimeout.Key()
}

// requireOne declares one slot, for coordinators.
func (c *core) requireOne(now int64) {
	c.need, c.slotsBy = 1, now+max(1, c.slotTimeout)
	c.emit(declareAction{slots: 1, least: 1})
}

func (c *core) declare() { c.emit(declareAction{slots: c.need, least: min(c.need, c.shape.least)}) }

// enough says that the job may be deployed with the slots it has.
func (c *core) enough(now int64) bool {
	n := len(c.pool)
	switch {
	case c.committing():
		return n >= c.need
	case !c.wholeJob() && n >= c.slots || c.wholeJob() && n >= c.need:
		return true
	case n < c.shape.least:
		c.stableAt, c.stable = 0, false
		return false
	case c.wholeJob() && (c.planned > 0 && n >= c.planned || c.stable):
		return true
	case c.stableAt == 0:
		c.stableAt = now + max(1, c.stabilization)
	}
	return false
}

// proceed goes on with a deployment that waits for slots.
func (c *core) proceed(now int64) {
	switch {
	case !c.waitsForSlots():
	case c.status == restarting:
		c.redeploy(now)
	case c.enough(now):
		c.allSlots(now)
	}
}

// stabilized takes the slots there are. Where a part of the job restarts and they are too few for it, all of it does.
func (c *core) stabilized(now int64) {
	if !c.waitsForSlots() || len(c.pool) < c.shape.least {
		return
	}
	if c.status == restarting && !c.wholeJob() && len(c.pool) < c.slots {
		c.beginRestart(now, fmt.Sprintf("there are %d of its %d slots", len(c.pool), c.slots), c.allRegions())
	}
	c.stable, c.stableAt = true, 0
	c.proceed(now)
}

// refit gives the vertices the parallelism that the slots allow, before the whole job is deployed, and says whether that is
// another one.
func (c *core) refit(now int64) (changed bool, err error) {
	p, ok := c.shape.fit(len(c.pool))
	if !ok || c.has(p) {
		return false, nil
	}
	c.note("parallelism: %s", c.changes(p))
	return true, c.reshape(now, p)
}

// has says that the vertices have this parallelism.
func (c *core) has(p map[operator.ID]int) bool {
	return !slices.ContainsFunc(c.vertices, func(v *vertex) bool { return len(v.subtasks) != p[v.id] })
}

// changes shows what changes with another parallelism.
func (c *core) changes(p map[operator.ID]int) string {
	var all []string
	for _, v := range c.vertices {
		if n := len(v.subtasks); n != p[v.id] {
			all = append(all, fmt.Sprintf("%s %d → %d", v.name(), n, p[v.id]))
		}
	}
	return strings.Join(all, ", ")
}

// slotsOf is how many slots a parallelism takes.
func (c *core) slotsOf(p map[operator.ID]int) int {
	widest := map[string]int{}
	for _, v := range c.vertices {
		g := v.pb.GetSlotSharingGroup()
		widest[g] = max(widest[g], p[v.id])
	}
	n := 0
	for _, w := range widest {
		n += w
	}
	return n
}

// reshape makes the execution graph anew with another parallelism. Nothing runs. The job's graph is a copy: others have read
// the one before.
func (c *core) reshape(now int64, p map[operator.ID]int) error {
	if c.has(p) {
		return nil
	}
	g := proto.CloneOf(c.g)
	for _, v := range g.GetVertices() {
		v.Parallelism = int32(p[idOf(v.GetId())])
	}
	x, err := newExecutionGraph(g, now)
	if err != nil {
		return fmt.Errorf("rescale job %q: %w", g.GetName(), err)
	}
	for _, v := range x.vertices {
		c.inherit(v, c.byID[v.id])
	}
	for i := range c.pool {
		c.pool[i].position = 0
	}
	c.executionGraph, c.g = x, g
	c.cp.Rescaled(g)
	return nil
}

// inherit goes on with the attempts of a vertex. All subtasks get the same number, also those that are new: sinks take what
// earlier attempts have left for leftovers, whichever subtask it was.
func (c *core) inherit(v, old *vertex) {
	p := c.past[v.id]
	for i, e := range old.subtasks {
		earlier, next := e.earlier, e.attempt
		if e.start() >= 0 {
			earlier, next = e.history(), e.attempt+1
		}
		p.next = max(p.next, next)
		if i < len(p.earlier) {
			p.earlier[i] = earlier
		} else {
			p.earlier = append(p.earlier, earlier)
		}
	}
	if c.past == nil {
		c.past = map[operator.ID]past{}
	}
	c.past[v.id] = p
	for i, e := range v.subtasks {
		e.attempt = p.next
		if i < len(p.earlier) {
			e.earlier = p.earlier[i]
		}
	}
}

// requirements are the present bounds, also of a job that hasn't been started.
func (c *core) requirements() Requirements {
	r := Requirements{}
	for _, v := range c.g.GetVertices() {
		id := idOf(v.GetId())
		if b, ok := c.required[id]; ok {
			r[id] = b
		} else {
			r[id] = Bounds{int(v.GetParallelism()), int(v.GetParallelism())}
		}
	}
	return r
}

// checkRequirements says why the bounds can't be changed to r; nil if they can.
func (c *core) checkRequirements(r Requirements) error {
	if c.done || !c.active() || c.committing() || c.shape == nil {
		return fmt.Errorf("%w: the job is %s", ErrNotScalable, c.status)
	}
	return r.check(c.g)
}

// setRequirements changes the bounds. A job that runs goes on as it is until it has the slots for another parallelism.
func (c *core) setRequirements(now int64, r Requirements) error {
	if err := c.checkRequirements(r); err != nil {
		return err
	}
	c.required, c.shape = r, newShape(c.g, r)
	c.note("resource requirements changed: %d to %d slots", c.shape.least, c.shape.most)
	c.changed, c.asked, c.planned, c.failed, c.refusals, c.rescaleBy = now, true, 0, 0, 0, 0
	if c.waitsForSlots() {
		c.require(now)
		c.proceed(now)
		return nil
	}
	if n := len(c.pool); n < c.shape.least {
		c.note("the job goes on with its %d slots, but restarts only with %d", n, c.shape.least)
	}
	c.need = c.shape.most
	c.returnSpares()
	c.declare()
	c.consider(now)
	return nil
}
