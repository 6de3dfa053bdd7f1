package supervisor_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// breaks panics on the line that here reports.
type breaks struct{ here *string }

func (b breaks) Receive(c actor.Context) {
	if c.Message() != "go" {
		return
	}
	_, _, line, _ := runtime.Caller(0)
	*b.here = fmt.Sprintf("where_test.go:%d", line+2)
	_ = strings.Repeat("x", -1) // the library panics, and names this line as its caller
}

// TestWhere names the line of the actor's own code, not that of Go's library or of the
// packages that run actors; and gives equal stacks equal ids.
func TestWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []*supervisor.PanicError
		var here string
		sys := actor.NewActorSystem()
		spec := supervisor.Spec{Name: "tree", New: func() actor.Actor { return breaks{&here} }, OnPanic: supervisor.ContainOnPanic}
		root, err := supervisor.Start(sys, "t", spec, supervisor.Options{Panicked: func(p supervisor.Panic) { got = append(got, p.Err) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			sys.Root.Send(sys.NewLocalPID("t/tree"), "go")
			synctest.Wait()
		}
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		sys.Shutdown()
		if len(got) != 2 || got[0].Where() != here || !strings.Contains(got[0].Error(), " at "+here+": ") {
			t.Fatalf("got %v, want two panics at %s", got, here)
		}
		if id := got[0].StackID(); len(id) != 16 || got[1].StackID() != id {
			t.Errorf("got the ids %q and %q, want equal ones", id, got[1].StackID())
		}
	})
}

// TestWhereOfStacks reads stacks of programs that were built in other ways.
func TestWhereOfStacks(t *testing.T) {
	const begin = "goroutine 7 [running]:\ngithub.com/gamelan-p2p/gamelan/supervisor.newPanicError({0x1, 0x2})\n\t%[1]sgithub.com/gamelan-p2p/gamelan/supervisor/failure.go:53 +0x1\n" +
		"panic({0x1?, 0x2?})\n\t%[2]sruntime/panic.go:783 +0x132\n"
	for name, c := range map[string]struct{ stack, want string }{
		"no stack": {"", ""},
		"plain":    {fmt.Sprintf(begin, "/mod/", "/go/src/") + "example.com/bank.(*Account).Receive(0x1, {0x2, 0x3})\n\t/home/me/bank/account.go:42 +0x1f\n", "account.go:42"},
		"a module without a dot": {
			fmt.Sprintf(begin, "/mod/", "/go/src/") + "runtime.goPanicIndex(0x1, 0x2)\n\t/go/src/runtime/panic.go:115 +0x1\nbank/accounts.Pay(...)\n\t/home/me/bank/pay.go:7\n", "pay.go:7",
		},
		"trimmed paths": {fmt.Sprintf(begin, "", "") + "strings.Repeat({0x1, 0x2}, 0x3)\n\tstrings/strings.go:1 +0x1\nmain.work(...)\n\t./main.go:9\n", "main.go:9"},
		"trimmed, a package": {
			fmt.Sprintf(begin, "", "") + "encoding/json.Marshal({0x1})\n\tencoding/json/encode.go:1 +0x1\nexample.com/bank.Pay(...)\n\texample.com/bank/pay.go:8\n", "pay.go:8",
		},
		"a second panic in a deferred function": {
			fmt.Sprintf(begin, "/mod/", "/go/src/") + "example.com/bank.cleanUp()\n\t/home/me/bank/clean.go:3 +0x1\npanic({0x1, 0x2})\n\t/go/src/runtime/panic.go:783 +0x1\nexample.com/bank.Pay()\n\t/home/me/bank/pay.go:8 +0x1\n", "clean.go:3",
		},
		"only the packages that run actors": {
			fmt.Sprintf(begin, "/mod/", "/go/src/") + "github.com/asynkron/protoactor-go/actor.x()\n\t/mod/x.go:1 +0x1\ncreated by example.com/bank.Start in goroutine 1\n\t/home/me/bank/start.go:1 +0x1\n", "",
		},
	} {
		if got := (&supervisor.PanicError{Stack: []byte(c.stack)}).Where(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestStackIDIgnoresGoroutinesAndArguments(t *testing.T) {
	id := func(stack string) string { return (&supervisor.PanicError{Stack: []byte(stack)}).StackID() }
	a := id("goroutine 1 [running]:\nmain.f(0x1)\n\t/src/f.go:3 +0x1\n")
	b := id("goroutine 9 [running]:\nmain.f(0x2)\n\t/src/f.go:3 +0x7\n")
	c := id("goroutine 1 [running]:\nmain.f(0x1)\n\t/src/f.go:4 +0x1\n")
	if a != b || a == c || id("") != "" {
		t.Errorf("got %s, %s, %s, want the first two equal, the third not", a, b, c)
	}
}
