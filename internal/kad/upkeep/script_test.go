package upkeep

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/kad/script"
	"github.com/gamelan-p2p/gamelan/internal/kad/table"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestScripts runs testdata/*.txt. This node has the id of zeros, so 3.7 belongs into range
// 3. A command is an event, and the lines below it are its effects. "known" puts contacts
// into the routing table and says so. "at" moves the clock and says that it is due; "until"
// lets everything happen up to a time, with the time of each effect: lookups and probes are
// answered with what "answers" says, or not at all. With -rewrite the expected lines are
// written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		"bootstrap", // whom a node asks, and in which order
		"isolated",  // nobody answers
		"first",     // the first node of a network
		"asked",     // somebody asks a node that looks for a way in
		"again",     // only the machine begins anew
		// conforms: kad 27
		"ranges",
		"self", // lookups of the own id
		// conforms: kad 27
		"quiet",     // a change of the size alone starts nothing
		"shrinking", // a table that loses many
		// conforms: kad 25
		"former",
		"others", // bootstrap addresses
		"halflife",
		// conforms: kad 49
		"held",
		"own",
		"many", // publications at once
	} {
		t.Run(name, func(t *testing.T) {
			s := &run{Clock: script.NewClock()}
			script.Run(t, name, s.run)
		})
	}
}

type run struct {
	gone map[overlay.ID]bool // contacts that leave the table
	script.Clock
	m       *Machine
	table   *table.Table
	answers []overlay.Contact
	listed  []overlay.Contact
}

func (r *run) reset(o Options) {
	random := rand.New(rand.NewPCG(1, 2))
	r.Clock = script.NewClock()
	r.table = table.New(overlay.ID{}, table.Options{K: 20, Rand: random, Banned: func(c overlay.Contact) bool { return r.gone[c.ID] }})
	r.table.Step(r.Now, table.Joined{})
	o.View, o.Rand = r.table.View, random
	o.Listed = func() []overlay.Contact { return r.listed }
	r.m, r.answers, r.listed = New(overlay.ID{}, o), nil, nil
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	texts := script.Named(d)
	list := func(key string) []overlay.Contact { return script.Listed(t, d, key) }
	var e Event
	switch d.Cmd {
	case "new":
		var o Options
		if d.HasArg("seed") {
			o.Overlay = overlay.Seed
		}
		r.reset(o)
		return "ready"
	case "start":
		s := Start{Persisted: list("persisted"), Joined: d.HasArg("joined")}
		r.listed = list("listed")
		for _, c := range list("addresses") {
			s.Bootstrap = append(s.Bootstrap, c.Addresses[0])
		}
		e = s
	case "listed":
		r.listed = script.Contacts(t, texts)
		return "ready"
	case "known":
		var b strings.Builder
		for _, c := range script.Contacts(t, texts) {
			r.table.Step(r.Now, table.Answered{Contact: c})
			b.WriteString(r.step(Added{c}))
		}
		return script.OrNothing(b.String())
	case "removed":
		var b strings.Builder
		lived := "1h"
		d.MaybeScanArgs(t, "lived", &lived)
		for _, c := range script.Contacts(t, texts) {
			r.gone = map[overlay.ID]bool{c.ID: true}
			r.table.Step(r.Now, table.Banned{})
			r.gone = nil
			b.WriteString(r.step(Removed{Contact: c, Lived: script.Duration(t, lived), Banned: d.HasArg("banned")}))
		}
		return script.OrNothing(b.String())
	case "asked":
		e = Asked{script.Contact(t, texts[0])}
	case "probed":
		c := script.Contacts(t, texts)[0]
		if d.HasArg("address") {
			c.ID = overlay.ID{}
		}
		e = Probed{c, !d.HasArg("silent")}
	case "looked-up":
		target := overlay.ID{}
		if len(texts) > 0 {
			target = script.ID(t, texts[0])
		}
		e = LookedUp{target, list("found")}
	case "answers":
		r.answers = script.Contacts(t, texts)
		return "ready"
	case "held":
		e = Held{script.ID(t, d.CmdArgs[0].Key)}
	case "dropped":
		e = Dropped{script.ID(t, d.CmdArgs[0].Key)}
	case "replicated":
		e = Replicated{script.ID(t, d.CmdArgs[0].Key)}
	case "own":
		after := "0s"
		d.MaybeScanArgs(t, "due", &after)
		e = Own{script.ID(t, d.CmdArgs[0].Key), r.Begin.Add(script.Duration(t, after))}
	case "forgotten":
		e = Forgotten{script.ID(t, d.CmdArgs[0].Key)}
	case "published":
		e = Published{script.ID(t, d.CmdArgs[0].Key), !d.HasArg("failed")}
	case "at":
		r.Set(t, d.CmdArgs[0].Key)
		e = Due{}
	case "clock":
		r.Set(t, d.CmdArgs[0].Key)
		return "ready"
	case "until":
		return r.until(t, d)
	case "state":
		held, own := r.m.Records()
		return fmt.Sprintf("%v, half-life %v, %d held, %d own, %d former", r.m.State(), r.m.HalfLife().Round(1e9), held, own, len(r.m.Former()))
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return script.OrNothing(r.step(e))
}

// until lets everything happen up to a time.
func (r *run) until(t *testing.T, d *datadriven.TestData) string {
	end := r.Begin.Add(script.Duration(t, d.CmdArgs[0].Key))
	var b strings.Builder
	lookups, probes := 0, 0
	for !r.m.wake.IsZero() && !r.m.wake.After(end) {
		r.Now = r.m.wake
		queue := append([]Effect(nil), r.m.Step(r.Now, Due{})...)
		for len(queue) > 0 {
			f := queue[0]
			queue = queue[1:]
			switch f.(type) {
			case Wake:
				continue
			case Probe:
				probes++
			case Lookup:
				lookups++
			}
			if !d.HasArg("counts") {
				fmt.Fprintf(&b, "%s: %s", r.Since(r.Now), r.text(f))
			}
			switch f := f.(type) {
			case Probe:
				queue = append(queue, r.m.Step(r.Now, Probed{f.Contact, d.HasArg("alive")})...)
			case Lookup:
				queue = append(queue, r.m.Step(r.Now, LookedUp{f.Target, r.answers})...)
			case Publish:
				queue = append(queue, r.m.Step(r.Now, Published{f.Key, !d.HasArg("failing")})...)
			case Replicate:
				queue = append(queue, r.m.Step(r.Now, Replicated(f))...)
			}
		}
	}
	r.Now = end
	if d.HasArg("counts") {
		fmt.Fprintf(&b, "%d lookups, %d probes\n", lookups, probes)
	}
	return script.OrNothing(b.String())
}

func (r *run) step(e Event) string {
	var b strings.Builder
	for _, f := range r.m.Step(r.Now, e) {
		b.WriteString(r.text(f))
	}
	return b.String()
}

func (r *run) text(f Effect) string {
	switch f := f.(type) {
	case Probe:
		name := script.Name(f.Contact.ID)
		if f.Contact.ID.IsZero() {
			name = string(f.Contact.Addresses[0])
		}
		if f.Once() {
			return fmt.Sprintf("probe %s once: %v\n", name, f.Why)
		}
		return fmt.Sprintf("probe %s: %v\n", name, f.Why)
	case Lookup:
		if f.Why == ForRange {
			return fmt.Sprintf("lookup in range %d\n", overlay.ID{}.CommonPrefix(f.Target))
		}
		return fmt.Sprintf("lookup: %v\n", f.Why)
	case Replicate:
		return fmt.Sprintf("replicate %s\n", script.Name(f.Key))
	case Publish:
		return fmt.Sprintf("publish %s\n", script.Name(f.Key))
	case Joined:
		return "joined\n"
	case Changed:
		if f.Asked > 0 {
			return fmt.Sprintf("%v, %d of %d answered\n", f.State, f.Answered, f.Asked)
		}
		return fmt.Sprintf("%v\n", f.State)
	case Churn:
		return fmt.Sprintf("half-life %v\n", f.HalfLife.Round(1e9))
	case Wake:
		return fmt.Sprintf("wake at %s\n", r.Since(f.At))
	}
	return fmt.Sprintf("%T\n", f)
}
