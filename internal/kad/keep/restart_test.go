package keep_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// host starts a host whose clients keep their state in db; nil: nowhere.
func host(t *testing.T, db kv.DB) *kad.Standalone {
	t.Helper()
	o := kad.StandaloneOptions{Logger: slog.New(slog.DiscardHandler)}
	if db != nil {
		o.OpenKeeper = func(c *kad.Config) (kad.Keeper, error) { return keep.New(db, c.Name, c.Overlay), nil }
	}
	h, err := kad.NewStandalone(o)
	must(t, err)
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

// begin starts a client with key number key, which enters by the addresses by.
func begin(t *testing.T, h *kad.Standalone, n kad.Network, key uint64, by []kad.Address) *kad.Client {
	t.Helper()
	c, err := kad.Start(t.Context(), h, kad.Config{
		Name: fmt.Sprintf("c%d", key), PublicKey: kad.MemoryKey(key), Networks: []kad.Network{n}, Bootstrap: by,
	})
	must(t, err)
	return c
}

// TestJoinsByKeptContacts restarts a client that has no address to enter by. It enters by its
// contacts of before; and, when none of these can be reached, by one that it had lost earlier.
//
// conforms: kad 25, 29
func TestJoinsByKeptContacts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		hub := kad.NewHub(kad.HubOptions{Delay: 10 * time.Millisecond})
		others, db := host(t, nil), kv.Memory()
		var networks []kad.Network
		var clients []*kad.Client
		var by []kad.Address
		for i := range 5 {
			n := hub.Network()
			c := begin(t, others, n, uint64(i+1), by)
			networks, clients = append(networks, n), append(clients, c)
			by = clients[0].Addresses()
		}
		h := host(t, db)
		begin(t, h, hub.Network(), 100, by)
		time.Sleep(20 * time.Minute)
		gone := clients[4].Addresses()[0]
		must(t, clients[4].Close(t.Context()))
		time.Sleep(40 * time.Minute) // contacts rest for 15 minutes, so the loss is noticed late
		must(t, h.Close(t.Context()))

		// At another address, so that it is not the others who find it.
		h = host(t, db)
		main := begin(t, h, hub.Network(), 100, nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if main.State() != kad.Ready || main.View().Len() != 4 {
			t.Fatalf("got %v with %d contacts, want ready with the 4 of before", main.State(), main.View().Len())
		}
		must(t, h.Close(t.Context()))

		begin(t, others, networks[4], 5, nil) // it knows nobody
		member := map[kad.Address]bool{}
		for _, c := range clients[:4] {
			member[c.Addresses()[0]] = true
		}
		hub.Cut(func(a, b kad.Address) bool { return member[a] != member[b] })
		h = host(t, db)
		main = begin(t, h, hub.Network(), 100, nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		known := main.Known()
		if main.State() != kad.Ready || len(known) != 1 || known[0].Contact.Addresses[0] != gone {
			t.Errorf("got %v with %v, want the contact that was lost before", main.State(), known)
		}
	})
}

// TestOfflineStartKeepsContacts starts a client whose contacts cannot be reached, and stops it.
// Started again when they can, it enters by them.
func TestOfflineStartKeepsContacts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		hub := kad.NewHub(kad.HubOptions{Delay: 10 * time.Millisecond})
		others, db := host(t, nil), kv.Memory()
		var by []kad.Address
		for i := range 3 {
			c := begin(t, others, hub.Network(), uint64(i+1), by)
			if i == 0 {
				by = c.Addresses()
			}
		}
		h := host(t, db)
		begin(t, h, hub.Network(), 100, by)
		time.Sleep(20 * time.Minute)
		must(t, h.Close(t.Context()))

		for _, offline := range []time.Duration{time.Minute, 30 * time.Minute} {
			hub.Cut(func(a, b kad.Address) bool { return true })
			h = host(t, db)
			main := begin(t, h, hub.Network(), 100, nil)
			time.Sleep(offline)
			synctest.Wait()
			if main.State() == kad.Ready {
				t.Fatal("got ready without a network")
			}
			must(t, h.Close(t.Context()))
			hub.Cut(nil)
			h = host(t, db)
			main = begin(t, h, hub.Network(), 100, nil)
			time.Sleep(time.Minute)
			synctest.Wait()
			if main.State() != kad.Ready {
				t.Errorf("after a start without a network of %v: got %v, want ready by the contacts of before", offline, main.State())
			}
			must(t, h.Close(t.Context()))
		}
	})
}

// TestPublishesAgainAfterRestarts follows a publication for two days. It is published again
// after 12 hours, more or less a tenth, also if the client was restarted meanwhile, and soon
// after the start if it was due while the client did not run.
//
// conforms: kad 48
func TestPublishesAgainAfterRestarts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const least, most = 12*time.Hour - 12*time.Hour/10, 12*time.Hour + 12*time.Hour/10
		hub := kad.NewHub(kad.HubOptions{Delay: 10 * time.Millisecond})
		other := begin(t, host(t, nil), hub.Network(), 1, nil)
		db, n := kv.Memory(), hub.Network()
		h := host(t, db)
		main := begin(t, h, n, 100, other.Addresses())
		time.Sleep(time.Minute)
		if _, err := main.Put(t.Context(), []byte("value")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		due := func() time.Time {
			t.Helper()
			own, err := main.Own(t.Context())
			if err != nil || len(own) != 1 {
				t.Fatalf("got %v, %v, want the publication", own, err)
			}
			return own[0].Due
		}
		restart := func(away time.Duration) {
			t.Helper()
			must(t, h.Close(t.Context()))
			time.Sleep(away)
			h = host(t, db)
			main = begin(t, h, n, 100, other.Addresses())
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		first := due()
		if after := time.Until(first); after < least-time.Minute || after > most {
			t.Fatalf("got the next publication in %v, want 12 h ± 10 %%", after)
		}
		restart(3 * time.Hour)
		if d := due().Sub(first).Abs(); d > time.Minute || main.Stats().Published != 0 {
			t.Errorf("got it due %v off, published %d times, want as before the restart", d, main.Stats().Published)
		}
		time.Sleep(time.Until(first) + time.Minute)
		synctest.Wait()
		if n := main.Stats().Published; n != 1 {
			t.Errorf("got %d publications when one was due, want 1", n)
		}
		if after := due().Sub(first); after < least || after > most+2*time.Minute {
			t.Errorf("got the next publication %v after that, want 12 h ± 10 %%", after)
		}
		restart(30 * time.Hour)
		if n := main.Stats().Published; n != 1 {
			t.Errorf("got %d publications within a minute after the restart, want the one that was due", n)
		}
	})
}

// TestKeptContactsAreJudged starts a client with kept contacts, more than it needs to enter the
// network. Those that it has not tried stay on the disk after it has joined; when each was tried,
// those remain that answer.
//
// conforms: kad 29
func TestKeptContactsAreJudged(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		hub := kad.NewHub(kad.HubOptions{Delay: 10 * time.Millisecond})
		others, db := host(t, nil), kv.Memory()
		var by []kad.Address
		var contacts []kad.KeptContact
		add := func(key uint64, at []kad.Address) {
			c := kad.Contact{ID: overlay.NodeID(kad.MemoryKey(key)), PublicKey: kad.MemoryKey(key), Addresses: at}
			contacts = append(contacts, kad.KeptContact{Contact: c, Since: time.Now(), Answered: time.Now()})
		}
		for key := range uint64(20) {
			c := begin(t, others, hub.Network(), key+1, by)
			by = c.Addresses()
			add(key+1, by)
		}
		for key := range uint64(60) {
			add(1000+key, []kad.Address{kad.Address(fmt.Sprintf("/memory/%d", 1000+key))})
		}
		keeper := keep.New(db, "c100", kad.Native)
		must(t, keeper.SaveContacts(t.Context(), contacts, nil))
		kept := func() (alive, silent int) {
			k, err := keep.New(db, "c100", kad.Native).Load(t.Context())
			must(t, err)
			for _, c := range k.Contacts {
				if len(c.Contact.Addresses[0]) < len("/memory/1000") {
					alive++
				} else {
					silent++
				}
			}
			return alive, silent
		}
		c := begin(t, host(t, db), hub.Network(), 100, nil)
		time.Sleep(45 * time.Second) // contacts are written every 30 s
		synctest.Wait()
		if alive, silent := kept(); c.State() != kad.Ready || alive != 20 || silent < 20 {
			t.Errorf("got %d and %d contacts that answer and do not, %v, want all that were not tried", alive, silent, c.State())
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if alive, silent := kept(); alive != 20 || silent != 0 {
			t.Errorf("got %d and %d contacts that answer and do not, want 20 and none", alive, silent)
		}
	})
}
