package supervisor

import (
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// An actor that panics with the PanicError of a call on another goroutine is reported with
// the value, the stack and the message of that call.
func TestPanicErrorAsValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got Panic
		first := &PanicError{Value: "a bug", Stack: []byte("the stack of the call"), Msg: "call"}
		sys, _ := startTree(t, Spec{New: act(func(c actor.Context) {
			if c.Message() == "go" {
				panic(first)
			}
		}), OnPanic: ContainOnPanic}, Options{Panicked: func(p Panic) { got = p }})
		sys.Root.Send(sys.NewLocalPID("t/tree"), "go")
		synctest.Wait()
		if e := got.Err; e == nil || e.Value != first.Value || string(e.Stack) != string(first.Stack) || e.Msg != "call" || e.Path != "t/tree" {
			t.Errorf("got %+v, want the first panic at this actor", got.Err)
		}
	})
}
