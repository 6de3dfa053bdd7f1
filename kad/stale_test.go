package kad_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
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

// Most of the nodes that others name have left, and a key has no value. A lookup waits for each of
// the nearest, 2α at a time, for ten seconds in the first minute after the first contact and for
// three later. A value that exists waits for none of them.
func TestMissingKeyBesideStaleContacts(t *testing.T) {
	const left, alpha = 20, 4
	gamelantest.Bubble(t, func(t *testing.T) {
		seed := func(c *kad.Config) {
			c.Overlay, c.PublicKey, c.Params.Alpha = kad.Seed, [32]byte{}, alpha
			c.Networks[0] = unproven{c.Networks[0]}
		}
		l := network(t, 2+left, kad.StandaloneOptions{}, seed)
		gone := map[kad.Address]bool{}
		for _, c := range l.clients[2:] {
			gone[c.Addresses()[0]] = true
		}
		l.hub.Cut(func(a, b kad.Address) bool { return gone[a] || gone[b] })
		if _, err := l.clients[0].PutOpaque(t.Context(), []byte("key"), []byte("value")); err != nil && !errors.Is(err, kad.ErrIsolated) {
			t.Fatal(err)
		}
		found, err := l.clients[0].Key([]byte("key"))
		if err != nil {
			t.Fatal(err)
		}
		c := l.add(seed)
		time.Sleep(time.Second)
		began := time.Now()
		l.get(c, found, "value")
		if took := time.Since(began); took > time.Second {
			t.Errorf("a value that exists: got it after %v, want it at once", took)
		}
		for _, hard := range []time.Duration{10 * time.Second, 3 * time.Second} {
			began := time.Now()
			_, err := c.Get(t.Context(), kad.Key{1})
			limit := (left+2*alpha-1)/(2*alpha)*hard + time.Second
			if took := time.Since(began); !errors.Is(err, kad.ErrNotFound) || took > limit {
				t.Errorf("a missing key: got %v after %v, want ErrNotFound within %v", err, took, limit)
			}
			for i := range byte(16) { // asks those that are far from the key, too
				if _, err := c.Get(t.Context(), kad.Key{2, i << 4}); !errors.Is(err, kad.ErrNotFound) {
					t.Errorf("another missing key: got %v, want ErrNotFound", err)
				}
			}
			time.Sleep(time.Minute) // no contact is new any more
		}
	})
}
