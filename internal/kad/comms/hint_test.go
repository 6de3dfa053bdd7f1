package comms

import (
	"crypto/rand"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// connected is a trunk with one connection, or none.
type connected struct {
	Trunk
	conn *actors.ConnRef
}

func (t connected) Connection(peer identity.NodeID) (*actors.ConnRef, bool) {
	return t.conn, t.conn != nil && t.conn.Key.NodeID() == peer
}

// TestHintAfterTheDisconnect gives hints of a connection that is, of one that has ended, and of an
// earlier one of the same peer. Only the first is kept: nothing would take the others away.
func TestHintAfterTheDisconnect(t *testing.T) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := secret.PublicKey()
	here := &actors.ConnRef{ID: 7, Key: key}
	for _, c := range []struct {
		name string
		conn *actors.ConnRef
		hint uint64
		want bool
	}{{"connected", here, 7, true}, {"an earlier connection", here, 6, false}, {"no connection", nil, 7, false}} {
		l := &link{n: &Network{trunk: connected{conn: c.conn}}, hints: make(map[identity.PublicKey]uint64)}
		l.hint(key, c.hint)
		if _, ok := l.hints[key]; ok != c.want {
			t.Errorf("%s: got the hint kept %t, want %t", c.name, ok, c.want)
		}
	}
}
