package kit

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// A Forged is a message as somebody hostile makes it.
type Forged struct {
	From    *identity.Secret
	To      wire.Destination
	Sealed  bool
	Signed  bool
	Typ     wire.MessageType
	Expires time.Duration
	Body    []byte
}

// Compose seals and signs the message as an honest node would.
func (l Forged) Compose(t *testing.T) wire.Envelope {
	t.Helper()
	d := wire.Draft{Destination: l.To, Type: l.Typ, Tag: 7, Sign: l.Signed, Body: l.Body}
	if d.Body == nil {
		d.Body = wire.AppendBody(nil, wire.DomainHeader{Type: TextType}.Append(nil), []byte("text"))
	}
	if l.Expires != 0 {
		d.Expires = uint64(time.Now().Add(l.Expires).Unix())
	}
	if l.Sealed {
		d.EncryptFor = l.To.Key
	}
	e, err := wire.Compose(d, l.From, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Sign signs the message as it is.
func Sign(t *testing.T, e *wire.Envelope, s *identity.Secret) {
	t.Helper()
	sig, err := wire.Sign(s, e.Binding(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e.Header.Signature = sig.Append(nil)
}

// WantBanned checks whether a member has banned another.
func WantBanned(t *testing.T, what string, by, peer Member, want bool) {
	t.Helper()
	if _, reason, banned := by.Peers().Banned(peer.ID()); banned != want {
		t.Errorf("%s: got banned %v (%s), want %v", what, banned, reason, want)
	}
}

// FateOf returns how many messages to the node have ended so.
func FateOf(n *gamelantest.Node, why dht.Reason) uint64 {
	for _, c := range nodetest.DHT(n).Counts() {
		if c.Reason == why {
			return c.Count
		}
	}
	return 0
}

// Sniffer counts the messages that reach a node, by the peer they come from.
type Sniffer struct {
	mu   sync.Mutex
	From map[identity.NodeID]int
}

func (s *Sniffer) Layer(next dht.Handler) dht.Handler {
	return func(m *dht.Incoming) dht.Verdict {
		s.mu.Lock()
		s.From[m.Source]++
		s.mu.Unlock()
		return next(m)
	}
}

func (s *Sniffer) Total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.From {
		n += k
	}
	return n
}

func (s *Sniffer) Of(peer identity.NodeID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.From[peer]
}

// Sniffed starts a node with the DHT whose messages are counted.
func Sniffed(net *gamelantest.Network) (Member, *Sniffer) {
	s := &Sniffer{From: make(map[identity.NodeID]int)}
	return StartMember(net, gamelan.Config{}, gamelan.WithLayer(dht.BeforeVerify, s.Layer)), s
}

// Gossiper sends on what it hears, as long as it comes.
type Gossiper struct {
	n     *gamelan.Node
	heard *gamelantest.Collector
	inner actor.Actor
}

// NewGossiper returns the actor of a member that remembers what it has heard.
func NewGossiper(n *gamelan.Node, heard *gamelantest.Collector) *Gossiper {
	return &Gossiper{n: n, heard: heard, inner: heard.New(n)}
}

func (g *Gossiper) Receive(c actor.Context) {
	g.inner.Receive(c)
	if m, ok := c.Message().(dht.Received); ok {
		g.n.DHT().SendFrom(c, 0, dht.Message{
			To: dht.Propagate{Exclude: []identity.NodeID{m.Peer}}, Type: m.Type, Body: m.Body,
		})
	}
}

// TextType is the message type of these tests.
const TextType = 1001

// Member is a node with the DHT, and what it has heard there.
type Member struct {
	*gamelantest.Node
	Heard *gamelantest.Collector
}

// StartMember starts a node with the DHT that remembers what it hears of TextType.
func StartMember(net *gamelantest.Network, cfg gamelan.Config, opts ...gamelan.Option) Member {
	if cfg.DHT == nil {
		cfg.DHT = &gamelan.DHTConfig{}
	}
	heard := gamelantest.NewCollector()
	return Member{net.Start(cfg, append(opts, gamelan.WithType(TextType, heard.New))...), heard}
}

// Members starts n nodes with the DHT.
func Members(net *gamelantest.Network, n int) []Member {
	all := make([]Member, n)
	for i := range all {
		all[i] = StartMember(net, gamelan.Config{})
	}
	return all
}

// LetterTo is a message of TextType.
func LetterTo(to dht.Strategy, body string) dht.Message {
	return dht.Message{To: to, Type: TextType, Body: []byte(body)}
}

// Send sends a message, or ends the test.
func Send(t *testing.T, from Member, m dht.Message) dht.Report {
	t.Helper()
	r, err := from.DHT().Send(t.Context(), m)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return r
}

// WantAllConfirmed checks that a message went to so many, and that all is well.
func WantAllConfirmed(t *testing.T, what string, r dht.Report, copies int) {
	t.Helper()
	if len(r.Copies) != copies || r.Count(protocol.Confirmed) != copies || r.Reason != 0 || !r.Ended() {
		t.Errorf("%s: got %v of %d copies, want %d confirmed", what, r.String(), len(r.Copies), copies)
	}
}

// The peers of the tests of hostile announcements: one sends, for one who may be somebody
// else.
var (
	Sends = gamelantest.Secret(80)
	Third = gamelantest.Secret(81)
)

// Announced is an announcement as somebody hostile makes it.
type Announced struct {
	Typ       wire.MessageType
	By        *identity.Secret // signs the message; default: who sends it
	Of        *identity.Secret // signs the claim; default: by
	Addresses []string         // default: one that is usable
	Nonce     uint64
	Dated     time.Duration
	Edit      func(*wire.Announcement)
	Part      []byte // in place of the announcement
	Unsigned  bool
}

// Compose returns the message, for the node if it is a Discovery.
func (a Announced) Compose(t *testing.T, node identity.PublicKey) wire.Envelope {
	t.Helper()
	if a.By == nil {
		a.By = Sends
	}
	if a.Of == nil {
		a.Of = a.By
	}
	if a.Addresses == nil {
		a.Addresses = []string{"/memory/80"}
	}
	claim, err := identity.SignClaim(a.Of, identity.FeatureNode, Binaries(t, a.Addresses...), time.Now().Add(a.Dated), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content := wire.NewAnnouncement(claim, a.Nonce)
	if a.Edit != nil {
		a.Edit(&content)
	}
	if a.Part == nil {
		a.Part = content.Append(nil)
	}
	f := Forged{From: a.By, Typ: a.Typ, Signed: true, Expires: time.Hour, Body: wire.AppendBody(nil, a.Part)}
	switch a.Typ {
	case wire.TypeJoin:
		f.To = wire.To(a.By.PublicKey())
	case wire.TypeDiscovery:
		f.To, f.Sealed = wire.To(node), !a.Unsigned
	}
	e := f.Compose(t)
	if a.Unsigned {
		e.Header.Signature = nil
	}
	return e
}

// Binaries are the addresses as they are on the wire.
func Binaries(t *testing.T, list ...string) (all [][]byte) {
	t.Helper()
	for _, s := range list {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a.Bytes())
	}
	return all
}

// Letters remembers what the actors of message types hear, in order. Those of
// blocked types stop in the middle of each message.
type Letters struct {
	mu    sync.Mutex
	heard map[int32][]dht.Received
	gates map[int32]chan struct{}
}

func (l *Letters) New(*gamelan.Node) actor.Actor { return LetterBox{l} }

// Block stops the handler of a type until unblock is called.
func (l *Letters) Block(kind int32) (unblock func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	l.gates[kind] = gate
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.gates, kind)
		l.mu.Unlock()
		close(gate)
	})
}

// Bodies are those of a type that came from a peer.
func (l *Letters) Bodies(kind int32, from *gamelantest.Node) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.heard[kind] {
		if m.Peer == from.ID() {
			list = append(list, string(m.Body))
		}
	}
	return list
}

// Count is how many messages were heard.
func (l *Letters) Count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.heard {
		n += len(all)
	}
	return n
}

// NewLetters starts with nothing heard.
func NewLetters() *Letters {
	return &Letters{heard: make(map[int32][]dht.Received), gates: make(map[int32]chan struct{})}
}

// A LetterBox is an actor for one message type that writes to Letters.
type LetterBox struct{ *Letters }

func (l LetterBox) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		return
	}
	l.mu.Lock()
	l.heard[m.Type] = append(l.heard[m.Type], m)
	gate := l.gates[m.Type]
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// Letter is a message of a node for a type, in clear unless it is sealed for
// somebody.
func Letter(t *testing.T, from *gamelantest.Node, kind int32, body string, seal identity.PublicKey) wire.Envelope {
	t.Helper()
	d := wire.Draft{
		Body:    wire.AppendBody(nil, wire.DomainHeader{Type: kind}.Append(nil), []byte(body)),
		Expires: uint64(time.Now().Add(time.Hour).Unix()), Tag: 1,
	}
	if !seal.IsZero() {
		d.Destination, d.EncryptFor = wire.To(seal), seal
	}
	e, err := wire.Compose(d, nodetest.Trunk(from).Secret(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Post sends an envelope to a neighbour as it is, waiting for credit. The outcome
// comes through the channel.
func Post(t *testing.T, from, to *gamelantest.Node, e wire.Envelope) <-chan protocol.Outcome {
	t.Helper()
	return PostBytes(t, from, to, e.Append(nil))
}

// PostBytes sends any bytes on the DHT's messaging protocol.
func PostBytes(t *testing.T, from, to *gamelantest.Node, body []byte) <-chan protocol.Outcome {
	t.Helper()
	done := make(chan protocol.Outcome, 1)
	m := messengers.SendBody{Peer: to.ID(), Body: body}
	if _, err := nodetest.Trunk(from).Frames().Send(t.Context(), m, func(o protocol.Outcome) { done <- o }); err != nil {
		t.Errorf("post: %v", err)
	}
	return done
}

// InClear is whom a message is sealed for that everybody can read.
var InClear identity.PublicKey

// Fates says how the messages have ended that a node was sent.
func Fates(n *gamelantest.Node) string {
	var parts []string
	for _, c := range nodetest.DHT(n).Counts() {
		parts = append(parts, fmt.Sprintf("%d %s", c.Count, c.Reason))
	}
	return strings.Join(parts, ", ")
}

// WantNoCredit checks that all that was read has been given back.
func WantNoCredit(t *testing.T, nodes ...*gamelantest.Node) {
	t.Helper()
	for _, n := range nodes {
		if in, _, out, _ := nodetest.Trunk(n).Credit(); in != 0 || out != 0 {
			t.Errorf("node %d at the end: got %d and %d bytes of credit in use, want none", n.Number, in, out)
		}
	}
}
