package table

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/kad/script"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestScripts runs testdata/*.txt. This node has the id of zeros, so 3.7 belongs into bucket
// 3. A command is an event, and the lines below it are its effects; wakes are left out but
// with "wakes". "table" shows the contacts: * marks those of the fast queue. "at" moves the
// clock and says that it is due, "clock" moves the clock alone. With -rewrite the expected
// lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		"admission", // who may enter
		// conforms: kad 20
		"replace", // who leaves, and who takes the place
		// conforms: kad 20
		"full",   // newcomers wait
		"unfold", // the deepest bucket splits
		// conforms: kad 21
		"groups", // networks
		"private",
		// conforms: kad 22
		"asked", // who asks becomes a candidate
		// conforms: kad 23
		"joining", // before the first self-lookup has ended
		// conforms: kad 24
		"moved", // overlay Seed: an id at another address
		// conforms: kad 24
		"stamp", // overlay Native: a later claim
		// conforms: kad 26
		"scores",
		// conforms: kad 26
		"revalidate", // the two queues
		"banned",
		// conforms: kad 22
		"given", // who is named to others
	} {
		t.Run(name, func(t *testing.T) {
			s := &run{Clock: script.NewClock()}
			s.reset(Options{})
			script.Run(t, name, s.run)
		})
	}
}

type run struct {
	script.Clock
	t     *Table
	wakes bool
	bans  map[string]bool
}

func (r *run) reset(o Options) {
	o.Rand = rand.New(rand.NewPCG(1, 2))
	r.bans = map[string]bool{"9.666": true}
	o.Banned = func(c overlay.Contact) bool { return r.bans[script.Name(c.ID)] }
	r.Clock = script.NewClock()
	r.t = New(overlay.ID{}, o)
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	texts := script.Named(d)
	each := func(event func(overlay.Contact) Event) string {
		var b strings.Builder
		for _, c := range script.Contacts(t, texts) {
			b.WriteString(r.step(event(c)))
		}
		if d.HasArg("quietly") {
			return fmt.Sprintf("%d in the table", r.t.Len())
		}
		return script.OrNothing(b.String())
	}
	switch d.Cmd {
	case "new":
		o := Options{K: 2, Replacements: 2}
		d.MaybeScanArgs(t, "k", &o.K)
		d.MaybeScanArgs(t, "wait", &o.Replacements)
		if d.HasArg("seed") {
			o.Overlay = overlay.Seed
		}
		only := d.HasArg("onion-only")
		o.AllowPrivate, o.OnionOnly = d.HasArg("private"), func() bool { return only }
		r.reset(o)
		r.wakes = d.HasArg("wakes")
		if !d.HasArg("joining") {
			r.step(Joined{})
		}
		return "ready"
	case "answered":
		return each(func(c overlay.Contact) Event {
			e := Answered{Contact: c, Candidate: d.HasArg("candidate"), Echoed: !d.HasArg("pong")}
			d.MaybeScanArgs(t, "stamp", &e.Contact.Stamp)
			return e
		})
	case "failed":
		return each(func(c overlay.Contact) Event {
			e := Failed{ID: c.ID}
			if d.HasArg("there") {
				e.Address = c.Addresses[0]
			}
			return e
		})
	case "asked":
		return each(func(c overlay.Contact) Event { return Asked{c, d.HasArg("read-only")} })
	case "blamed":
		return each(func(c overlay.Contact) Event { return Blamed{c.ID, d.HasArg("mild")} })
	case "banned":
		return each(func(c overlay.Contact) Event {
			r.bans[script.Name(c.ID)] = true
			return Banned{}
		})
	case "joined":
		return script.OrNothing(r.step(Joined{}))
	case "churn":
		return script.OrNothing(r.step(Churn{script.Duration(t, d.CmdArgs[0].Key)}))
	case "clock":
		r.Set(t, d.CmdArgs[0].Key)
		return "ready"
	case "at":
		r.Set(t, d.CmdArgs[0].Key)
		return script.OrNothing(r.step(Due{}))
	case "probes": // lets the table work until a time; all that is probed answers, if not "silent"
		return r.probes(t, d)
	case "table":
		return r.table()
	case "given":
		return "given " + script.Names(r.t.View().Given(r.Now, script.ID(t, d.CmdArgs[0].Key), 3, script.ID(t, "7.1"))) +
			", nearest " + script.Names(r.t.View().Nearest(script.ID(t, d.CmdArgs[0].Key), 3))
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

func (r *run) probes(t *testing.T, d *datadriven.TestData) string {
	end := r.Begin.Add(script.Duration(t, d.CmdArgs[0].Key))
	n := 0
	counts := map[string]int{}
	var order []string
	for r.t.wake.Before(end) && !r.t.wake.IsZero() {
		r.Now = r.t.wake
		for _, f := range append([]Effect(nil), r.t.Step(r.Now, Due{})...) {
			p, ok := f.(Probe)
			if !ok {
				continue
			}
			n++
			name := script.Name(p.Contact.ID)
			if counts[name]++; counts[name] == 1 {
				order = append(order, name)
			}
			if !d.HasArg("silent") {
				r.t.Step(r.Now, Answered{Contact: p.Contact})
			}
		}
	}
	r.Now = end
	return fmt.Sprintf("%d probes of %d contacts", n, len(order))
}

func (r *run) step(e Event) string {
	var b strings.Builder
	for _, f := range r.t.Step(r.Now, e) {
		switch f := f.(type) {
		case Probe:
			fmt.Fprintf(&b, "probe %s", script.Name(f.Contact.ID))
			if f.Candidate {
				b.WriteString(", a candidate")
			}
			b.WriteString("\n")
		case Added:
			fmt.Fprintf(&b, "added %s\n", script.Name(f.Contact.ID))
		case Removed:
			fmt.Fprintf(&b, "removed %s after %v: %v\n", script.Name(f.Contact.ID), f.Lived, f.Why)
		case Wake:
			if r.wakes {
				fmt.Fprintf(&b, "wake at %s\n", r.Since(f.At))
			}
		}
	}
	return b.String()
}

func inList(l *list.List, x *entry) bool {
	for at := l.Front(); at != nil; at = at.Next() {
		if at == x.queued {
			return true
		}
	}
	return false
}

func (r *run) table() string {
	var b strings.Builder
	for i, x := range r.t.buckets {
		if len(x.live)+len(x.waiting) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%d:", i)
		for _, e := range x.live {
			b.WriteString(" " + script.Name(e.Contact.ID))
			if inList(&r.t.doubtful, e) {
				b.WriteString("*")
			}
			fmt.Fprintf(&b, "(%d)", e.Score)
			if e.Failures > 0 {
				fmt.Fprintf(&b, "!%d", e.Failures)
			}
			if len(e.Contact.Addresses) != 1 || !strings.HasPrefix(string(e.Contact.Addresses[0]), "/ip4/3") {
				fmt.Fprintf(&b, "%v", e.Contact.Addresses)
			}
		}
		if len(x.waiting) > 0 {
			b.WriteString(" |")
			for _, e := range x.waiting {
				b.WriteString(" " + script.Name(e.Contact.ID))
			}
		}
		b.WriteString("\n")
	}
	if r.t.Candidates() > 0 {
		fmt.Fprintf(&b, "candidates: %d\n", r.t.Candidates())
	}
	return script.OrNothing(b.String())
}
