package gateway

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// model drives a machine of the overlay Seed and counts.
type model struct {
	t       testing.TB
	m       *Machine
	codec   seedwire.Codec
	now     time.Time
	in, out map[overlay.Address]int // bytes while the address had no fresh proof
	open    map[requests.Ref]bool   // requests of this node
	sent    []*Send                 // its requests and probes
	waited  int                     // how often an answer waited for a proof
	counts  struct{ answers, probes, served, stores, met, stale int }
}

var modelSelf = overlay.ID{0xff, 1}

func newModel(t testing.TB, random overlay.Rand) *model {
	codec, err := seedwire.NewCodec(20, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := New(Options{
		Self: modelSelf, Overlay: overlay.Seed, Unproven: true, Datagram: true, Size: codec.Size,
		Check: func(_ overlay.Address, m *overlay.Message) error { return codec.Check(m) },
		Select: func(list []overlay.Contact, to *Request, n, room int) []overlay.Contact {
			return codec.Select(list, seedwire.Asker{ID: to.From.ID, Address: to.Address}, modelSelf, n, room)
		},
		Rand: random,
	})
	return &model{
		t: t, m: m, codec: codec, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
		in: map[overlay.Address]int{}, out: map[overlay.Address]int{}, open: map[requests.Ref]bool{},
	}
}

// receive gives the machine a message, and answers what it serves with contacts or a value.
func (x *model) receive(from overlay.Address, m overlay.Message, size int, answer overlay.Message) {
	r := Request{Packet: overlay.Packet{Address: from, Message: m, Size: size}, From: overlay.SeedContact(m.Sender, from), Group: from.Group()}
	if !x.m.proofs.Fresh(from, x.now) {
		x.in[from] += size
	}
	var serve []*Request
	for _, f := range x.m.Step(x.now, &Received{r}) {
		if s, ok := f.(*Serve); ok {
			serve = append(serve, s.Request)
		}
		x.effect(f, true)
	}
	if x.m.proofs.Fresh(from, x.now) {
		x.in[from], x.out[from] = 0, 0
	}
	for _, r := range serve {
		x.counts.served++
		if r.Message.Verb == overlay.Store {
			x.counts.stores++
			if !x.m.proofs.Proven(r.Address, r.From.ID, x.now) {
				x.t.Fatalf("got a STORE from %s served without proof", r.Address)
			}
		}
		x.step(&Respond{r, answer}, true)
	}
	if n := x.m.Waiting(); n > maxWaiting {
		x.t.Fatalf("got %d answers that wait, want at most %d", n, maxWaiting)
	} else if n > 0 {
		x.waited++
	}
}

// step gives the machine an event. caused says that an address has caused what is sent now.
func (x *model) step(e Event, caused bool) {
	for _, f := range x.m.Step(x.now, e) {
		x.effect(f, caused)
	}
}

func (x *model) effect(f Effect, caused bool) {
	end := func(ref requests.Ref) {
		if !x.open[ref] {
			x.t.Fatalf("got a second end of request %d", ref)
		}
		delete(x.open, ref)
	}
	switch f := f.(type) {
	case *Send:
		if f.Message.Sender != modelSelf {
			x.t.Fatalf("got %v without this node's id", f.Message.Verb)
		}
		if f.Answer {
			x.counts.answers++
		} else {
			x.sent = append(x.sent, f)
		}
		if !caused || x.m.proofs.Fresh(f.Address, x.now) {
			return
		}
		if x.m.reached(f.Address, x.now) {
			x.counts.stale++
		}
		if !f.Answer {
			x.counts.probes++
		}
		if x.out[f.Address] += x.codec.Size(&f.Message); x.out[f.Address] > limit.Amplification*x.in[f.Address] {
			x.t.Fatalf("%s: got %d bytes for %d", f.Address, x.out[f.Address], x.in[f.Address])
		}
	case *Met:
		x.counts.met++
	case *Answered:
		end(f.Ref)
	case Sent:
		end(f.Ref)
	case Lost:
		end(f.Ref)
	}
}

// TestModel sends random messages from several addresses, some of which answer what they are
// asked. No address without a fresh proof gets more than three times what it sent, none has a STORE
// served, and each request of this node ends once.
//
// conforms: kad 7, 8
func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := newModel(t, rand.New(rand.NewPCG(3, 4)))
	contact := func() overlay.Contact {
		n := r.IntN(40)
		return overlay.SeedContact(overlay.ID{byte(n + 1)}, overlay.Address(fmt.Sprintf("/ip4/30.%d.0.1/udp/9", n)))
	}
	list := make([]overlay.Contact, 30)
	for i := range list {
		list[i] = overlay.SeedContact(overlay.ID{byte(100 + i)}, overlay.Address(fmt.Sprintf("/ip4/40.%d.0.1/udp/9", i)))
	}
	var ref requests.Ref
	for range 30_000 {
		x.now = x.now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
		c := contact()
		m := overlay.Message{Sender: c.ID, Verb: []overlay.Verb{overlay.Ping, overlay.FindNode, overlay.FindValue, overlay.Store}[r.IntN(4)], Target: overlay.ID{byte(r.Uint32())}}
		record := &overlay.Record{Key: m.Target, Value: make([]byte, r.IntN(3000))}
		switch r.IntN(12) {
		case 0, 1:
			ref++
			m.Record = record
			x.open[ref] = true
			x.step(&Ask{Ref: ref, To: c.Addresses[0], Contact: c.ID, Message: m}, false)
		case 2:
			x.step(Cancel{requests.Ref(r.Uint64N(uint64(ref) + 2))}, false)
		case 3:
			x.step(Due{}, false)
		case 4, 5:
			if len(x.sent) == 0 {
				break
			}
			s := x.sent[len(x.sent)-1-r.IntN(min(5, len(x.sent)))]
			if s.Address[len("/ip4/30.")]%2 == 0 {
				break // half of the nodes never answer
			}
			c := contact()
			if r.IntN(10) > 0 {
				c.Addresses[0] = s.Address
				c.ID = overlay.ID{}
				if _, err := fmt.Sscanf(string(s.Address), "/ip4/30.%d.", &c.ID[0]); err != nil {
					t.Fatal(err)
				}
				c.ID[0]++
			}
			m := overlay.Message{Verb: []overlay.Verb{overlay.Pong, overlay.Nodes, overlay.Value}[r.IntN(3)], ID: s.Message.ID, Sender: c.ID, Target: s.Message.Target, Contacts: list, Record: record}
			x.receive(c.Addresses[0], m, x.codec.Size(&m), overlay.Message{})
		default:
			m.Record = record
			answer := overlay.Message{Contacts: list}
			if r.IntN(2) == 0 {
				answer.Record = record
			}
			x.receive(c.Addresses[0], m, x.codec.Size(&m), answer)
		}
	}
	x.now = x.now.Add(time.Minute)
	x.step(Due{}, false)
	if len(x.open) > 0 || x.m.Len() > 0 {
		t.Errorf("got %d requests without an end", len(x.open))
	}
	if c := x.counts; min(c.answers, c.probes, c.served, c.stores, c.stale) < 500 || c.met < 10 || x.waited == 0 {
		t.Errorf("got %+v, so the test proves little", c)
	}
}

// FuzzDatagrams gives the machine datagrams of any bytes, from a few addresses. The first
// byte of each is its length, the second says where it comes from and whether time passes.
func FuzzDatagrams(f *testing.F) {
	codec, err := seedwire.NewCodec(20, 0)
	if err != nil {
		f.Fatal(err)
	}
	var all []byte
	for verb := overlay.Ping; verb <= overlay.Value; verb++ {
		m := overlay.Message{Verb: verb, Sender: overlay.ID{1}, Target: overlay.ID{2}, Record: &overlay.Record{Key: overlay.ID{2}, Value: []byte("value")}}
		m.Contacts = []overlay.Contact{overlay.SeedContact(overlay.ID{3}, "/ip4/30.1.2.3/udp/4")}
		b, err := codec.Append(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		one := append([]byte{byte(len(b)), byte(verb)}, b...)
		f.Add(one)
		all = append(all, one...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newModel(t, rand.New(rand.NewPCG(1, 2)))
		x.open[1] = true
		x.step(&Ask{Ref: 1, To: "/ip4/30.0.0.1/udp/1", Message: overlay.Message{Verb: overlay.FindNode, Target: overlay.ID{7}}}, false)
		for len(data) > 2 {
			n, where := int(data[0]), data[1]
			data = data[2:]
			b := data[:min(n, len(data))]
			data = data[len(b):]
			x.now = x.now.Add(time.Duration(where) * time.Millisecond)
			m, err := codec.Decode(b)
			if err != nil {
				continue
			}
			answer := overlay.Message{Record: m.Record, Contacts: m.Contacts}
			x.receive(overlay.Address(fmt.Sprintf("/ip4/30.0.0.%d/udp/1", 1+where%3)), m, len(b), answer)
		}
	})
}
