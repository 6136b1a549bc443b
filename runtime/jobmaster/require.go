package jobmaster

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/runtime/ha"
)

// Requirements are the present bounds of the job's vertices.
func (m *JobMaster) Requirements() (r Requirements) {
	if !m.ask(func(c *core, now int64) { r = c.requirements() }) {
		<-m.ended
		return m.core.requirements()
	}
	return r
}

// Require changes the bounds of the job's vertices. It returns when they are recorded, so that a later JobMaster of the job has
// them, too; the job is rescaled once it has the slots. Errors wrap ErrRequirements or ErrNotScalable. After any other one the
// bounds may hold for a later JobMaster: ask again.
func (m *JobMaster) Require(ctx context.Context, r Requirements) error {
	m.requiring.Lock()
	defer m.requiring.Unlock()
	err := m.try(func(c *core, _ int64) error { return c.checkRequirements(r) })
	if err != nil {
		return err
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.proto())
	if err != nil {
		return fmt.Errorf("encode the resource requirements of job %s: %w", m.ID(), err)
	}
	if err := m.append(ctx, ha.Record{Kind: ha.KindRequirements, Key: m.ID().String(), Payload: payload}); err != nil {
		return fmt.Errorf("record the resource requirements of job %s: %w", m.ID(), err)
	}
	return m.try(func(c *core, now int64) error { return c.setRequirements(now, r) })
}

// try runs f on the actor's goroutine and returns its error.
func (m *JobMaster) try(f func(c *core, now int64) error) error {
	var err error
	if !m.ask(func(c *core, now int64) { err = f(c, now) }) {
		return fmt.Errorf("%w: it has ended", ErrNotScalable)
	}
	if err != nil {
		return fmt.Errorf("job %s: %w", m.ID(), err)
	}
	return nil
}
