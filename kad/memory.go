package kad

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Hub is a network in the memory of one process, for tests, simulations and many clients
// in one program. Its faults are decided by a seed. All methods may be called from any
// goroutine.
type Hub struct {
	mu     sync.Mutex
	o      HubOptions
	rand   *rand.Rand
	ports  map[Address]*memoryLink
	last   int
	cut    func(a, b Address) bool
	counts HubCounts
}

// HubOptions are the faults of a [Hub]. The zero value has none, and no delay.
type HubOptions struct {
	Seed uint64
	// Delay and Jitter make each packet wait for Delay and a random part of Jitter. With
	// Jitter packets overtake each other.
	Delay, Jitter time.Duration
	// Loss is the part of the packets that are lost.
	Loss float64
	// MaxValue is the longest value of a STORE; 0: as the overlay allows.
	MaxValue int
}

// HubCounts are what a [Hub] has carried.
type HubCounts struct {
	Packets, Lost, Unreachable, Refused uint64
}

// NewHub returns a network without members.
func NewHub(o HubOptions) *Hub {
	return &Hub{o: o, rand: rand.New(rand.NewPCG(o.Seed, 1)), ports: make(map[Address]*memoryLink)}
}

// SetFaults changes delay, jitter and loss of a running network.
func (h *Hub) SetFaults(delay, jitter time.Duration, loss float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.o.Delay, h.o.Jitter, h.o.Loss = delay, jitter, loss
}

// Cut makes the network lose packets between addresses for which apart is true. Nil heals
// it.
func (h *Hub) Cut(apart func(a, b Address) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = apart
}

// Counts returns what the network has carried.
func (h *Hub) Counts() HubCounts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

// Network returns a new member of the network, for one client. Its address stays the same
// as long as the Network is used. A client of the overlay Native is the owner of its public
// key there: the network is trusted to say who sends.
func (h *Hub) Network() Network {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	return &memory{hub: h, at: Address(fmt.Sprintf("/memory/%d", h.last))}
}

// memory is a member of a Hub.
type memory struct {
	hub *Hub
	at  Address
}

const memoryPrefix = "/memory/"

// Label returns the address.
func (m *memory) Label() string { return "memory " + string(m.at) }

// Limits says that packets may be lost.
func (m *memory) Limits() Limits {
	return Limits{Datagram: true, Private: true, MaxValue: m.hub.o.MaxValue}
}

// Route returns the first memory address of a contact.
func (m *memory) Route(c Contact) Address {
	for _, a := range c.Addresses {
		if len(a) > len(memoryPrefix) && a[:len(memoryPrefix)] == memoryPrefix {
			return a
		}
	}
	return ""
}

// Open joins the network.
func (m *memory) Open(c actor.Context, p *Port) Link {
	l := &memoryLink{m: m, port: p}
	l.self = Contact{ID: p.Self(), Addresses: []Address{m.at}}
	if p.Overlay() == overlay.Native {
		l.self.PublicKey = p.Config().PublicKey
	}
	m.hub.join(m.at, l)
	supervisor.Own(c, l)
	p.Opened(m.at)
	return l
}

// memoryLink is an open member of a Hub.
type memoryLink struct {
	m    *memory
	port *Port
	self Contact
}

// memoryArrival is a packet whose delay is over.
type memoryArrival struct {
	to Address
	in Incoming
}

// Close leaves the network.
func (l *memoryLink) Close() error {
	l.m.hub.leave(l.m.at, l)
	return nil
}

// Receive delivers packets whose delay is over.
func (l *memoryLink) Receive(c actor.Context) bool {
	m, ok := c.Message().(*memoryArrival)
	if ok {
		l.m.hub.deliver(m)
	}
	return ok
}

var errNobody = errors.New("kad: a memory network carries packets to memory addresses only")

// Send sends a packet, at once or after a delay.
func (l *memoryLink) Send(c actor.Context, o Outgoing) error {
	if o.Address == "" {
		return errNobody
	}
	a := &memoryArrival{to: o.Address, in: Incoming{
		Packet: Packet{Address: l.m.at, PublicKey: l.self.PublicKey, Message: o.Message, Size: memorySize(&o.Message)}, From: l.self,
	}}
	l.port.Sent(a.in.Size)
	delay, ok := l.m.hub.fate(l.m.at, o.Address)
	switch {
	case !ok:
	case delay > 0:
		supervisor.After(c, delay, a)
	default:
		l.m.hub.deliver(a)
	}
	return nil
}

// memorySize is about what a message takes on a wire, in bytes.
func memorySize(m *overlay.Message) int {
	n := 64 + 80*len(m.Contacts)
	if m.Record != nil {
		n += 44 + len(m.Record.Value) + len(m.Record.Salt) + len(m.Record.Signature)
	}
	return n
}

func (h *Hub) join(at Address, l *memoryLink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports[at] = l
}

func (h *Hub) leave(at Address, l *memoryLink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ports[at] == l {
		delete(h.ports, at)
	}
}

// fate decides what becomes of a packet.
func (h *Hub) fate(from, to Address) (delay time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Packets++
	if h.o.Loss > 0 && h.rand.Float64() < h.o.Loss || h.cut != nil && h.cut(from, to) {
		h.counts.Lost++
		return 0, false
	}
	delay = h.o.Delay
	if h.o.Jitter > 0 {
		delay += time.Duration(h.rand.Int64N(int64(h.o.Jitter)))
	}
	return delay, true
}

// deliver hands a packet to the member at its address.
func (h *Hub) deliver(a *memoryArrival) {
	h.mu.Lock()
	l := h.ports[a.to]
	if l == nil {
		h.counts.Unreachable++
	}
	h.mu.Unlock()
	if l == nil || l.port.Deliver(a.in) {
		return
	}
	h.mu.Lock()
	h.counts.Refused++
	h.mu.Unlock()
}

// MemoryKey returns a public key for a native client of a memory network. Such a key belongs
// to nobody: it serves networks that are trusted to say who sends, and is cheaper than an
// identity.
func MemoryKey(n uint64) (key identity.PublicKey) {
	id := overlay.Digest("gamelan.kad.memory", []byte(fmt.Sprint(n)))
	copy(key[:], id[:])
	return key
}
