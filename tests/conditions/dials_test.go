package conditions

import (
	"context"
	"io"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// wantFound checks what the doctor of a node finds on the way to a peer, and that it says what to do.
func wantFound(t *testing.T, what string, n *gamelantest.Node, peer string, c *codes.Code) {
	t.Helper()
	end, err := n.Inspection().Examine(t.Context(), peer, func(models.Checked) {})
	switch {
	case err != nil:
		t.Errorf("%s: %v", what, err)
	case end.Cause == nil || end.Cause.Code != c.Name || end.Cause.Step == "":
		t.Errorf("%s: got %+v, want %s and what to do", what, end, c.Name)
	}
}

// answering listens at an address of the network and gives each connection to answer.
func answering(t *testing.T, net *gamelantest.Network, at string, answer func(io.ReadWriteCloser)) {
	t.Helper()
	l, err := net.Transport().Listen(context.Background(), ma.StringCast(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go answer(c)
		}
	}()
}

// TestBubbleWhatAnswers: at the address of a peer is something that is no node, or says nothing.
func TestBubbleWhatAnswers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		key := gamelantest.Secret(77).PublicKey().String()
		answering(t, net, "/memory/500", func(c io.ReadWriteCloser) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request")
		})
		wantFound(t, "a web server", n, key+"::/memory/500", codes.DialForeign)
		answering(t, net, "/memory/501", func(c io.ReadWriteCloser) { _, _ = io.Copy(io.Discard, c) })
		wantFound(t, "somebody mute", n, key+"::/memory/501", codes.DialMute)
	})
}

// TestBubbleNoAddress: a peer is known, and no address of it.
func TestBubbleNoAddress(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		key := gamelantest.Secret(77).PublicKey()
		if err := n.Peers().Add(t.Context(), peerstore.Peer{Key: key, Features: identity.FeatureNode}); err != nil {
			t.Fatal(err)
		}
		wantFound(t, "a key alone", n, key.String(), codes.DialNoAddress)
	})
}
