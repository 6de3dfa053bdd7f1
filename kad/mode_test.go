package kad_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// A client in client mode serves nobody and is in no table, but finds what others store. The
// mode changes without a restart, both ways.
//
// conforms: kad 57
func TestClientMode(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 8, kad.StandaloneOptions{}, nil)
		c := l.add(func(c *kad.Config) { c.Mode = kad.ClientOnly })
		report, err := l.clients[2].Put(t.Context(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		listed := func() (n int) {
			for _, other := range l.clients[:8] {
				if other.View().Find(c.ID()) != nil {
					n++
				}
				contacts, err := other.Closest(t.Context(), c.ID())
				if err != nil {
					t.Error(err)
				}
				for _, who := range contacts {
					if who.ID == c.ID() {
						n++
					}
				}
			}
			return n
		}
		served := func() (n uint64) {
			for _, r := range c.Stats().Requests {
				n += r.Served
			}
			return n
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		l.get(c, report.Key, "hello")
		if n, s := listed(), served(); n != 0 || s != 0 {
			t.Errorf("got a client that is listed %d times and has served %d requests", n, s)
		}
		if n := c.Stats().ClientMode; n != 0 {
			t.Errorf("got %d requests to a client that says that it serves nobody", n)
		}
		if err := c.SetMode(t.Context(), kad.Server); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if n, s := listed(), served(); n < 8 || s == 0 {
			t.Errorf("got a server that is listed %d times and has served %d requests", n, s)
		}
		if err := c.SetMode(t.Context(), kad.ClientOnly); err != nil {
			t.Fatal(err)
		}
		before := served()
		time.Sleep(2 * time.Hour)
		if n, s := listed(), served(); n != 0 || s != before {
			t.Errorf("got a client again that is listed %d times and has served %d requests", n, s-before)
		}
		if i := l.info(c, "/gateways/0"); i.Incarnation != 1 {
			t.Errorf("got incarnation %d of the gateway, want the first", i.Incarnation)
		}
		l.get(c, report.Key, "hello")
	})
}
