package hostile

import (
	"io"
	"testing"
	"testing/synctest"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestRefusedBeforeTheKey: a node remembers what it has refused from an address before the key was known, and why of that address, and of a
// peer with that address, says it. A node of no private network remembers it as well.
func TestRefusedBeforeTheKey(t *testing.T) {
	sourced(t, gamelan.Config{}, func(t *testing.T, n *target, tr *placed) {
		tr.place("/ip4/6.6.6.6")
		for range 3 {
			c := rawDial(t, n.net.Transport(), n.Addr)
			if _, err := c.Write([]byte{wireByte + 1}); err != nil { // of another network
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, c)
			synctest.Wait()
		}
		peer := secretOf(1)
		if err := n.Peers().Add(t.Context(), peerstore.Peer{
			Key: peer.PublicKey(), Features: identity.FeatureNode, Addresses: []peerstore.Address{{Addr: ma.StringCast("/ip4/6.6.6.6/tcp/18189"), Source: peerstore.Config}},
		}); err != nil {
			t.Fatal(err)
		}
		why := control.Actions(n.Node.Node, control.Options{}).Peers["why"]
		for _, of := range []string{"6.6.6.6", peer.NodeID().String()} {
			got, err := why.Do(t.Context(), of, nil)
			w, ok := got.(models.Why)
			if err != nil || !ok || len(w.Refused) != 1 || w.Refused[0].Code != "other_network" || w.Refused[0].Count != 3 || w.Refused[0].Why != "of another network" {
				t.Errorf("%s: got %+v, %v, want three connections of another network", of, w.Refused, err)
			}
			if of == "6.6.6.6" && (len(w.Peers) != 1 || w.Peers[0] != peer.NodeID().String()) {
				t.Errorf("got the peers %q there, want the one", w.Peers)
			}
		}
		got, err := why.Do(t.Context(), "7.7.7.7", nil)
		if w, ok := got.(models.Why); err != nil || !ok || len(w.Refused) > 0 || len(w.Peers) > 0 {
			t.Errorf("another address: got %+v, %v, want nothing", got, err)
		}
	})
}
