package stored

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// withheld has the messages of a type that a node was sent, and that it has not seen.
type withheld struct {
	typ wire.MessageType

	mu   sync.Mutex
	list [][]byte // the first part of each
}

func (w *withheld) layer(next dht.Handler) dht.Handler {
	return func(m *dht.Incoming) dht.Verdict {
		if m.Envelope.Header.Type != w.typ {
			return next(m)
		}
		parts, err := wire.DecodeBody(m.Envelope.Body)
		if err != nil || len(parts) == 0 {
			parts = [][]byte{nil}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = append(w.list, bytes.Clone(parts[0]))
		return dht.Verdict{Reason: dht.Stopped, Err: kit.ErrWithheld}
	}
}

// all returns the messages so far.
func (w *withheld) all() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// startWithholding starts a node under the test's control: what it is sent of the type, it
// does not see.
func startWithholding(net *gamelantest.Network, typ wire.MessageType, cfg gamelan.Config) (*gamelantest.Node, *withheld) {
	w := &withheld{typ: typ}
	return net.Start(cfg, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, w.layer)), w
}

// storedLetter is a stored message as somebody hostile sends it.
type storedLetter struct {
	text   string
	sealed bool
	signed bool
	typ    wire.MessageType
	to     *identity.Secret     // default: the node, if it is sealed
	ahead  time.Duration        // of the time of storing
	edit   func(*wire.Envelope) // after it was signed
	bare   bool                 // without a header
}

// encode returns the encoded message for a node.
func (k storedLetter) encode(t *testing.T, node identity.PublicKey) []byte {
	t.Helper()
	f := kit.Forged{
		From: kit.Sends, Typ: k.typ, Signed: k.signed, Sealed: k.sealed, Expires: time.Hour,
		Body: wire.AppendBody(nil, wire.DomainHeader{Type: kit.TextType}.Append(nil), []byte(k.text)),
	}
	if k.to != nil {
		node = k.to.PublicKey()
	}
	if k.sealed || k.to != nil {
		f.To = wire.To(node)
	}
	e := f.Compose(t)
	if k.edit != nil {
		k.edit(&e)
	}
	var b []byte
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(time.Now().Add(k.ahead).Unix()))
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), 2)
	if !k.bare {
		b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), e.Header.Append(nil))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), e.Body)
}

// answer returns the envelope of a response with these messages.
func answer(t *testing.T, node identity.PublicKey, messages ...storedLetter) wire.Envelope {
	t.Helper()
	var b []byte
	for _, m := range messages {
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), m.encode(t, node))
	}
	return part(t, wire.TypeStoredMessages, b)
}

// part returns a clear message of the DHT itself with this part.
func part(t *testing.T, typ wire.MessageType, b []byte) wire.Envelope {
	t.Helper()
	e, err := wire.Compose(wire.Draft{Type: typ, Body: wire.AppendBody(nil, b)}, kit.Sends, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestBubbleStoredAnswers connects a node to a server that sends every kind of bad answer
// to its request. The node bans the server for as long as the table says, or not at all, and
// delivers what was good before.
//
// conforms: dht 103-106
func TestBubbleStoredAnswers(t *testing.T) {
	good := storedLetter{text: "good", sealed: true}
	last := storedLetter{text: "last", signed: true}
	around := func(k storedLetter) []storedLetter { return []storedLetter{good, k, last} }
	flip := func(e *wire.Envelope) { e.Body[len(e.Body)/2] ^= 1 }
	many := make([]storedLetter, saf.AnswerLimit+1)
	for i := range many {
		many[i] = storedLetter{text: fmt.Sprint(i)}
	}
	const all = "last bad good"
	for _, test := range []struct {
		name  string
		list  []storedLetter
		ban   time.Duration
		heard string
	}{
		{name: "encrypted, clear, signed", list: []storedLetter{{text: "good", sealed: true}, {text: "bad"}, last}, heard: all},
		{name: "nothing"},
		{name: "a little ahead", list: around(storedLetter{text: "bad", ahead: 4 * time.Minute}), heard: all},
		{name: "stored in the future", list: around(storedLetter{text: "bad", ahead: 10 * time.Minute}), heard: all},
		{name: "stored the day after tomorrow", list: around(storedLetter{text: "bad", ahead: 48 * time.Hour}), heard: "good", ban: protocol.BanLong},
		{name: "no header", list: around(storedLetter{text: "bad", bare: true}), heard: "good", ban: protocol.BanMedium},
		{name: "no body", list: around(storedLetter{text: "bad", edit: func(e *wire.Envelope) { e.Body = nil }}), heard: "good", ban: protocol.BanMedium},
		{name: "version 3", list: around(storedLetter{text: "bad", edit: func(e *wire.Envelope) { e.Header.Version = 3 }}), heard: "good", ban: protocol.BanMedium},
		{name: "encrypted, not signed", list: around(storedLetter{text: "bad", sealed: true, edit: func(e *wire.Envelope) { e.Header.Signature = nil }}), heard: "good", ban: protocol.BanLong},
		{name: "a join", list: around(storedLetter{text: "bad", signed: true, typ: wire.TypeJoin}), heard: "good", ban: protocol.BanLong},
		{name: "an answer in an answer", list: around(storedLetter{text: "bad", typ: wire.TypeStoredMessages}), heard: "good", ban: protocol.BanLong},
		{name: "for somebody else", list: around(storedLetter{text: "bad", sealed: true, to: kit.Third}), heard: "good", ban: protocol.BanLong},
		{name: "for somebody else, in clear", list: around(storedLetter{text: "bad", signed: true, to: kit.Third}), heard: "good", ban: protocol.BanLong},
		{name: "signature that is none", list: around(storedLetter{text: "bad", edit: func(e *wire.Envelope) { e.Header.Signature = []byte{0xff} }}), heard: "good", ban: protocol.BanMedium},
		{name: "altered", list: around(storedLetter{text: "bad", sealed: true, edit: flip}), heard: "good", ban: protocol.BanLong},
		{name: "undecodable", list: around(storedLetter{text: "bad", edit: func(e *wire.Envelope) { e.Body = []byte{0xff} }}), heard: "good", ban: protocol.BanMedium},
		{name: "twice in one answer", list: []storedLetter{good, {text: "bad"}, {text: "bad"}, last}, heard: all},
		{name: "no message of an application", list: around(storedLetter{text: "bad", edit: func(e *wire.Envelope) { e.Body = wire.AppendBody(nil, []byte{8, 1}) }}), heard: "last good"},
		{name: "51 messages", list: many, ban: protocol.BanLong},
		{name: "the bad one first", list: []storedLetter{{text: "bad", bare: true}, good, last}, ban: protocol.BanMedium},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := kit.Asking(t)
				node := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				server, asked := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{})
				net.Connect(node.Node, server)
				time.Sleep(saf.AutoSpread + time.Second)
				if n := len(asked.all()); n != 1 {
					t.Fatalf("got %d requests, want one", n)
				}
				kit.Post(t, server, node.Node, answer(t, node.PublicKey(), test.list...))
				time.Sleep(time.Second)
				wantFromServer(t, node, test.heard)
				wantBan(t, node.Node, server, test.ban)
				kit.WantNoCredit(t, node.Node)
			})
		})
	}
}

// wantFromServer checks which stored messages a node has delivered, in order.
func wantFromServer(t *testing.T, node kit.Member, want string) {
	t.Helper()
	got := ""
	for i, m := range node.Heard.Delivered() {
		if i > 0 {
			got += " "
		}
		got += string(m.Body)
		if !m.Stored {
			t.Errorf("%q is not marked as stored", m.Body)
		}
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// wantBan checks for how long a node has banned a peer; 0 is not at all.
func wantBan(t *testing.T, node, peer *gamelantest.Node, want time.Duration) {
	t.Helper()
	until, reason, banned := node.Peers().Banned(peer.ID())
	got := time.Until(until) + time.Second
	if banned != (want > 0) || banned && (got < want-time.Second || got > want+time.Second) {
		t.Errorf("got banned %v for %v (%s), want for %v", banned, got, reason, want)
	}
}

// TestBubbleUnrequestedAnswers: answers that nobody asked for, come late or a second time are
// dropped, however many, and nobody is banned for them. The server that sent them is asked once
// more later, because what was dropped may be what it had for us; it gives no more answers
// here, and because it has answered once it counts as busy, and is asked ever more seldom.
//
// conforms: dht 101
func TestBubbleUnrequestedAnswers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		node := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		never, asked := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{Client: true})
		late, askedLate := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{})
		twice, askedTwice := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{})
		for _, s := range []*gamelantest.Node{never, late, twice} {
			net.Connect(node.Node, s)
		}
		time.Sleep(saf.AutoSpread + time.Second)
		for range 100 {
			kit.Post(t, never, node.Node, answer(t, node.PublicKey(), storedLetter{text: "never"}))
		}
		kit.Post(t, twice, node.Node, answer(t, node.PublicKey()))
		time.Sleep(time.Second)
		for range 100 {
			kit.Post(t, twice, node.Node, answer(t, node.PublicKey(), storedLetter{text: "twice"}))
		}
		time.Sleep(10 * time.Minute) // after the last request of saf.SilentAfter, and RequestAge more
		kit.Post(t, late, node.Node, answer(t, node.PublicKey(), storedLetter{text: "late"}))
		time.Sleep(time.Second)
		wantFromServer(t, node, "")
		for i, s := range []*gamelantest.Node{never, late, twice} {
			wantBan(t, node.Node, s, 0)
			if n := len([]*withheld{asked, askedLate, askedTwice}[i].all()); n != []int{0, saf.SilentAfter, 2 + saf.SilentAfter}[i] {
				t.Errorf("server %d got %d requests", i, n)
			}
		}
		kit.WantNoCredit(t, node.Node)
	})
}

// TestBubbleDroppedAnswerIsAskedFor: nobody asked for an answer, so its letter is dropped. The server is asked for
// the letter once it hands it out again.
func TestBubbleDroppedAnswerIsAskedFor(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		node := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		server, asked := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{})
		net.Connect(node.Node, server)
		for range 2 { // after the start, and after CheckAfter
			time.Sleep(saf.CheckAfter + 2*saf.AutoSpread)
			kit.Post(t, server, node.Node, answer(t, node.PublicKey()))
		}
		time.Sleep(10 * time.Minute)
		before := len(asked.all())
		kit.Post(t, server, node.Node, answer(t, node.PublicKey(), storedLetter{text: "letter"}))
		time.Sleep(saf.CheckAfter + saf.AutoSpread)
		wantFromServer(t, node, "")
		if n := len(asked.all()); n != before+1 {
			t.Fatalf("got %d requests after the answer, want one", n-before)
		}
		kit.Post(t, server, node.Node, answer(t, node.PublicKey(), storedLetter{text: "letter"}))
		time.Sleep(time.Second)
		wantFromServer(t, node, "letter")
	})
}
