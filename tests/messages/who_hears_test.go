package messages

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport"
)

// messageSettings are the rows and columns of docs/who-hears-whom.md: every way to
// set what a node's messaging protocols carry.
var messageSettings = []struct {
	name   string
	cfg    gamelan.Config
	silent bool // no handler of plain messages
}{
	{name: "defaults"},
	{name: "defaults, an agent of its own", cfg: gamelan.Config{UserAgent: "myapp/1.0"}},
	{name: "`NoDHT`", cfg: gamelan.Config{NoDHT: true}},
	{name: "`NoDHT`, `PlainOnProfile`", cfg: gamelan.Config{NoDHT: true, PlainOnProfile: true}},
	{name: "`PlainID`", cfg: gamelan.Config{PlainID: "myapp/msg/1"}},
	{name: "`NoDHT`, `PlainID`", cfg: gamelan.Config{NoDHT: true, PlainID: "myapp/msg/1"}},
	{name: "defaults, no handler", silent: true},
}

// hearing is one node of a pair, and what it hears.
type hearing struct {
	*gamelantest.Node
	plain, dht *gamelantest.Collector
}

func startHearing(net *gamelantest.Network, i int) hearing {
	s := messageSettings[i]
	cfg := s.cfg
	cfg.StoreForward.NoRequests = true
	h := hearing{plain: gamelantest.NewCollector(), dht: gamelantest.NewCollector()}
	opts := []gamelan.Option{kit.Quiet}
	if !s.silent {
		opts = append(opts, gamelan.WithHandler(h.plain.New))
	}
	if !cfg.NoDHT {
		opts = append(opts, gamelan.WithType(kit.TextType, h.dht.New))
	}
	h.Node = net.Start(cfg, opts...)
	return h
}

// whoHears is the table: for each kind of message what a sender and a receiver of
// these settings do.
type whoHears struct {
	cells map[[2]int]map[string]string // by sender and receiver, then by kind
	notes []string                     // the sentences of refusals
}

func (w *whoHears) note(text string) int {
	i := slices.Index(w.notes, text)
	if i < 0 {
		i = len(w.notes)
		w.notes = append(w.notes, text)
	}
	return i + 1
}

// The kinds of messages.
const (
	plainKind     = "plain"
	directKind    = "direct"
	broadcastKind = "broadcast"
)

// TestBubbleWhoHearsWhom sends between nodes of this library of all settings, plain
// messages and those of the DHT, directly and to many. Each is either confirmed
// and heard, or refused with what to change; none is confirmed that the receiver
// drops. The results are docs/who-hears-whom.md, which -update writes.
//
// conforms: comms 81
func TestBubbleWhoHearsWhom(t *testing.T) {
	const path = "docs/who-hears-whom.md"
	w := &whoHears{cells: map[[2]int]map[string]string{}}
	for s := range messageSettings {
		for r := range messageSettings {
			name := messageSettings[s].name + " to " + messageSettings[r].name
			t.Run(strings.ReplaceAll(name, "`", ""), func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) { w.pair(t, s, r) })
			})
		}
	}
	if t.Failed() {
		return
	}
	kit.WantPage(t, path, w.page())
}

// pair fills the cells of one sender and one receiver.
func (w *whoHears) pair(t *testing.T, s, r int) {
	net := kit.Asking(t)
	from, to := startHearing(net, s), startHearing(net, r)
	net.Connect(from.Node, to.Node)
	cell := map[string]string{}
	w.cells[[2]int{s, r}] = cell

	out, err := from.Send(t.Context(), to.ID(), []byte("plain"))
	if err != nil {
		t.Fatalf("plain: got %v, want an outcome", err)
	}
	synctest.Wait()
	cell[plainKind] = w.ended(t, "plain", out, to.plain.Bodies(), "plain")

	for _, kind := range []string{directKind, broadcastKind} {
		var how dht.Strategy = dht.Direct{Peer: to.ID()}
		if kind == broadcastKind {
			how = dht.Broadcast{}
		}
		before := len(to.dht.Bodies())
		report, err := from.DHT().Send(t.Context(), kit.LetterTo(how, kind))
		if errors.Is(err, gamelan.ErrNoDHT) && messageSettings[s].cfg.NoDHT {
			cell[kind] = "–"
			continue
		}
		if err != nil {
			t.Fatalf("%s: got %v, want a report", kind, err)
		}
		synctest.Wait()
		heard := to.dht.Bodies()[before:]
		if kind == broadcastKind && report.Reason == dht.NobodySelected {
			cell[kind] = "left out"
			if len(report.Copies) > 0 || len(heard) > 0 || !strings.Contains(report.Err.Error(), "without the DHT") {
				t.Errorf("%s: got %v and %q heard, want it to go to nobody, and why", kind, report, heard)
			}
			continue
		}
		if len(report.Copies) != 1 {
			t.Fatalf("%s: got %v, want one copy", kind, report)
		}
		cell[kind] = w.ended(t, kind, report.Copies[0].Outcome, heard, kind)
	}
	if !to.DHT().Enabled() {
		return
	}
	if got := nodetest.DHT(to).Undecodable(); len(got) > 0 {
		t.Errorf("got %v that the receiver could not decode, want none", got)
	}
	for _, c := range nodetest.DHT(to).Counts() {
		if c.Reason != dht.Delivered {
			t.Errorf("got %d messages of the DHT %s, want all delivered", c.Count, c.Reason)
		}
	}
}

// ended says what became of one message, of which there are two possibilities.
func (w *whoHears) ended(t *testing.T, what string, out protocol.Outcome, heard []string, want string) string {
	t.Helper()
	switch {
	case out.Kind == protocol.Confirmed && slices.Equal(heard, []string{want}):
		return "heard"
	case out.Kind == protocol.Failed && out.Reason == protocol.Refused && errors.Is(out.Err, actors.ErrNotTaken) && len(heard) == 0:
		return fmt.Sprintf("refused (%d)", w.note(strings.TrimPrefix(out.Err.Error(), actors.ErrNotTaken.Error()+": ")))
	}
	t.Errorf("%s: got %v and %q heard, want it confirmed and heard, or refused with what to change", what, out, heard)
	return "?"
}

// page is docs/who-hears-whom.md.
func (w *whoHears) page() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(`# Which nodes take which messages

Leave the settings alone: two nodes with the defaults take each other's messages of both kinds. Read on if a send was *refused*.

| you send | in Go | the receiver needs |
|---|---|---|
| a message to a connected peer | ´Node.Send´, ´gamelan send PEER´ | a handler or an inbox, which ´gamelan node´ has, and the same protocol for such messages |
| a message over the DHT | ´DHT.Send´, ´gamelan send --to KEY´ | the DHT: no ´--no-dht´, no ´Config.NoDHT´ |

Three settings change this:

| setting | in Go | what it does |
|---|---|---|
| ´--no-dht´ | ´Config.NoDHT´ | The node neither sends nor takes messages over the DHT. |
| ´node.plain_protocol´ | ´Config.PlainID´ | Messages to a connected peer use this protocol instead of ´gamelan/msg/1´. Give all your nodes the same. |
| ´--plain-on-profile´ | ´Config.PlainOnProfile´ | They use Tari's ´t/msg/0.1´, for nodes of its comms library that run without a DHT. It needs ´--no-dht´. |

Nodes of Tari with a DHT get messages over the DHT from every node that has one.

If the settings do not fit, the send is *refused*: nothing was sent, and the outcome says what to change. A broadcast *leaves out* a node
that takes no messages over the DHT. A node never confirms a message that it cannot decode.

## How a node knows

Tari's nodes use one protocol, ´t/msg/0.1´, for both kinds of messages, so it does not tell the kinds apart. A node of Gamelan decides by the
list of protocols in the identity message of the peer's connection:

- A node with the DHT lists ´gamelan/dht/1´. A node with ´PlainOnProfile´ never sends it messages on ´t/msg/0.1´.
- A node of Gamelan that does not list it gets no messages over the DHT.
- A node of another program gets messages over the DHT on ´t/msg/0.1´. It gets others there only with ´PlainOnProfile´.
- The profile *lesson* has no DHT unless ´Config.DHT´ is set. Its protocol for messages to a connected peer is ´/tari/messaging/0.1.0´.

## Every pair of settings

Rows send, columns receive. *Heard* means that the send was confirmed and the receiver's handler got the message.
´NoDHT´, ´PlainOnProfile´ and ´PlainID´ are the settings above. [A test](../tests/messages/who_hears_test.go) sends all of this and
writes this page: ´go test ./tests/messages -run TestBubbleWhoHearsWhom -update´.

`, "´", "`"))
	table := func(title string, cell func(map[string]string) string) {
		b.WriteString("### " + title + "\n\n| from \\ to |")
		for _, r := range messageSettings {
			b.WriteString(" " + r.name + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(messageSettings)) + "\n")
		for s, row := range messageSettings {
			b.WriteString("| " + row.name + " |")
			for r := range messageSettings {
				b.WriteString(" " + cell(w.cells[[2]int{s, r}]) + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	table("To a connected peer", func(c map[string]string) string { return c[plainKind] })
	table("Over the DHT, to one peer", func(c map[string]string) string { return c[directKind] })
	table("Over the DHT, by broadcast", func(c map[string]string) string { return c[broadcastKind] })
	b.WriteString("–: the sender runs without the DHT.\n\nWhat the outcome says: *the peer does not take such messages*, and\n\n")
	for i, n := range w.notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	return b.String()
}

// TestBubbleOtherSettingsAfterRestart has a peer come back with other settings: what
// it says on the living connection decides, not what is remembered of it.
//
// conforms: comms 81
func TestBubbleOtherSettingsAfterRestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		secret, listen := gamelantest.Secret(77), []string{"/memory/77"}
		for round, off := range []bool{false, true, false, true} {
			heard := gamelantest.NewCollector()
			cfg := gamelan.Config{Secret: secret, Listen: listen, NoDHT: off}
			opts := []gamelan.Option{kit.Quiet, gamelan.WithHandler(heard.New)}
			if !off {
				opts = append(opts, gamelan.WithType(kit.TextType, heard.New))
			}
			b := net.Start(cfg, opts...)
			if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
				t.Fatal(err)
			}
			r := kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, "first")) // dials
			synctest.Wait()
			if off {
				if len(r.Copies) != 1 || r.Copies[0].Outcome.Reason != protocol.Refused || heard.Len() > 0 {
					t.Errorf("round %d: got %v and %q heard, want it refused", round, r.String(), heard.Bodies())
				}
			} else {
				kit.WantAllConfirmed(t, "with the DHT", r, 1)
				kit.WantBodies(t, "with the DHT", heard.Bodies(), []string{"first"})
			}
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestBubbleUndecodableIsRefused opens substreams past the rules of the sender: the
// receiver refuses what it could not decode, and the marker of the DHT in any case.
//
// conforms: comms 81
func TestBubbleUndecodableIsRefused(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		with := net.Start(gamelan.Config{}, kit.Quiet)
		without := net.Start(gamelan.Config{NoDHT: true, PlainOnProfile: true}, kit.Quiet, gamelan.WithHandler(heard.New))
		other := net.Start(gamelan.Config{}, kit.Quiet)
		second := net.Start(gamelan.Config{NoDHT: true, PlainOnProfile: true}, kit.Quiet)
		for _, test := range []struct {
			name     string
			from, to *gamelantest.Node
			id       protocol.ID
			taken    bool
		}{
			{"plain to the DHT", without, with, protocol.MessagingID, false},
			{"the DHT's to plain", with, without, protocol.MessagingID, false},
			{"the DHT's", other, with, protocol.MessagingID, true},
			{"plain", second, without, protocol.MessagingID, true},
			{"the marker", other, with, protocol.DHTMarker, false},
		} {
			net.Connect(test.from, test.to)
			s, err := test.from.OpenStream(t.Context(), test.to.ID(), test.id)
			if err == nil {
				_, err = s.Write([]byte{0, 0, 0, 1, 'x'})
				time.Sleep(time.Second)
				if err == nil {
					s.SetReadDeadline(time.Now().Add(time.Second))
					_, err = s.Read(make([]byte, 1))
				}
				if transport.IsTimeout(err) { // it is read, and nothing comes back
					err = nil
				}
				s.Close()
			}
			if taken := err == nil; taken != test.taken {
				t.Errorf("%s: got taken %v (%v), want %v", test.name, taken, err, test.taken)
			}
		}
		synctest.Wait()
		if got := nodetest.DHT(with).Undecodable(); len(got) != 1 || got[0].Peer != other.ID() || got[0].Count != 1 {
			t.Errorf("got %v, want one message of the node with the DHT", got)
		}
		kit.WantBodies(t, "the node without the DHT", heard.Bodies(), []string{"x"})
	})
}
