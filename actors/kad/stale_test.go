package kad_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// unproven is a network in memory on which the address of a sender may be invented.
type unproven struct{ kad.Network }

func (n unproven) Limits() kad.Limits {
	size := func(m *kad.Message) int {
		size := 88 + 60*len(m.Contacts)
		if m.Record != nil {
			size += len(m.Record.Value)
		}
		return size
	}
	return kad.Limits{
		Datagram: true, Unproven: true, Private: true, Size: size,
		Select: func(contacts []kad.Contact, _ *kad.Incoming, n, room int) []kad.Contact {
			return contacts[:min(n, len(contacts), max(0, (room-88)/60))]
		},
	}
}

// Nodes of a network in which nobody has asked anything for an hour find a long value, although
// their proofs of each other's addresses are stale: each waits for the proof of the other.
//
// conforms: kad 7
func TestStaleProofsOfBoth(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 8, kad.StandaloneOptions{}, func(c *kad.Config) {
			c.Overlay, c.PublicKey, c.Params.K = kad.Seed, [32]byte{}, 3
			c.Networks[0] = unproven{c.Networks[0]}
		})
		for _, a := range l.clients { // who was never proven gets contacts in place of a long value
			for _, b := range l.clients {
				if a == b {
					continue
				}
				if _, err := a.Connect(t.Context(), string(b.Addresses()[0])); err != nil {
					t.Fatal(err)
				}
			}
		}
		for round := range 3 {
			key := fmt.Append(nil, round)
			if _, err := l.clients[round].PutOpaque(t.Context(), key, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(9+round) * time.Minute) // around the end of fresh proofs
			synctest.Wait()
			k, err := l.clients[0].Key(key)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range l.clients {
				begin := time.Now()
				if r, err := c.Get(t.Context(), k); err != nil || len(r.Value) != 1000 {
					t.Errorf("round %d, node %d: got %v, want the value", round, i, err)
				}
				if took := time.Since(begin); took > time.Second {
					t.Errorf("round %d, node %d: got the value after %s", round, i, took)
				}
			}
		}
	})
}
