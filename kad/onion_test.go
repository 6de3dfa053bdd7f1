package kad_test

import (
	"encoding/base32"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// services is a network of onion services that know nobody.
type services struct {
	own   []kad.Address
	port  *kad.Port
	known map[kad.Address]kad.Contact
}

// moved tells the network other addresses of its own.
type moved struct{ to []kad.Address }

func (n *services) Label() string                   { return "onion services" }
func (n *services) Limits() kad.Limits              { return kad.Limits{} }
func (n *services) Route(c kad.Contact) kad.Address { return c.Addresses[0] }

func (n *services) Open(_ actor.Context, p *kad.Port) kad.Link {
	n.port = p
	p.Opened(n.own...)
	return n
}

func (n *services) Receive(c actor.Context) bool {
	m, ok := c.Message().(moved)
	if ok {
		n.port.Opened(m.to...)
	}
	return ok
}

func (n *services) Send(_ actor.Context, o kad.Outgoing) error {
	who := n.known[o.Address]
	n.port.Deliver(kad.Incoming{From: who, Packet: kad.Packet{
		Address: o.Address, PublicKey: who.PublicKey, Size: 100, Message: kad.Message{Verb: overlay.Reply, ID: o.Message.ID, Sender: who.ID},
	}})
	return nil
}

// onionAddress is that of an onion service.
func onionAddress(n uint64) kad.Address {
	key := kad.MemoryKey(n)
	name := base32.StdEncoding.EncodeToString(append(key[:], 0, 0, 3))
	return kad.Address(fmt.Sprintf("/onion3/%s:18101", strings.ToLower(name)))
}

// A client takes five onion services into a bucket, and as many as a bucket holds if only onion
// services lead to it: a network of them has nobody else. Its addresses may change.
//
// conforms: kad 21
func TestOnionsOfAnOnionService(t *testing.T) {
	const others = 40
	onion, direct := onionAddress(1), kad.Address("/ip4/198.51.100.7/tcp/18101")
	for _, x := range []struct {
		name      string
		own, then []kad.Address
		many      bool
	}{
		{"an onion service", []kad.Address{onion}, nil, true},
		{"becomes an onion service", nil, []kad.Address{onion}, true},
		{"becomes an onion service alone", []kad.Address{onion, direct}, []kad.Address{onion}, true},
		{"another address", []kad.Address{onion, direct}, nil, false},
		{"no address", nil, nil, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := &services{own: x.own, known: make(map[kad.Address]kad.Contact)}
				var all []kad.Contact
				for i := range uint64(others) {
					key := kad.MemoryKey(100 + i)
					who := kad.Contact{ID: overlay.NodeID(key), PublicKey: key, Addresses: []kad.Address{onionAddress(100 + i)}}
					n.known[who.Addresses[0]] = who
					all = append(all, who)
				}
				l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
				c := l.add(func(c *kad.Config) { c.Networks, c.PublicKey = []kad.Network{n}, kad.MemoryKey(1<<40) })
				if x.then != nil {
					n.port.Tell(moved{x.then})
					synctest.Wait()
				}
				for _, who := range all {
					if _, err := c.ConnectTo(t.Context(), who); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := c.View().Len(); x.many && got < 20 || !x.many && got != 5 {
					t.Errorf("got %d contacts of %d, want at least 20 if this client is an onion service alone (%v), else 5", got, others, x.many)
				}
			})
		})
	}
}
