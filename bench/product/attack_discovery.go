package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// announcing has four identities send valid messages of the DHT's own as fast as they are
// read, each message with the claim of an identity that nobody has seen before. A stroke
// is a message. They are made before the attack begins, and while it lasts when they are
// used up.
func announcing(name string, draft func(to identity.PublicKey, from *identity.Secret, part []byte) wire.Draft) attack {
	const identities, before, together = 4, 6_000, 16
	return attack{
		name: name, config: gamelan.Config{DHT: &gamelan.DHTConfig{}},
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			to, err := peerstore.ParseSeed(seed)
			if err != nil {
				return nil, err
			}
			made := make(chan entry, before)
			for range before {
				e, err := announcement(to.Key, draft)
				if err != nil {
					return nil, err
				}
				made <- e
			}
			next := func() (entry, error) {
				select {
				case e := <-made:
					return e, nil
				default:
					return announcement(to.Key, draft)
				}
			}
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(identities, func() error {
					return again(ctx, seed, func(w *writer) error {
						var batch [together]entry
						for i := range batch {
							var err error
							if batch[i], err = next(); err != nil {
								return err
							}
						}
						return w.batch(batch[:], count)
					})
				})
			}, nil
		},
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) {
				v := n.DHT().Network()
				m.Report("joins heard", float64(v.Join.Heard))
				m.Report("joins relayed", float64(v.Join.Relayed))
				m.Report("searches answered", float64(v.Searches.Answered))
				m.Report("peers", float64(v.Known))
			}, nil
		},
	}
}

// announcement is a message with the claim of a new identity.
func announcement(to identity.PublicKey, draft func(to identity.PublicKey, from *identity.Secret, part []byte) wire.Draft) (e entry, err error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return e, err
	}
	claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{nowhere.Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		return e, err
	}
	a := wire.NewAnnouncement(claim, uint64(time.Now().UnixNano()))
	d := draft(to, secret, a.Append(nil))
	d.Expires = uint64(time.Now().Add(time.Hour).Unix())
	envelope, err := wire.Compose(d, secret, rand.Reader)
	e.Body = envelope.Append(nil)
	return e, err
}

// joinFlood sends Joins.
func joinFlood() attack {
	return announcing("join-flood", func(_ identity.PublicKey, from *identity.Secret, part []byte) wire.Draft {
		return wire.Draft{Type: wire.TypeJoin, Destination: wire.To(from.PublicKey()), Sign: true, Body: wire.AppendBody(nil, part)}
	})
}

// discoveryFlood sends Discoveries, which a node that answers all of them would answer over
// a new connection each.
func discoveryFlood() attack {
	return announcing("discovery-flood", func(to identity.PublicKey, _ *identity.Secret, part []byte) wire.Draft {
		return wire.Draft{Type: wire.TypeDiscovery, Destination: wire.To(to), EncryptFor: to, Body: wire.AppendBody(nil, part)}
	})
}

// peerListFlood has eight identities ask a node that knows 2,000 peers for 500 of them, as
// often as it answers. A stroke is an answer, whole or refused.
func peerListFlood() attack {
	const identities, known = 8, 2_000
	return attack{
		name: "peer-list-flood", config: gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor},
		prepare: func(ctx context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			request := wire.GetPeers{N: 500, IncludeClients: true, MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)
			encode := func(b []byte) ([]byte, error) { return append(b, request...), nil }
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(identities, func() error {
					n, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}, Floor: gamelan.NoFloor}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
					if err != nil {
						return err
					}
					defer n.Close(context.WithoutCancel(ctx))
					peer, err := n.Peers().AddSeed(ctx, seed)
					if err != nil {
						return err
					}
					client := n.RPC().Client(peer, protocol.PeersID)
					return repeat(ctx, func() error {
						err := client.Invoke(ctx, 10, true, encode, func([]byte) error { return nil })
						count.Add(1)
						if err != nil {
							pause(ctx, time.Millisecond)
						}
						return nil
					})
				})
			}, nil
		},
		stage: func(ctx context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			for i := range known {
				secret, err := identity.NewSecret(rand.Reader)
				if err != nil {
					return nil, err
				}
				at := ma.StringCast(fmt.Sprintf("/ip4/127.0.%d.%d/tcp/1", i/250, 1+i%250))
				claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{at.Bytes()}, time.Now(), rand.Reader)
				if err != nil {
					return nil, err
				}
				p := peerstore.FromClaim(claim, peerstore.AnotherPeer)
				p.Addresses[0].LastSeen, p.Addresses[0].LastAttempted = time.Now(), time.Now()
				if err := n.Peers().Add(ctx, p); err != nil {
					return nil, errors.Join(fmt.Errorf("peer %d", i), err)
				}
			}
			return func(m *harness.Meter) {
				v := n.DHT().Network()
				m.Report("requests served", float64(v.Service.Served))
				m.Report("requests refused", float64(v.Service.Refused))
				m.Report("peers handed out", float64(v.Service.Peers))
			}, nil
		},
	}
}
