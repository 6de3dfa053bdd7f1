package requests

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/kad/script"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestScripts runs testdata/*.txt. A command is an event, and the lines below it are its
// effects. "ask" begins the request with a number, "answer" answers it: "id=none" is an
// answer with a foreign id. "at" moves the clock and says that it is due. With -rewrite the
// expected lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		"timeouts", // a soft and a hard limit, answers in time, late and twice
		// conforms: kad 34
		"resend", // datagrams go again with the same id
		// conforms: kad 36
		"foreign", // answers that fit no request
		"pong",    // a pong of a seed node
		"limits",  // requests under way
		"closed",  // a connection ends
	} {
		t.Run(name, func(t *testing.T) {
			s := newRun()
			script.Run(t, name, s.run)
		})
	}
}

type run struct {
	script.Clock
	m   *Machine
	ids map[Ref]overlay.RequestID
}

func newRun() *run {
	r := &run{Clock: script.NewClock(), ids: make(map[Ref]overlay.RequestID)}
	r.reset(Options{})
	return r
}

func (r *run) reset(o Options) {
	o.Rand = rand.New(rand.NewPCG(1, 2))
	r.m = New(o)
	clear(r.ids)
	r.Clock = script.NewClock()
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	arg := func(key, or string) string { return script.Text(d, key, or) }
	ref := func() (n Ref) {
		if _, err := fmt.Sscan(d.CmdArgs[0].Key, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch d.Cmd {
	case "new":
		var o Options
		d.MaybeScanArgs(t, "max", &o.Max)
		d.MaybeScanArgs(t, "per", &o.MaxPerPeer)
		o.LoosePong = d.HasArg("seed")
		r.reset(o)
		return "ready"
	case "ask":
		to := script.Contact(t, arg("to", "A"))
		e := Ask{
			Ref: ref(), Verb: script.Verb(t, arg("verb", "find-node")), To: to.Addresses[0], Peer: to.ID,
			Soft: script.Duration(t, arg("soft", "200ms")), Hard: script.Duration(t, arg("hard", "1s")), Resend: d.HasArg("resend"),
		}
		if d.HasArg("anybody") {
			e.Peer = overlay.ID{}
		}
		return r.step(e)
	case "answer":
		from := script.Contact(t, arg("from", "A"))
		e := Answer{From: from.Addresses[0], Peer: from.ID, Verb: script.Verb(t, arg("verb", "reply"))}
		if arg("id", "") != "none" {
			e.ID = r.ids[ref()]
		}
		return r.step(e)
	case "closed":
		return r.step(Closed{script.Contact(t, d.CmdArgs[0].Key).Addresses[0]})
	case "cancel":
		return r.step(Cancel{ref()})
	case "at":
		r.Set(t, d.CmdArgs[0].Key)
		if d.HasArg("quietly") {
			return "ready"
		}
		return r.step(Due{})
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

func (r *run) step(e Event) string {
	var b strings.Builder
	for _, f := range r.m.Step(r.Now, e) {
		switch f := f.(type) {
		case Send:
			same := ""
			if id, ok := r.ids[f.Ref]; ok && id == f.ID {
				same = ", same id"
			}
			r.ids[f.Ref] = f.ID
			fmt.Fprintf(&b, "send %d, %v left, copy %d%s\n", f.Ref, f.Left, f.Copy, same)
		case Slow:
			fmt.Fprintf(&b, "slow %d\n", f.Ref)
		case Answered:
			fmt.Fprintf(&b, "answered %d by %s after %v", f.Ref, script.Name(f.Peer), f.Took)
			if f.Measured {
				b.WriteString(", measured")
			}
			if f.Echoed {
				b.WriteString(", echoed")
			}
			b.WriteString("\n")
		case Lost:
			fmt.Fprintf(&b, "lost %d: %v\n", f.Ref, f.Why)
		case Dropped:
			fmt.Fprintf(&b, "dropped: %v\n", f.Why)
		case Wake:
			fmt.Fprintf(&b, "wake at %s\n", r.Since(f.At))
		}
	}
	return script.OrNothing(b.String())
}
