package put

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

// TestScripts runs testdata/*.txt. "new" makes a Put with the contacts that a lookup found. A
// command is an event, and the lines below it are its effects. With -rewrite the expected
// lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		"accepted", // twice alpha at a time, until k have accepted
		// conforms: kad 47
		"partial", // below the quorum
		"refused", // the next nearest, and a newer record
		"few",     // a network smaller than the quorum
		"sent",    // a wire without answers
		"cancel",
	} {
		t.Run(name, func(t *testing.T) {
			s := &run{}
			script.Run(t, name, s.run)
		})
	}
}

type run struct{ p *Put }

var statuses = map[string]overlay.Status{
	"quota": overlay.Quota, "not-close": overlay.NotClose, "busy": overlay.Busy, "seq-too-low": overlay.SeqTooLow,
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	peer := func() overlay.ID { return script.ID(t, d.CmdArgs[0].Key) }
	switch d.Cmd {
	case "new":
		o := Options{K: 4, Alpha: 1, Compare: func(a, b *overlay.Record) int { return cmp.Compare(a.Seq, b.Seq) }}
		d.MaybeScanArgs(t, "k", &o.K)
		d.MaybeScanArgs(t, "alpha", &o.Alpha)
		d.MaybeScanArgs(t, "quorum", &o.Quorum)
		r.p = New(script.ID(t, "KEY"), script.Listed(t, d, "at"), o)
		return r.step(Start{})
	case "stored":
		e := Replied{Peer: peer()}
		var life string
		if d.MaybeScanArgs(t, "life", &life); life != "" {
			e.Granted = script.Duration(t, life)
		}
		return r.step(e)
	case "refused":
		e := Replied{Peer: peer(), Status: statuses[d.CmdArgs[1].Key]}
		var seq uint64
		if d.MaybeScanArgs(t, "seq", &seq); seq > 0 {
			e.Current = &overlay.Record{Seq: seq}
		}
		return r.step(e)
	case "gone":
		return r.step(Gone{peer()})
	case "lost":
		var why []string
		d.MaybeScanArgs(t, "why", &why)
		return r.step(Lost{peer(), strings.Join(why, " ")})
	case "cancel":
		return r.step(Cancel{})
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

func (r *run) step(e Event) string {
	var b strings.Builder
	for _, f := range r.p.Step(e) {
		switch f := f.(type) {
		case Store:
			fmt.Fprintf(&b, "store at %s\n", script.Name(f.Contact.ID))
		case Done:
			fmt.Fprintf(&b, "done: %d accepted, want %d\n", f.Report.Accepted, f.Report.Quorum)
			for _, o := range f.Report.Outcomes {
				fmt.Fprintf(&b, "  %s %v", script.Name(o.Contact.ID), o.State)
				if o.State == overlay.Stored {
					fmt.Fprintf(&b, " for %v", o.Life)
				}
				if o.State == overlay.Refused {
					fmt.Fprintf(&b, ": %v", o.Status)
				}
				if o.Why != "" {
					fmt.Fprintf(&b, ": %s", o.Why)
				}
				b.WriteString("\n")
			}
			if f.Report.Current != nil {
				fmt.Fprintf(&b, "  newer: seq %d\n", f.Report.Current.Seq)
			}
			if partial, ok := errors.AsType[*overlay.PartialError](f.Err); ok {
				fmt.Fprintf(&b, "  %v\n", partial)
			}
		}
	}
	return script.OrNothing(b.String())
}
