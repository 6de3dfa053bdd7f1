package kad_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// inTable reports whether a node that the test plays is in the routing table.
func inTable(c *kad.Client, peer uint64) bool {
	return slices.ContainsFunc(c.Known(), func(k kad.Known) bool { return k.Contact.ID == handContact(peer).ID })
}

// A node that another one names enters the table when it has answered, and not before; it is
// then named to others.
//
// conforms: kad 22
func TestNamedContactsEnterWhenTheyAnswer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const teller, answers, silent = 11, 12, 13
		n := &byHand{limits: kad.Limits{Private: true}}
		n.reply = func(to kad.Address, m *kad.Message) (a kad.Message, ok bool) {
			if to == handAddress(teller) && m.Verb == overlay.FindNode {
				a.Contacts = []kad.Contact{handContact(answers), handContact(silent)}
			}
			return a, to != handAddress(silent)
		}
		c := limited(t, n, kad.StandaloneOptions{})
		if _, err := c.ConnectTo(t.Context(), handContact(teller)); err != nil {
			t.Fatal(err)
		}
		for _, after := range []time.Duration{200 * time.Millisecond, time.Minute} {
			time.Sleep(after)
			synctest.Wait()
			if !inTable(c, teller) || !inTable(c, answers) || inTable(c, silent) {
				t.Errorf("got %v, %v and %v in the table, want all that have answered", inTable(c, teller), inTable(c, answers), inTable(c, silent))
			}
		}
		list := n.ask(t, 14, "", kad.Message{Verb: overlay.FindNode, Target: handContact(silent).ID})
		if len(list) != 1 || len(list[0].Contacts) == 0 ||
			slices.ContainsFunc(list[0].Contacts, func(x kad.Contact) bool { return x.ID == handContact(silent).ID }) {
			t.Errorf("got %v, want the nodes that have answered", list)
		}
	})
}

// While the first search for its own id is under way, a client gives nodes that asked it no
// main place, even if they answer.
//
// conforms: kad 23
func TestNoPlaceBeforeTheFirstSearch(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const first, asks = 11, 12
		n := &byHand{limits: kad.Limits{Private: true}}
		slow := false // the first node keeps the search for the own id waiting; under n.mu
		n.reply = func(to kad.Address, m *kad.Message) (a kad.Message, ok bool) {
			if to != handAddress(first) || m.Verb != overlay.FindNode {
				return a, true
			}
			ok, slow = !slow, true
			return a, ok
		}
		c := limited(t, n, kad.StandaloneOptions{})
		if _, err := c.ConnectTo(t.Context(), handContact(first)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n.ask(t, asks, "", kad.Message{Verb: overlay.Ping})
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if c.State() != kad.Bootstrapping || !inTable(c, first) || inTable(c, asks) {
			t.Errorf("%v: got the first one in the table %v, who asked %v, want only the first", c.State(), inTable(c, first), inTable(c, asks))
		}
		n.mu.Lock()
		n.reply = func(kad.Address, *kad.Message) (a kad.Message, ok bool) { return a, true }
		n.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.State() != kad.Ready || !inTable(c, asks) {
			t.Errorf("%v: got who asked in the table %v, want it after the search", c.State(), inTable(c, asks))
		}
	})
}

// A client that knows 40 nodes nearer to a key refuses its record, and names some of them.
// One that knows fewer stores it.
//
// conforms: kad 46
func TestRecordsForOthers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := &byHand{limits: kad.Limits{Private: true}}
		n.reply = func(kad.Address, *kad.Message) (a kad.Message, ok bool) { return a, true }
		c := limited(t, n, kad.StandaloneOptions{})
		for i := range 250 {
			n.ask(t, uint64(100+i), "", kad.Message{Verb: overlay.Ping})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		found := map[bool]bool{}
		for i := 0; i < 1000 && len(found) < 2; i++ {
			value := fmt.Appendf(nil, "value %d", i)
			r := &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey(value), Value: value}
			far := c.View().Nearer(time.Now(), r.Key, values.NotCloseAt) >= values.NotCloseAt
			if found[far] {
				continue
			}
			found[far] = true
			list := n.ask(t, 50, "", kad.Message{Verb: overlay.Store, Record: r})
			if len(list) != 1 {
				t.Fatalf("got %d answers, want one", len(list))
			}
			a := list[0]
			switch {
			case !far && a.Status != overlay.OK:
				t.Errorf("got %v for a key with few nearer nodes, want %v", a.Status, overlay.OK)
			case far && (a.Status != overlay.NotClose || len(a.Contacts) != 20):
				t.Errorf("got %v and %d contacts, want %v and the 20 nearest", a.Status, len(a.Contacts), overlay.NotClose)
			}
			for _, x := range a.Contacts {
				if r.Key.CompareDistance(x.ID, c.ID()) >= 0 {
					t.Errorf("got %s, which is farther than the client", x.ID.Short())
				}
			}
		}
		if len(found) < 2 {
			t.Fatalf("got keys of one kind only: %v with %d contacts", found, c.View().Len())
		}
		if s := c.Status(t.Context()); s.Records != 1 {
			t.Errorf("got %d records stored, want 1", s.Records)
		}
	})
}
