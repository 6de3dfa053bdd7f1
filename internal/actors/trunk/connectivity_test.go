package trunk_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestLossThatOvertakesItsDial has connectivity hear of the end of a connection
// before the dialer's answer that there is one: senders have no common order.
func TestLossThatOvertakesItsDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, map[string]func(*trunk.Rooms) actor.Actor{"connectivity": trunk.NewConnectivity})
		peer := identity.NodeID{1}
		ref := &actors.ConnRef{ID: 1, Peer: peer}
		dials := func() int { return count[dialling.DialPeer](s.heard["dialer"]) }

		s.tell(s.Base.Connectivity, connectivity.ProtectPeer{Peer: peer, Tag: "test"})
		if got := dials(); got != 1 {
			t.Fatalf("wanted: got %d dials, want 1", got)
		}
		s.tell(s.Conns, publish{actors.PeerConnected{Peer: peer, Conn: ref}})
		s.tell(s.Conns, publish{actors.PeerDisconnected{Peer: peer, Conn: ref}})
		s.tell(s.Base.Connectivity, dialling.PeerDialed{Peer: peer, Conn: ref})
		time.Sleep(10 * time.Second)
		if got := dials(); got != 2 {
			t.Errorf("got %d dials, want a second one", got)
		}
	})
}

// TestStatusBeforeTheEvent asks for the status between the entry of a connection in the
// directory and its event: the state agrees with the count, and the change is still
// published with the event.
func TestStatusBeforeTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []actors.Status
		s := play(t, map[string]func(*trunk.Rooms) actor.Actor{
			"connectivity": trunk.NewConnectivity,
			"extensions": func(*trunk.Rooms) actor.Actor {
				return actor.ReceiveFunc(func(c actor.Context) {
					switch m := c.Message().(type) {
					case *actor.Started:
						supervisor.Subscribe[actors.StatusChanged](c)
					case actors.StatusChanged:
						changes = append(changes, m.Status)
					case supervisor.Drain:
						c.Respond(supervisor.Drained{From: c.Self()})
					}
				})
			},
		})
		peer := identity.NodeID{1}
		ref := &actors.ConnRef{ID: 1, Peer: peer, Features: identity.FeatureNode}
		synctest.Wait()
		changes = nil // offline, from the start
		s.Connections.Set(peer, ref)
		r, err := supervisor.Ask[actors.Status](t.Context(), s.System, s.Base.Connectivity, connectivity.GetStatus{})
		if err != nil || r.State != "online" || r.Nodes != 1 || strings.Contains(r.Cause, "nobody") {
			t.Errorf("got %+v and %v, want online with one node", r, err)
		}
		if len(changes) > 0 {
			t.Errorf("got %+v published before the event", changes)
		}
		s.tell(s.Conns, publish{actors.PeerConnected{Peer: peer, Conn: ref}})
		if len(changes) != 1 || changes[0].State != "online" {
			t.Errorf("got %+v published, want online once", changes)
		}
	})
}

// TestDialsOfAWantedPeer are repeated less and less often, until nobody wants
// it.
func TestDialsOfAWantedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, map[string]func(*trunk.Rooms) actor.Actor{"connectivity": trunk.NewConnectivity})
		peer := identity.NodeID{1}
		dials := func() int { return count[dialling.DialPeer](s.heard["dialer"]) }
		s.tell(s.Base.Connectivity, connectivity.ProtectPeer{Peer: peer, Tag: "one"})
		s.tell(s.Base.Connectivity, connectivity.ProtectPeer{Peer: peer, Tag: "two"})
		began := time.Now()
		for n := 1; n <= 12; n++ {
			if got := dials(); got != n {
				t.Fatalf("got %d dials after %v, want %d", got, time.Since(began), n)
			}
			s.tell(s.Base.Connectivity, dialling.PeerDialed{Peer: peer, Err: actors.ErrNoAddress})
			last := time.Now()
			due, _ := s.Rooms.Connectivity.Redials.Get(peer)
			for dials() == n && time.Since(last) < 2*time.Minute {
				time.Sleep(100 * time.Millisecond)
			}
			wait, most := time.Since(last), min(time.Second<<n, time.Minute)
			if late := last.Add(wait).Sub(due); late < 0 || late > 100*time.Millisecond {
				t.Errorf("after failure %d: got the next dial announced for %v, want %v", n, due, last.Add(wait))
			}
			if wait < most/2 || wait > most+100*time.Millisecond {
				t.Errorf("after failure %d: got a wait of %v, want %v to %v", n, wait, most/2, most)
			}
		}
		s.tell(s.Base.Connectivity, connectivity.UnprotectPeer{Peer: peer, Tag: "one"})
		s.tell(s.Base.Connectivity, dialling.PeerDialed{Peer: peer, Err: actors.ErrNoAddress})
		s.tell(s.Base.Connectivity, connectivity.UnprotectPeer{Peer: peer, Tag: "two"})
		if due, ok := s.Rooms.Connectivity.Redials.Get(peer); ok {
			t.Errorf("released: got a dial announced for %v, want none", due)
		}
		before := dials()
		time.Sleep(time.Hour)
		if got := dials() - before; got != 0 {
			t.Errorf("released: got %d dials, want none", got)
		}
	})
}

// TestCauseIsTheNewest has the status name the newest incident with its age, and
// none that a connection has made up for.
func TestCauseIsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, map[string]func(*trunk.Rooms) actor.Actor{"connectivity": trunk.NewConnectivity})
		peer, other := identity.NodeID{1}, identity.NodeID{2}
		ref := &actors.ConnRef{ID: 1, Peer: peer}
		cause := func() string {
			t.Helper()
			r, err := supervisor.Ask[actors.Status](t.Context(), s.System, s.Base.Connectivity, connectivity.GetStatus{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Cause
		}
		want := func(said, silent string) {
			t.Helper()
			if got := cause(); said != "" && !strings.Contains(got, said) || silent != "" && strings.Contains(got, silent) {
				t.Errorf("got %q, want %q and not %q", got, said, silent)
			}
		}
		failed := actors.DialFailed{Peer: other, Err: errors.New("old trouble")}
		s.tell(s.Dialer, publish{failed})
		time.Sleep(4 * time.Minute)
		want("the last dial failed 4m ago: old trouble", "")
		s.tell(s.Conns, publish{actors.PeerConnected{Peer: peer, Conn: ref}})
		want("", "old trouble")
		s.tell(s.Conns, publish{actors.PeerDisconnected{Peer: peer, Conn: ref, Reason: actors.CloseReason{Code: actors.CloseEnded, By: "peer"}}})
		time.Sleep(5 * time.Second)
		want(" ended 5s ago: ended by peer", "old trouble")
		s.tell(s.Dialer, publish{failed})
		want("the last dial failed 0s ago: old trouble", "ended by peer")
		s.tell(s.Conns, publish{actors.PeerConnected{Peer: peer, Conn: ref}})
		want("", " ago: ")
	})
}
