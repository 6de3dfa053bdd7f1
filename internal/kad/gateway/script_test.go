package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/internal/kad/script"
	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestScripts runs testdata/*.txt. A command is an event, and the lines below it are its
// effects, with the bytes of what is sent. With -rewrite the expected lines are written;
// read them.
//
//	new [native] [client] [private] [max-value=n] [max=n]
//	receive VERB from=A [id=n|none] [target=B] [value=n] [list=(A,B)]   id: that of our message n
//	respond [value=n] [list=(A,B)]                                   to the last Serve
//	ask N VERB to=A [anybody] [value=n] [target=B] [rtt=T] [dial]
//	cancel N · closed A · punish A · client · server · at T
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: kad 7
		"first", // bytes to an address without proof
		// conforms: kad 4, 8
		"proof", // what proves an address, and who may store
		// conforms: kad 5
		"pong", // a PONG with an id of its own
		// conforms: kad 10
		"young",  // timeouts of a node that was just met
		"resend", // … and a minute later
		// conforms: kad 6
		"lists", // contacts that are named, and that are believed
		// conforms: kad 11
		"values",  // limits of values
		"foreign", // answers that nobody waits for
		"rates",   // requests above the rates
		"client",  // a node that serves nobody
		"again",   // a node that has started again with another id
		"stale",   // answers to an address whose proof is old
		"native",  // authenticated nodes of the other overlay
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{}
			r.reset(t, Options{Overlay: overlay.Seed}, 0)
			script.Run(t, name, r.run)
		})
	}
}

const self = "0.1"

type run struct {
	script.Clock
	m     *Machine
	codec seedwire.Codec
	ids   []overlay.RequestID // of messages of this node, in the order of sending
	serve *Request
	in    map[overlay.Address]int
	out   map[overlay.Address]int
}

func (r *run) reset(t *testing.T, o Options, maxValue int) {
	t.Helper()
	codec, err := seedwire.NewCodec(20, maxValue)
	if err != nil {
		t.Fatal(err)
	}
	o.Self, o.Rand = script.ID(t, self), rand.New(rand.NewPCG(1, 2))
	if o.Overlay == overlay.Seed {
		o.Unproven, o.Datagram, o.Size = true, true, codec.Size
		o.Check = func(_ overlay.Address, m *overlay.Message) error { return codec.Check(m) }
		o.Select = func(list []overlay.Contact, to *Request, n, room int) []overlay.Contact {
			return codec.Select(list, seedwire.Asker{ID: to.From.ID, Address: to.Address}, o.Self, n, room)
		}
	}
	*r = run{Clock: script.NewClock(), m: New(o), codec: codec, in: map[overlay.Address]int{}, out: map[overlay.Address]int{}}
	r.m.SetOwn(script.Contact(t, self+"@30.0.0.9").Addresses)
}

func (r *run) run(t *testing.T, d *datadriven.TestData) string {
	arg := func(key, or string) string { return script.Text(d, key, or) }
	number := func(text string) (n int) {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	list := func() []overlay.Contact { return script.Listed(t, d, "list") }
	record := func(key overlay.Key) *overlay.Record {
		if n := number(arg("value", "-1")); n >= 0 {
			return &overlay.Record{Kind: overlay.Opaque, Key: key, Value: make([]byte, n)}
		}
		return nil
	}
	switch d.Cmd {
	case "new":
		o := Options{Overlay: overlay.Seed, AllowPrivate: d.HasArg("private"), Client: d.HasArg("client"), Max: number(arg("max", "0"))}
		if d.HasArg("native") {
			o.Overlay = overlay.Native
		}
		r.reset(t, o, number(arg("max-value", "0")))
		return "ready"
	case "receive":
		from := script.Contact(t, arg("from", "A"))
		m := overlay.Message{Verb: script.Verb(t, d.CmdArgs[0].Key), Sender: from.ID, Target: script.ID(t, arg("target", "T")), Contacts: list()}
		m.Record = record(m.Target)
		if id := arg("id", "none"); id != "none" {
			m.ID = r.ids[number(id)-1]
		}
		var times []string
		counts := map[string]int{}
		for range number(arg("times", "1")) {
			p := overlay.Packet{Address: from.Addresses[0], Message: m, Size: r.codec.Size(&m)}
			r.in[p.Address] += p.Size
			shown := r.step(t, &Received{Request{Packet: p, From: from, Group: p.Address.Group()}})
			if counts[shown]++; counts[shown] == 1 {
				times = append(times, shown)
			}
		}
		var b strings.Builder
		for _, shown := range times {
			if n := counts[shown]; n > 1 {
				fmt.Fprintf(&b, "%d times:\n", n)
			}
			b.WriteString(shown)
		}
		return script.OrNothing(b.String())
	case "respond":
		if r.serve == nil {
			t.Fatal("nothing to respond to")
		}
		return script.OrNothing(r.step(t, &Respond{
			Request: r.serve, Answer: overlay.Message{Verb: overlay.Reply, Record: record(r.serve.Message.Target), Contacts: list()},
		}))
	case "ask":
		to := script.Contact(t, arg("to", "A"))
		m := overlay.Message{Verb: script.Verb(t, d.CmdArgs[1].Key), Target: script.ID(t, arg("target", "T"))}
		m.Record = record(m.Target)
		e := &Ask{Ref: requests.Ref(number(d.CmdArgs[0].Key)), To: to.Addresses[0], Contact: to.ID, Message: m, RTT: overlay.RTT{Smoothed: script.Duration(t, arg("rtt", "0s"))}, Dial: d.HasArg("dial"), Tor: d.HasArg("tor"), Once: d.HasArg("once")}
		if d.HasArg("anybody") {
			e.Contact = overlay.ID{}
		}
		return script.OrNothing(r.step(t, e))
	case "cancel":
		return script.OrNothing(r.step(t, Cancel{requests.Ref(number(d.CmdArgs[0].Key))}))
	case "closed":
		return script.OrNothing(r.step(t, Closed{script.Contact(t, d.CmdArgs[0].Key).Addresses[0]}))
	case "punish":
		return script.OrNothing(r.step(t, Punish{string(script.Contact(t, d.CmdArgs[0].Key).Addresses[0])}))
	case "client", "server":
		return script.OrNothing(r.step(t, SetClient{d.Cmd == "client"}))
	case "at":
		r.Set(t, d.CmdArgs[0].Key)
		return script.OrNothing(r.step(t, Due{}))
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

// step shows the effects of an event. An address without proof must never have got more than
// three times what it sent, apart from this node's own requests.
func (r *run) step(t *testing.T, e Event) string {
	var b strings.Builder
	for _, f := range r.m.Step(r.Now, e) {
		switch f := f.(type) {
		case *Send:
			size := r.codec.Size(&f.Message)
			r.ids = append(r.ids, f.Message.ID)
			if f.Message.Sender != script.ID(t, self) && f.Message.Verb != overlay.Reply {
				t.Errorf("got %v in the name of %s", f.Message.Verb, script.Name(f.Message.Sender))
			}
			what := fmt.Sprintf("request %d", len(r.ids))
			if f.Answer {
				what = "answer"
			}
			_, isAsk := e.(*Ask)
			if _, isDue := e.(Due); !isAsk && !isDue {
				r.out[f.Address] += size
			}
			if r.out[f.Address] > 3*r.in[f.Address] && !r.m.reached(f.Address, r.Now) {
				t.Errorf("%s: got %d bytes for %d", f.Address, r.out[f.Address], r.in[f.Address])
			}
			fmt.Fprintf(&b, "send %s: %v to %s, %d bytes", what, f.Message.Verb, f.Address, size)
			if f.Message.Verb == overlay.Nodes || f.Answer && f.Message.Status == overlay.OK && f.Message.Verb == overlay.Reply {
				fmt.Fprintf(&b, ": %s", script.Names(f.Message.Contacts))
			}
			if f.Message.Status != overlay.OK {
				fmt.Fprintf(&b, ": %v, again after %v", f.Message.Status, f.Message.RetryAfter)
			}
			b.WriteString("\n")
		case *Serve:
			r.serve = f.Request
			fmt.Fprintf(&b, "serve %v of %s\n", f.Request.Message.Verb, script.Name(f.Request.From.ID))
		case *Answered:
			fmt.Fprintf(&b, "answered %d by %s after %v: %v", f.Ref, script.Name(f.Contact.ID), f.Took, f.Message.Verb)
			if f.Message.Verb == overlay.Nodes {
				fmt.Fprintf(&b, " %s", script.Names(f.Message.Contacts))
			}
			if f.Message.Record != nil {
				fmt.Fprintf(&b, " of %d bytes", len(f.Message.Record.Value))
			}
			if f.Measured {
				b.WriteString(", measured")
			}
			if f.Echoed {
				b.WriteString(", echoed")
			}
			b.WriteString("\n")
		case Slow:
			fmt.Fprintf(&b, "slow %d\n", f.Ref)
		case Sent:
			fmt.Fprintf(&b, "sent %d\n", f.Ref)
		case Lost:
			fmt.Fprintf(&b, "lost %d: %v", f.Ref, f.Why)
			if tooLarge, ok := errors.AsType[*overlay.ValueTooLargeError](f.Err); ok {
				fmt.Fprintf(&b, ", limit %d", tooLarge.Max)
			}
			if f.Err != nil {
				fmt.Fprintf(&b, ": %v", f.Err)
			}
			b.WriteString("\n")
		case *Met:
			fmt.Fprintf(&b, "met %s at %s\n", script.Name(f.Contact.ID), f.Contact.Addresses[0])
		case *Seen:
			fmt.Fprintf(&b, "seen %s\n", script.Name(f.Contact.ID))
		case Dropped:
			fmt.Fprintf(&b, "dropped: %s\n", f.Why)
		case Wake:
			fmt.Fprintf(&b, "wake at %s\n", r.Since(f.At))
		}
	}
	return b.String()
}
