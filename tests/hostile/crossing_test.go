package hostile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
)

// TestCrossedDialGivenUp dials a node that has dialled the peer, with the dial
// that is favoured, and gives it up after the set-up, as a Rust node does that
// saw the other one first. The node keeps its own until the favoured one has
// answered a ping: so it is left with that, and nobody hears of an end. Then the
// peer dials again and stays, and the node closes its own in silence.
//
// conforms: comms 115, 117
func TestCrossedDialGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		var secret *identity.Secret
		for i := 1; secret == nil || secret.NodeID().Compare(n.ID()) > 0; i++ {
			secret = secretOf(i)
		}
		l := listen(t, n, secret)
		first := n.enqueue(&peer{secret: secret}, "message")
		theirs := accept(t, l, secret, messaging)
		if out := first.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, want confirmed", out)
		}
		want := func(d protocol.Direction) {
			t.Helper()
			synctest.Wait()
			if ref, ok := n.Connection(secret.NodeID()); !ok || ref.Direction != d {
				t.Errorf("got connection %+v, want the %v one", ref, d)
			}
			if gone := happened[actors.PeerDisconnected](n); len(gone) > 0 {
				t.Errorf("got %v, want no word of an end", gone)
			}
		}
		want(protocol.Outbound)

		c := dial(t, n.net.Transport(), n.Addr)
		secure := shake(t, c, secret)
		if _, err := secure.Write(identityFrame(t, message(t, secret, messaging))); err != nil {
			t.Fatal(err)
		}
		if _, err := identify.Read(secure, protocol.Tari(protocol.LocalNet)); err != nil {
			t.Fatal(err)
		}
		want(protocol.Inbound)
		time.Sleep(5 * time.Second)
		if theirs.goodbyes() > 0 || theirs.ended() != nil {
			t.Error("got the end of the node's own connection before the other one was proven, want it kept")
		}
		c.Close()
		want(protocol.Outbound)
		if out := n.enqueue(&peer{secret: secret}, "one more").Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed", out)
		}

		connect(t, n.net.Transport(), n.Addr, secret, messaging)
		want(protocol.Inbound)
		if theirs.goodbyes() != 1 {
			t.Errorf("got %d GoAways on the node's own connection, want 1", theirs.goodbyes())
		}
	})
}
