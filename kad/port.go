package kad

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kad/gateway"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Admission: how many packets of peers may wait or be in work (spec: kad B13).
const (
	MaxRequests        = 1024 // of a gateway
	MaxRequestsPerPeer = 16
	MaxAnswers         = 4096 // of a gateway
	MaxStores          = 256  // STOREs of a client
	// MaxBurst is MaxRequestsPerPeer where addresses can be invented: a node of the overlay
	// Seed sends a request for each bucket at once (spec: kad A8 D5, A9.8).
	MaxBurst = 600
)

// gate is a gateway of a client: what the incarnations of its actor share.
type gate struct {
	core    *core
	n       int
	network Network
	limits  Limits
	pid     *actor.PID

	own atomic.Pointer[[]Address]
	// Only the gateway's actor uses these.
	pending map[uint64]*ask // requests under way
	waiting []*actor.PID    // they want to know when it is open
	drains  []*actor.PID    // they want to know when it has sent what it has taken
	tokens  tokens
}

// Port connects a [Link] with its gateway's actor. Its methods may be called from any
// goroutine unless they say otherwise.
type Port struct {
	gate *gate
	tell func(any)
	a    *gatewayActor
}

// Self returns the id of the client.
func (p *Port) Self() ID { return p.gate.core.self }

// Overlay returns the overlay of the client.
func (p *Port) Overlay() Overlay { return p.gate.core.Overlay }

// Serving reports whether the client is in server mode.
func (p *Port) Serving() bool { return p.gate.core.modeNow() == Server }

// Config returns the client's settings, with defaults filled in. Nobody changes them.
func (p *Port) Config() Config { return p.gate.core.Config }

// Opened says that the gateway works, and which addresses lead to it. It is called in the
// actor's turn, and again when the addresses have changed.
func (p *Port) Opened(own ...Address) {
	p.gate.own.Store(&own)
	p.a.opened(own)
}

// ServerSeen says that a node has connected that serves others. It is a way into the network while
// nobody else answers. It is called in the actor's turn.
func (p *Port) ServerSeen(c Contact) { p.gate.core.tell(p.gate.core.upkeep, &nodeAsked{contact: c}) }

// Closed says that the connection to an address has ended: what was asked there is lost. It
// is called in the actor's turn.
func (p *Port) Closed(c actor.Context, to Address) { p.a.closed(c, to) }

// Failed says that the gateway cannot open. The start of the client fails with err; later the
// gateway's actor fails, and is restarted. It is called in the actor's turn.
func (p *Port) Failed(err error) { p.a.failed(err) }

// Flushed says that everything has been sent that Send of a [Flusher] had taken. It is called
// in the actor's turn.
func (p *Port) Flushed() { p.a.flushed() }

// Tell sends a message to the [Link], which gets it in its Receive, as long as this
// incarnation of the gateway's actor lives.
func (p *Port) Tell(m any) { p.tell(m) }

// Malformed counts bytes from an address that are no message.
func (p *Port) Malformed(_ Address, _ error) { p.gate.core.figures.malformed.Add(1) }

// Sent counts the bytes of a packet that the [Link] has taken.
func (p *Port) Sent(bytes int) { p.gate.core.figures.bytesOut.Add(uint64(bytes)) }

// Deliver hands over a packet that came in. It takes the token that admits the packet. If
// none is left, Deliver counts the packet as dropped and returns false; a Network whose
// wire has an answer for that sends BUSY.
func (p *Port) Deliver(in Incoming) bool {
	t, ok := p.gate.tokens.take(in.Address, in.Message.Verb)
	if !ok {
		p.gate.core.figures.busy.Add(1)
		return false
	}
	in.gate = p.gate
	p.tell(&arrived{in: in, token: t})
	return true
}

// arrived is a packet on its way to the gateway's actor.
type arrived struct {
	in    Incoming
	token *token // nil: it has gone on with the request
}

// Source names the sender.
func (a *arrived) Source() supervisor.Source { return a.in.source() }

// Finish returns the token.
func (a *arrived) Finish() { a.token.release() }

// Discard returns the token.
func (a *arrived) Discard() { a.token.release() }

// pass returns the token for the message that goes on with the request.
func (a *arrived) pass() *token {
	t := a.token
	a.token = nil
	return t
}

func (in *Incoming) source() supervisor.Source {
	if in.Source != nil {
		return in.Source
	}
	return (*sender)(in)
}

// sender names who sent a packet that has no Source. After three panics on its packets
// within a minute the gateway ignores it for a minute (spec: kad B13).
type sender Incoming

// String returns the address.
func (s *sender) String() string { return string(s.Address) }

// Outsider marks a sender as a source.
func (*sender) Outsider() {}

// Panicked counts a panic on a packet of the sender.
func (s *sender) Panicked() {
	r := gateway.Request{Packet: s.Packet}
	s.gate.core.tell(s.gate.pid, gateway.Panicked{Source: r.Source()})
}

// tokens admit packets.
type tokens struct {
	mu       sync.Mutex
	requests int
	answers  int
	peers    map[Address]int
	perPeer  int
}

// token admits one packet. It is released once, by whoever finishes the packet, or drops it.
type token struct {
	of     *tokens
	peer   Address
	answer bool
	stores *atomic.Int32 // of a STORE: released as well
	free   atomic.Bool
}

func (t *tokens) take(peer Address, v overlay.Verb) (*token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !v.IsRequest() {
		if t.answers >= MaxAnswers {
			return nil, false
		}
		t.answers++
		return &token{of: t, answer: true}, true
	}
	if t.requests >= MaxRequests || t.peers[peer] >= t.perPeer {
		return nil, false
	}
	if t.peers == nil {
		t.peers = make(map[Address]int)
	}
	t.requests++
	t.peers[peer]++
	return &token{of: t, peer: peer}, true
}

// held returns how many tokens are taken.
func (t *tokens) held() (requests, answers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests, t.answers
}

func (t *token) release() {
	if t == nil || !t.free.CompareAndSwap(false, true) {
		return
	}
	if t.stores != nil {
		t.stores.Add(-1)
	}
	s := t.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.answer {
		s.answers--
		return
	}
	s.requests--
	if s.peers[t.peer]--; s.peers[t.peer] == 0 {
		delete(s.peers, t.peer)
	}
}
