package task_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// TestMailAndHold has an operator that takes no input for a minute after each batch, until a timer's mail.
func TestMailAndHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var came []time.Duration
		j := &Job{}
		src := j.Node("source", nil, 0, trickle(3, 0))
		j.Node("holder", src, rebalance, func(env *operator.Env) (operator.Operator, error) {
			post := env.Runtime.Mail(func() error {
				env.Runtime.Hold(false)
				return nil
			})
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error {
				came = append(came, time.Since(begin))
				env.Runtime.Hold(true)
				time.AfterFunc(time.Minute, func() { post(); post() })
				return nil
			}}, nil
		})
		r := start(t, j, 1, task.Settings{}, nil)
		r.wait()
		expectFinished(t, r)
		if len(came) != 3 || came[0] != 0 || came[1] != time.Minute || came[2] != 2*time.Minute {
			t.Errorf("batches came at %v, want one a minute", came)
		}
	})
}

func panics() error { panic("in a goroutine of the operator's own") }

func TestMailedPanicFailsTheSubtask(t *testing.T) {
	f := failing(t, func(env *operator.Env) (operator.Operator, error) {
		var err error
		post := env.Runtime.Mail(func() error { return err })
		return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error {
			env.Runtime.Hold(true)
			go func() {
				err = env.Runtime.Protect(panics)
				post()
			}()
			return nil
		}}, nil
	})
	if !strings.Contains(f.GetMessage(), "of the operator's own") || !strings.Contains(f.GetStack(), "panics") || f.GetOperator() == "" {
		t.Errorf("failure %v", f)
	}
}
