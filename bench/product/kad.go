package product

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// KadLookup is gamelan/kad-lookup-Nnodes: searches for the nodes nearest to random ids, eight
// at a time, in a network of n clients in one process, each with all of its actors. The
// packets have no delay. An operation is a query: a request, and its answer. Everything that
// the clients do meanwhile to keep their tables fresh is part of the CPU.
func KadLookup(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/kad-lookup-%dnodes", n), Fresh: true, Rounds: 2, Limit: kadLimit, Run: func(m *harness.Meter) (err error) {
		host, err := kad.NewStandalone(kad.StandaloneOptions{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, host.Close(context.Background())) }()
		clients, err := kadNetwork(m.Context(), host, n)
		if err != nil {
			return err
		}
		asked := func() (sum uint64) {
			for _, c := range clients {
				sum += c.Stats().Asked
			}
			return sum
		}
		r := rand.New(rand.NewPCG(1, 2))
		return m.Flowing(func() (uint64, error) {
			before := asked()
			errs := make(chan error, 8)
			for range cap(errs) {
				c, target := clients[r.IntN(n)], overlay.RandomID(overlay.IDLen, r)
				go func() {
					var err error
					for range 32 {
						_, e := c.Closest(m.Context(), target)
						err = errors.Join(err, e)
						target[0] += 8
					}
					errs <- err
				}()
			}
			for range cap(errs) {
				err = errors.Join(err, <-errs)
			}
			return asked() - before, err
		})
	}}
}

// kadLimit is how long a round may take: most of it is the start of the network.
const kadLimit = 2 * time.Minute

// kadNetwork starts clients that enter one network, and has each of them look around in it.
func kadNetwork(ctx context.Context, host kad.Host, n int) (clients []*kad.Client, err error) {
	hub := kad.NewHub(kad.HubOptions{})
	for i := range n {
		c := kad.Config{Name: fmt.Sprint(i), PublicKey: kad.MemoryKey(uint64(i)), Networks: []kad.Network{hub.Network()}}
		for range min(3, i) {
			c.Bootstrap = append(c.Bootstrap, clients[rand.IntN(i)].Addresses()...)
		}
		client, err := kad.Start(ctx, host, c)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range clients { // fills the tables of all
		for range 2 {
			if _, err := c.Closest(ctx, overlay.RandomID(overlay.IDLen, r)); err != nil {
				return nil, err
			}
		}
	}
	return clients, nil
}
