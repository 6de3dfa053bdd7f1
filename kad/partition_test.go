package kad_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Two halves of a network that could not reach each other for two hours are one 20 minutes
// after they can, although nobody has an address to enter by: all find what is published in
// the other half.
//
// conforms: kad 25
func TestHalvesMeetAgain(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{Delay: 10 * time.Millisecond}, kad.StandaloneOptions{})
		half := map[kad.Address]bool{}
		for i := range 12 {
			c := l.add(func(c *kad.Config) { c.Bootstrap = nil })
			half[c.Addresses()[0]] = i%2 == 0
			if i > 0 {
				if _, err := c.Connect(t.Context(), string(l.clients[0].Addresses()[0])); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(15 * time.Minute)
		l.hub.Cut(func(a, b kad.Address) bool { return half[a] != half[b] })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for _, c := range l.clients {
			if n := c.View().Len(); n > 5 {
				t.Fatalf("%s: got %d contacts, want those of its own half", c.Name(), n)
			}
		}
		l.hub.Cut(nil)
		time.Sleep(20 * time.Minute)
		for i, c := range l.clients[:2] { // one of each half
			r, err := c.Put(t.Context(), fmt.Appendf(nil, "of half %d", i))
			if err != nil {
				t.Fatal(err)
			}
			if r.Accepted != 11 {
				t.Errorf("half %d: got %d holders, want all 11 others", i, r.Accepted)
			}
			for _, other := range l.clients {
				l.get(other, r.Key, fmt.Sprintf("of half %d", i))
			}
		}
	})
}

// Holders store a record again while it lives, about one of them in an hour, since the others
// see that it was stored. All of them drop it at the end of its life: they ask for no more
// than what remains.
//
// conforms: kad 49
func TestHoldersDoNotProlong(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 12, kad.StandaloneOptions{}, nil)
		r, err := record.Immutable([]byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		sys, c := l.host.System(), l.clients[0]
		const life = 150 * time.Minute
		put, err := supervisor.Ask[*kad.PutReply](t.Context(), sys, sys.NewLocalPID(c.PID().Id+"/lookups"), kad.StartPut{Token: 1 << 40, Record: r, TTL: life})
		if err != nil || put.Report.Accepted != 11 {
			t.Fatalf("got %+v, %v, want 11 holders", put, err)
		}
		counts := func() (held int, replicated uint64) {
			for _, c := range l.clients {
				s := c.Status(t.Context())
				held, replicated = held+s.Records, replicated+s.Replicated
			}
			return held, replicated
		}
		time.Sleep(life - time.Minute)
		if held, replicated := counts(); held < 11 || replicated == 0 || replicated > 11 {
			t.Errorf("got %d copies, stored again %d times, want at least 11 copies, and few times", held, replicated)
		}
		time.Sleep(2 * time.Minute)
		if held, _ := counts(); held != 0 {
			t.Errorf("got %d copies after the end of the record, want none", held)
		}
	})
}
