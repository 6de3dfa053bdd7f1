package supervisor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// A child with Keeps that has watched another one is restarted with its parent: messages that
// wait come to the next child of its name. System messages do not, such as that the other one
// has ended, which the next child does not watch.
func TestKeptMailboxHasNoSystemMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := new(journal)
		born := 0
		watcher := Spec{Name: "watcher", Keeps: true, New: func() actor.Actor {
			born++
			n := born
			return fn(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.PID:
					c.Watch(m)
				case *actor.Started, *actor.Stopping, *actor.Stopped:
				default:
					j.add("%d %s", n, fmt.Sprintf("%T", m))
				}
			})
		}}
		slow := Spec{Name: "slow", Keeps: true, New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopping); ok {
				time.Sleep(time.Second)
			}
		})}
		parent := Spec{Name: "parent", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, slow)
				Spawn(c, watcher)
			case boom:
				panic("boom")
			}
		})}
		sys, r := startTree(t, Spec{Name: "tree", New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Spawn(c, parent)
			}
		}), Children: Policy{Action: Restart, Max: 3}}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "parent/watcher"), child(sys, r, "parent/slow"))
		synctest.Wait()
		sys.Root.Send(child(sys, r, "parent"), boom{})
		time.Sleep(500 * time.Millisecond)
		sys.Root.Send(child(sys, r, "parent/watcher"), "a message")
		time.Sleep(time.Minute)
		synctest.Wait()
		j.want(t, "2 string")
	})
}
