package actors_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
)

// first is the first message of its type that the fake has heard.
func first[T any](t *testing.T, r *record) (m T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, heard := range r.messages {
		if m, ok := heard.(T); ok {
			return m
		}
	}
	t.Fatalf("got no %T, want one", m)
	return m
}

// TestSecondDialIsCancelled has the connection end on which a session was to be
// opened, and the caller go while another one is dialled.
func TestSecondDialIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, map[string]func(*actors.Env) actor.Actor{"services": actors.NewServices})
		key := actors.RPCKey{Peer: s.introduce(t, 1), Protocol: "service/1"}
		var gone atomic.Bool
		s.System.Root.RequestWithCustomSender(s.RPCClient, actors.AcquireSession{Key: key, Gone: gone.Load}, s.Extensions)
		synctest.Wait()
		dial := first[actors.DialPeer](t, s.heard["dialer"])
		ref := &actors.ConnRef{ID: 1, Peer: key.Peer, PID: s.Conns}
		s.tell(s.RPCClient, actors.PeerDialed{Token: dial.Token, Peer: key.Peer, Conn: ref})
		s.tell(s.RPCClient, actors.SubstreamFailed{Token: dial.Token, Err: actors.ErrConnectionClosed, ConnectionLost: true})
		if got := count[actors.DialPeer](s.heard["dialer"]); got != 2 {
			t.Fatalf("got %d dials after the connection was lost, want 2", got)
		}
		gone.Store(true)
		s.tell(s.RPCClient, actors.SessionUnwanted{Key: key})
		if got := count[actors.CancelDial](s.heard["dialer"]); got != 1 {
			t.Errorf("got %d dials cancelled after the caller has gone, want 1", got)
		}
	})
}
