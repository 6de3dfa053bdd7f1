package product

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/identity"
)

// oneAddress is where the attacks come from that have one address of the internet,
// and setupsOfOne how many set-ups at once a node lets in from there.
const (
	oneAddress  = "127.6.6.6"
	setupsOfOne = 4
)

// peerBook sets up connections from one address with ever new identities, to push
// others out of a store of 100 peers. 20 honest ones, each from an address of its
// own, have come before; none was ever reached. A stroke is a set-up.
func peerBook() attack {
	const honestPeers, room = 20, 100
	return attack{
		name: "peer-book", config: gamelan.Config{MaxPeers: room}, placed: true,
		prepare: fromOneAddress(func(ctx context.Context, seed string) error {
			c, _, err := enter(ctx, seed, oneAddress)
			if err != nil {
				return err
			}
			return c.Close()
		}),
		stage: func(ctx context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			var known []identity.NodeID
			for range honestPeers {
				c, secret, err := enter(ctx, n.Seed(), "127.0.0.1")
				if err != nil {
					return nil, fmt.Errorf("an honest peer: %w", err)
				}
				defer c.Close() // the node knows it by the end of this function
				if err := wait(ctx, func() bool {
					_, ok := n.Peers().Get(secret.NodeID())
					return ok
				}); err != nil {
					return nil, fmt.Errorf("the node did not learn of an honest peer: %w", err)
				}
				known = append(known, secret.NodeID())
			}
			return func(m *harness.Meter) {
				kept := 0
				for _, id := range known {
					if _, ok := n.Peers().Get(id); ok {
						kept++
					}
				}
				m.Report("honest peers kept %", 100*float64(kept)/honestPeers)
				m.Report("peers", float64(n.Peers().Len()))
			}, nil
		},
	}
}

// identityRotation connects from one address with ever new identities, each of
// which is banned for an identity message that is too long. A stroke is a ban, or
// a handshake that was refused.
func identityRotation() attack {
	tooLong := []byte{0, 0xff, 0xff} // the head of a message of 65,535 bytes
	return attack{
		name: "identity-rotation", placed: true,
		prepare: fromOneAddress(func(ctx context.Context, seed string) error {
			secret, err := identity.NewSecret(rand.Reader)
			if err != nil {
				return err
			}
			c, err := shake(ctx, seed, oneAddress, secret)
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Write(tooLong); err != nil {
				return err
			}
			hungUp(c)
			return nil
		}),
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) { m.Report("peers", float64(n.Peers().Len())) }, nil
		},
	}
}

// fromOneAddress is a prepare that strikes as often as a node lets one address in.
func fromOneAddress(strike func(ctx context.Context, seed string) error) func(context.Context, string) (func(context.Context, *atomic.Uint64) error, error) {
	return func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
		return func(ctx context.Context, count *atomic.Uint64) error {
			return atATime(setupsOfOne, func() error {
				return repeat(ctx, func() error {
					err := strike(ctx, seed)
					if err == nil {
						count.Add(1)
					}
					return err
				})
			})
		}, nil
	}
}

// strikes runs strike so many times at once, and returns the errors.
func strikes(n int, strike func() error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = strike() })
	}
	wg.Wait()
	return errs
}

// atATime runs strike so many times at once, and joins the errors.
func atATime(n int, strike func() error) error {
	failed := strikes(n, strike)
	for _, err := range failed {
		if err == nil {
			return nil // one of them could attack
		}
	}
	return failed[0]
}
