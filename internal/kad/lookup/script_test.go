package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/kad/script"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestScripts runs testdata/*.txt. The target is the id of zeros, so A is nearer than B. A
// command is an event, and the lines below it are its effects. "answered A contacts=(B,C)
// seq=3" is an answer with contacts and version 3 of the value. "at" moves the clock and
// says that it is due. "hops" shows the steps of a trace as well. With -rewrite the expected
// lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: kad 32
		"strict", // a search ends when the k nearest have answered
		// conforms: kad 33
		"slots",   // slow contacts give their slot away
		"late",    // answers after the contact was given up
		"starved", // nobody is left
		"first",   // the first copy of a value ends the search
		"newest",  // the newest version, by quorum
		// conforms: kad 31, 37
		"limits",   // time, contacts asked, bytes
		"excluded", // this node and the asker
		// conforms: kad 37
		"crowd",     // contacts of one network
		"misled",    // contacts that name nothing nearer
		"unchecked", // claims that are not valid
		"wide",      // contacts of all parts of the table are asked, too
		"cancel",
		"trace",
	} {
		t.Run(name, func(t *testing.T) {
			s := &run{Clock: script.NewClock()}
			s.reset(Options{K: 3, Alpha: 2})
			script.Run(t, name, s.run)
		})
	}
}

type run struct {
	script.Clock
	l      *Lookup
	hops   bool
	spread []overlay.Contact
}

func (r *run) reset(o Options) {
	o.Compare = func(a, b *overlay.Record) int { return cmp.Compare(a.Seq, b.Seq) }
	o.Spread = func() []overlay.Contact { return r.spread }
	r.Clock = script.NewClock()
	r.l = New(overlay.ID{}, o)
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	peer := func() overlay.ID { return script.ID(t, d.CmdArgs[0].Key) }
	switch d.Cmd {
	case "new":
		o := Options{K: 3, Alpha: 2}
		d.MaybeScanArgs(t, "k", &o.K)
		d.MaybeScanArgs(t, "alpha", &o.Alpha)
		d.MaybeScanArgs(t, "quorum", &o.Quorum)
		if d.HasArg("first") {
			o.Mode = ForFirst
		} else if d.HasArg("newest") {
			o.Mode = ForNewest
		}
		for _, c := range script.Listed(t, d, "exclude") {
			o.Exclude = append(o.Exclude, c.ID)
		}
		var unusable, bad string
		d.MaybeScanArgs(t, "unusable", &unusable)
		if unusable != "" {
			o.Usable = func(c overlay.Contact) bool { return c.ID != script.ID(t, unusable) }
		}
		d.MaybeScanArgs(t, "bad", &bad)
		if bad != "" {
			o.Verify = func(c overlay.Contact) error {
				if c.ID == script.ID(t, bad) {
					return errors.New("bad claim")
				}
				return nil
			}
		}
		o.Wide = d.HasArg("wide")
		r.reset(o)
		r.hops = d.HasArg("hops")
		return "ready"
	case "start":
		var texts []string
		for _, a := range d.CmdArgs {
			if a.Key != "spread" {
				texts = append(texts, a.Key)
			}
		}
		r.spread = script.Listed(t, d, "spread")
		return r.step(Start{script.Contacts(t, texts)})
	case "answered":
		e := Answered{Peer: peer(), Forged: d.HasArg("forged"), Took: r.Now.Sub(r.Begin)}
		e.Contacts = script.Listed(t, d, "contacts")
		var seq uint64
		if d.MaybeScanArgs(t, "seq", &seq); seq > 0 {
			e.Record = &overlay.Record{Seq: seq}
		}
		d.MaybeScanArgs(t, "size", &e.Size)
		return r.step(e)
	case "slow":
		return r.step(Slow{peer()})
	case "lost":
		return r.step(Lost{peer()})
	case "cancel":
		return r.step(Cancel{})
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
	for _, f := range r.l.Step(r.Now, e) {
		switch f := f.(type) {
		case Ask:
			fmt.Fprintf(&b, "ask %s\n", script.Name(f.Contact.ID))
		case Blame:
			fmt.Fprintf(&b, "blame %s: %v\n", script.Name(f.Peer), f.Why)
		case Hop:
			if s := f.Step; r.hops {
				fmt.Fprintf(&b, "  +%v h%d #%d %s %v %v, +%d nearer (best %d -> %d)", s.At, s.Hop, s.Rank, script.Name(s.Contact.ID), s.State, s.Took, s.Gained, s.BestBefore, s.Best)
				if s.Record {
					b.WriteString(" VALUE")
				}
				b.WriteString("\n")
			}
		case Wake:
			fmt.Fprintf(&b, "wake at %s\n", r.Since(f.At))
		case Done:
			b.WriteString(text(f.Result))
		}
	}
	return script.OrNothing(b.String())
}

func text(r overlay.LookupResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: nearest %s", r.Reason, script.Names(r.Nearest))
	if len(r.Further) > 0 {
		fmt.Fprintf(&b, ", further %s", script.Names(r.Further))
	}
	fmt.Fprintf(&b, "; %d hops, %d asked, %d answered, %d failed, %d slow, %d heard, %v\n",
		r.Hops, r.Asked, r.Answers, r.Failures, r.Slowed, r.Heard, r.Took)
	if r.Record != nil {
		fmt.Fprintf(&b, "  seq %d from %s, agreed %d, stale %s", r.Record.Seq, script.Name(r.Sender), r.Agreed, script.Names(r.Stale))
		if r.Lacking != nil {
			fmt.Fprintf(&b, ", lacking %s", script.Name(r.Lacking.ID))
		}
		b.WriteString("\n")
	}
	if r.Err != nil {
		fmt.Fprintf(&b, "  %v\n", r.Err)
	}
	return b.String()
}
