package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// regionSqueezed has twelve nodes, which the node can dial, and twelve clients come from loopback,
// whose keys were chosen near the node's id. Fresh clients have it store messages for receivers in
// the nearer half of all ids, who fetch them. A stroke is a key.
func regionSqueezed() attack {
	const keys, of = 12, 20_000
	return attack{
		name: "region-squeezed", config: gamelan.Config{DHT: &gamelan.DHTConfig{}}, rest: 2 * saf.RegionAge, call: storeAndFetch,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			near, err := ground(seed, of, 2*keys)
			for i, secret := range near {
				come := comesAndGoes
				if i%2 > 0 {
					come = staysAsClient
				}
				err = errors.Join(err, come(seed, secret))
			}
			return func(ctx context.Context, count *atomic.Uint64) error {
				count.Add(2 * keys)
				<-ctx.Done()
				return nil
			}, err
		},
		stage: func(ctx context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) {
				s := n.DHT().StoreForward(ctx).Server
				m.Report("messages outside the region", float64(s.Refused[saf.OutsideRegion.String()]))
				m.Report("nodes in the region", float64(s.Region.Nodes))
				m.Report("region %", 100*s.Region.Part)
			}, nil
		},
	}
}

// ground returns the n keys whose ids are nearest to that of a node, of so many.
func ground(seed string, of, n int) ([]*identity.Secret, error) {
	to, err := peerstore.ParseSeed(seed)
	if err != nil {
		return nil, err
	}
	id := to.Key.NodeID()
	all := make([]*identity.Secret, of)
	for i := range all {
		if all[i], err = identity.NewSecret(rand.Reader); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *identity.Secret) int { return id.Distance(a.NodeID()).Cmp(id.Distance(b.NodeID())) })
	return all[:n], nil
}

// comesAndGoes listens, connects for a moment, and answers every dial from then on.
func comesAndGoes(seed string, secret *identity.Secret) error {
	const moment = 200 * time.Millisecond
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return err
	}
	at := ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/%d", loopback, l.Addr().(*net.TCPAddr).Port))
	cfg, err := setUp(secret, identity.FeatureNode, at)
	if err != nil {
		return err
	}
	go swallowAll(l, cfg)
	s, err := dialAs(seed, loopback, cfg)
	if err != nil {
		return err
	}
	time.Sleep(moment)
	return s.Close()
}

// staysAsClient connects as a client of the network.
func staysAsClient(seed string, secret *identity.Secret) error {
	cfg, err := setUp(secret, identity.FeatureNone, nowhere)
	if err != nil {
		return err
	}
	_, err = dialAs(seed, loopback, cfg)
	return err
}

// storedBox has ever new identities from loopback bring a message each for one receiver, who may
// have 500. Its 40 letters have come before, of a node that this one has dialled. A stroke is a
// message.
func storedBox() attack {
	const room, together = 500, 8
	return attack{
		name: "stored-box", config: storing(gamelan.StoreForwardLimits{DestinationMessages: room}), call: storeAndFetch, letters: boxed(true), clients: true, stage: evictions,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			receiver, err := away(seed)
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(together, func() error {
					return repeat(ctx, func() error {
						w, err := dialNew(seed)
						if err != nil {
							return err
						}
						defer w.session.Close()
						m, err := unreadable(receiver.PublicKey())
						if err != nil {
							return err
						}
						return errors.Join(w.batch([]entry{m}, count), w.hasRead())
					})
				})
			}, err
		},
	}
}

// storedAll has ten identities of one address of the internet bring 900 messages a second each,
// for ever other receivers, to a store of 2,000. The 40 letters of an honest node, from another
// network, have come before. A stroke is a message.
func storedAll() attack {
	const room, identities, receivers, ahead, together, every = 2_000, 10, 200, 2_000, 45, 50 * time.Millisecond
	a := attack{
		name: "stored-all", config: storing(gamelan.StoreForwardLimits{Messages: room}), call: storeAndFetch, letters: boxed(false), placed: true, clients: true, stage: evictions,
	}
	a.prepare = func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
		var to []identity.PublicKey
		var all []*mux.Session
		for range receivers {
			secret, err := identity.NewSecret(rand.Reader)
			if err != nil {
				return nil, err
			}
			to = append(to, secret.PublicKey())
		}
		made := make(chan entry, ahead)
		for i := range ahead {
			m, err := unreadable(to[i%receivers])
			if err != nil {
				return nil, err
			}
			made <- m
		}
		for range identities {
			secret, err := identity.NewSecret(rand.Reader)
			if err != nil {
				return nil, err
			}
			cfg, err := setUp(secret, identity.FeatureNode, nowhere)
			if err != nil {
				return nil, err
			}
			s, err := dialAs(seed, oneAddress, cfg)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return func(ctx context.Context, count *atomic.Uint64) error {
			var who atomic.Int64
			return atATime(identities, func() error {
				w, err := writerOn(all[who.Add(1)-1])
				for i := 0; err == nil && ctx.Err() == nil; i++ {
					var batch [together]entry
					for k := range batch {
						select {
						case batch[k] = <-made:
						default:
							if batch[k], err = unreadable(to[(i*together+k)%receivers]); err != nil {
								return err
							}
						}
					}
					err = w.batch(batch[:], count)
					pause(ctx, every)
				}
				return err
			})
		}, nil
	}
	return a
}

// evictions reports how many messages the node has stored, and how many of them were evicted.
func evictions(ctx context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
	return func(m *harness.Meter) {
		s := n.DHT().StoreForward(ctx).Server
		m.Report("messages stored", float64(s.Stored))
		m.Report("messages evicted", float64(s.Evicted))
	}, nil
}

// storing is the configuration of a node that stores messages for others within limits.
func storing(limits gamelan.StoreForwardLimits) gamelan.Config {
	return gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor, StoreForward: gamelan.StoreForwardConfig{Limits: limits}}
}

// unreadable is a message for somebody that any node may store, and that does not decrypt.
func unreadable(to identity.PublicKey) (m entry, err error) {
	const size = 512
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return m, err
	}
	key := secret.PublicKey()
	e := wire.Envelope{
		Header: wire.Header{Version: wire.Version, Destination: wire.To(to), Ephemeral: key[:], Flags: wire.Encrypted, Expires: uint64(time.Now().Add(time.Hour).Unix())},
		Body:   payload(size),
	}
	sig, err := wire.Sign(secret, e.Binding(), rand.Reader)
	e.Header.Signature = sig.Append(nil)
	m.Body = e.Append(nil)
	return m, err
}

// away is the receiver of the letters that a node stores, who is not there. The attacker knows
// him.
func away(seed string) (*identity.Secret, error) {
	of, err := peerstore.ParseSeed(seed)
	if err != nil {
		return nil, err
	}
	return identity.NewSecret(mathrand.NewChaCha8(of.Key))
}

// boxed has a client bring 40 messages for a receiver, and counts afterwards how many per cent of
// them that gets. The node dials it, or it the node.
func boxed(dialled bool) func(context.Context, *gamelan.Node) (func() float64, error) {
	const count = 40
	return func(ctx context.Context, n *gamelan.Node) (func() float64, error) {
		s := &nodes{ctx: ctx}
		receiver, err := away(n.Seed())
		if err != nil {
			return nil, err
		}
		author, err := s.start(gamelan.Config{DHT: &gamelan.DHTConfig{}, Client: true, Floor: gamelan.NoFloor})
		if err == nil {
			from, to := author, n
			if dialled {
				from, to = n, author
			}
			if err = connect(ctx, from, to); err == nil { // the author may hear of it later
				err = wait(ctx, func() bool { _, ok := author.Connection(n.ID()); return ok })
			}
		}
		for i := 0; err == nil && i < count; i++ {
			err = storeAway(ctx, author, receiver.PublicKey(), letterLength)
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		return func() float64 {
			got := fetch(ctx, receiver, n, count)
			_ = s.close()
			return 100 * float64(got) / count
		}, nil
	}
}

// letterLength is that of the body of an honest message.
const letterLength = 32

// storeAndFetch has a node store a message for somebody who has never been there, in the nearer
// half of all ids, and that one fetch it.
func storeAndFetch(ctx context.Context, from, to *gamelan.Node) error {
	var receiver *identity.Secret
	for receiver == nil || to.ID().Distance(receiver.NodeID()).Bytes()[0] >= 1<<7 {
		var err error
		if receiver, err = identity.NewSecret(rand.Reader); err != nil {
			return err
		}
	}
	if err := storeAway(ctx, from, receiver.PublicKey(), letterLength); err != nil {
		return err
	}
	if got := fetch(ctx, receiver, to, 1); got != 1 {
		return fmt.Errorf("got %d messages handed out, want 1", got)
	}
	return nil
}

// fetch starts a client with the secret and returns how many messages it gets from a node, at
// most want, within the time of a dial.
func fetch(ctx context.Context, secret *identity.Secret, from *gamelan.Node, want int) (got int) {
	within, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	var heard atomic.Int64
	s := &nodes{ctx: ctx}
	n, err := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}, DHT: &gamelan.DHTConfig{}, Client: true, Secret: secret, Floor: gamelan.NoFloor},
		gamelan.WithType(benchType, func(*gamelan.Node) actor.Actor {
			return receive(func(c actor.Context) {
				if _, ok := c.Message().(dht.Received); ok { // stored, or relayed because it has just connected
					heard.Add(1)
				}
			})
		}))
	if err == nil && connect(within, n, from) == nil {
		_ = wait(within, func() bool { return int(heard.Load()) >= want })
	}
	_ = s.close()
	return int(heard.Load())
}
