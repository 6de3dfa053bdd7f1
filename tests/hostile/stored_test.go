package hostile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// storing is the configuration of a node that stores messages for others.
func storing() gamelan.Config { return gamelan.Config{DHT: &gamelan.DHTConfig{}} }

// stores sends a message for each receiver to the node, and checks that it stores as many as it
// should.
func (n *target) stores(receivers []identity.PublicKey, want int) {
	n.t.Helper()
	author := n.net.Start(storing(), quiet)
	n.net.Connect(author, n.Node)
	before := n.DHT().StoreForward(n.t.Context()).Server.Messages
	for i, to := range receivers {
		report, err := author.DHT().Send(n.t.Context(), dht.Message{To: dht.StoreFor{To: to}, Type: 1001, Encrypt: true, Body: fmt.Appendf(nil, "letter %d", i)})
		if err != nil || report.Count(protocol.Confirmed) == 0 {
			n.t.Fatalf("letter %d: got %v, %v, want it confirmed", i, report, err)
		}
	}
	synctest.Wait()
	s := n.DHT().StoreForward(n.t.Context()).Server
	if got := s.Messages - before; got != want {
		n.t.Errorf("got %d of %d messages stored, want %d; refused %v, region %s", got, len(receivers), want, s.Refused, s.Region.Text)
	}
}

// ground returns keys whose ids are nearer to a node than the others of many.
func ground(to identity.NodeID, of, n int) (near []*identity.Secret) {
	for i := range of {
		near = append(near, secretOf(100_000+i))
	}
	slices.SortFunc(near, func(a, b *identity.Secret) int { return to.Distance(a.NodeID()).Cmp(to.Distance(b.NodeID())) })
	return near[:n]
}

// comesAs connects with these features, and an address of its own.
func (n *target) comesAs(secret *identity.Secret, features identity.Features, protocols ...protocol.ID) *peer {
	n.t.Helper()
	c := rawDial(n.t, n.net.Transport(), n.Addr)
	p := &peer{t: n.t, secret: secret, raw: c, conn: shake(n.t, c, secret)}
	p.exchangeAs(listing(claimed(n.t, secret, features, time.Now(), ownAddress), protocols...))
	return p
}

// TestRegionSqueezed has nine nodes and nine clients come, from all over or from one address,
// whose keys somebody has chosen near the node's id. It stores for everybody as before.
//
// conforms: V 38
func TestRegionSqueezed(t *testing.T) {
	for _, from := range []string{"", "/ip4/6.6.6.6"} {
		for _, attacked := range []bool{false, true} {
			t.Run(fmt.Sprintf("from %q, attacked %v", from, attacked), func(t *testing.T) {
				placing(t, storing(), func(t *testing.T, n *target, tr *placed) {
					var receivers []identity.PublicKey
					for i := range 10 {
						receivers = append(receivers, secretOf(i).PublicKey())
					}
					if attacked {
						if from != "" {
							tr.place(from)
						}
						for i, secret := range ground(n.ID(), 500, 18) {
							n.comesAs(secret, []identity.Features{identity.FeatureNode, identity.FeatureNone}[i%2])
						}
						synctest.Wait()
						if got := n.Peers().Len(); got < 18 {
							t.Fatalf("got %d peers known, want those that came", got)
						}
						tr.place("/ip4/9.9.9.9")
						time.Sleep(time.Minute)
					}
					n.stores(receivers[:1], 1) // has the region computed anew
					time.Sleep(time.Minute)
					n.stores(receivers[1:], 9)
				})
			})
		}
	}
}

// TestBoxOfManyIdentities has twenty identities bring a message each for a receiver that may have
// ten, or as many for others as the store has room for. What an honest source has brought before
// is still there when the receiver comes: from another address, and among exempt sources from one
// that the node has served for an hour.
//
// conforms: V 39
func TestBoxOfManyIdentities(t *testing.T) {
	const letters, room, attackers = 5, 10, 20
	for _, c := range []struct {
		name, honest, from string
		limits             gamelan.StoreForwardLimits
		others             bool // receivers
		keys               int
	}{
		{"control", "/ip4/9.9.9.9", "/ip4/6.6.6.6", gamelan.StoreForwardLimits{DestinationMessages: room}, false, 0},
		{"one address", "/ip4/9.9.9.9", "/ip4/6.6.6.6", gamelan.StoreForwardLimits{DestinationMessages: room}, false, attackers},
		{"one address, the whole store", "/ip4/9.9.9.9", "/ip4/6.6.6.6", gamelan.StoreForwardLimits{Messages: room}, true, attackers},
		{"exempt", "/ip4/127.0.0.1", "/ip4/127.0.0.1", gamelan.StoreForwardLimits{DestinationMessages: room}, false, attackers},
	} {
		t.Run(c.name, func(t *testing.T) {
			placing(t, gamelan.Config{DHT: &gamelan.DHTConfig{}, StoreForward: gamelan.StoreForwardConfig{Limits: c.limits}}, func(t *testing.T, n *target, tr *placed) {
				heard := gamelantest.NewCollector()
				receiver := n.net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}, Client: true}, quiet, gamelan.WithType(1001, heard.New))
				author := func(from string) *gamelantest.Node {
					tr.place(from)
					a := n.net.Start(storing(), quiet)
					n.net.Connect(a, n.Node)
					return a
				}
				send := func(from *gamelantest.Node, to identity.PublicKey, body string) {
					t.Helper()
					report, err := from.DHT().Send(t.Context(), dht.Message{To: dht.StoreFor{To: to}, Type: 1001, Encrypt: true, Body: []byte(body)})
					if err != nil || report.Count(protocol.Confirmed) == 0 {
						t.Fatalf("%s: got %v, %v, want it confirmed", body, report, err)
					}
				}
				honest := author(c.honest)
				time.Sleep(share.LastAfter)
				for i := range letters {
					send(honest, receiver.PublicKey(), fmt.Sprint("letter ", i))
				}
				for i := range c.keys {
					a, to := author(c.from), receiver.PublicKey()
					if c.others {
						to = secretOf(i).PublicKey()
					}
					send(a, to, fmt.Sprint("attack ", i))
					a.Close(t.Context())
				}
				tr.place("/ip4/8.8.4.4")
				n.net.Connect(receiver, n.Node)
				if _, err := receiver.DHT().FetchStored(t.Context(), n.ID()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := 0
				for _, body := range heard.Bodies() {
					if strings.HasPrefix(body, "letter") {
						got++
					}
				}
				if got != letters {
					t.Errorf("got %d of %d honest messages handed out", got, letters)
				}
				s := n.DHT().StoreForward(t.Context()).Server
				if c.keys > 0 && s.Evicted+s.Refused[saf.Full.String()]+s.Refused[saf.DestinationFull.String()] == 0 {
					t.Errorf("got nothing full: %+v", s)
				}
			})
		})
	}
}

// asks returns a request for stored messages.
func asks(t *testing.T, id uint32) string {
	t.Helper()
	e, err := wire.Compose(wire.Draft{
		Type: wire.TypeStoredRequest, Expires: uint64(time.Now().Add(time.Hour).Unix()),
		Body: wire.AppendBody(nil, wire.StoredRequest{RequestID: id}.Append(nil)),
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return framed(string(e.Append(nil)))
}

// TestAnswersThatNobodyAcknowledges has 155 identities ask for a message stored for each, again
// and again, and acknowledge nothing: an honest receiver gets its messages, and the program sends
// as ever.
//
// conforms: V 39
func TestAnswersThatNobodyAcknowledges(t *testing.T) {
	const (
		attackers, letters = 155, 5
		size               = 54_000 // with the padding of its encryption an answer is a short one
		askEvery           = 2 * time.Second
		sends, sendWithin  = 20, 5 * time.Second
	)
	spread := make([]string, 5)
	for i := range spread {
		spread[i] = fmt.Sprintf("/ip4/6.6.%d.6", i)
	}
	for _, c := range []struct {
		name, honest string
		from         []string
	}{
		{"control", "/ip4/8.8.4.4", nil},
		{"five addresses", "/ip4/8.8.4.4", spread},
		{"exempt", "/ip4/127.0.0.1", []string{"/ip4/127.0.0.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			placing(t, storing(), func(t *testing.T, n *target, tr *placed) {
				heard := gamelantest.NewCollector()
				receiver := n.net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}, Client: true}, quiet, gamelan.WithType(1001, heard.New))
				tr.place("/ip4/9.9.9.9")
				author := n.net.Start(storing(), quiet)
				n.net.Connect(author, n.Node)
				store := func(to identity.PublicKey) {
					t.Helper()
					report, err := author.DHT().Send(t.Context(), dht.Message{To: dht.StoreFor{To: to}, Type: 1001, Encrypt: true, Body: make([]byte, size)})
					if err != nil || report.Count(protocol.Confirmed) == 0 {
						t.Fatalf("got %v, %v, want it confirmed", report, err)
					}
				}
				for range letters {
					store(receiver.PublicKey())
				}
				for i := range attackers {
					store(secretOf(i).PublicKey())
				}
				peers := make([]*peer, attackers)
				var asked uint32
				attack := func() {
					for i, p := range peers {
						if len(c.from) == 0 {
							break
						}
						if p == nil || p.Err() != nil {
							tr.place(c.from[i%len(c.from)])
							p = n.comesAs(secretOf(i), identity.FeatureNone, messaging)
							p.Mute(true)
							p.open(1, optimistic(messaging))
							peers[i] = p
						}
						asked++
						_ = p.Data(0, 1, asks(t, asked)) // its connection may have ended
					}
					synctest.Wait()
				}
				attack()
				time.Sleep(askEvery)
				attack()
				tr.place(c.honest)
				n.net.Connect(receiver, n.Node)
				var honest sync.WaitGroup
				sent := 0
				honest.Go(func() {
					for range sends {
						ctx, cancel := context.WithTimeout(t.Context(), sendWithin)
						report, err := n.DHT().Send(ctx, dht.Message{To: dht.Direct{Peer: author.ID()}, Type: 1001, Body: make([]byte, 60_000)})
						cancel()
						if err == nil && report.Count(protocol.Confirmed) == 1 {
							sent++
						}
					}
				})
				honest.Go(func() { _, _ = receiver.DHT().FetchStored(t.Context(), n.ID()) })
				for range 15 {
					time.Sleep(askEvery)
					attack()
				}
				if got := heard.Len(); got != letters {
					t.Errorf("got %d of %d messages handed out", got, letters)
				}
				honest.Wait()
				if sent != sends {
					t.Errorf("got %d of %d messages of the program sent", sent, sends)
				}
			})
		})
	}
}
