package kit

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// StoreFor sends an encrypted message to somebody who may be away, and returns the report.
func StoreFor(t *testing.T, from Member, to identity.PublicKey, body string) dht.Report {
	t.Helper()
	r := Send(t, from, dht.Message{To: dht.StoreFor{To: to}, Type: TextType, Encrypt: true, Body: []byte(body)})
	synctest.Wait() // a confirmed message was read by the server; whoever connects before it is judged gets it directly
	return r
}

// Asking returns a network whose nodes ask for stored messages whenever they connect.
func Asking(t *testing.T) *gamelantest.Network {
	net := gamelantest.NewNetwork(t)
	net.Quiet = false
	return net
}

// StoredLetters returns n different bodies, in order.
func StoredLetters(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("letter %02d", i))
	}
	return list
}

// WantStored checks how many messages a member stores for others.
func WantStored(t *testing.T, what string, m Member, want int) models.StoreForwardServer {
	t.Helper()
	s := m.DHT().StoreForward(t.Context())
	if s.Server == nil || s.Server.Messages != want {
		t.Fatalf("%s: got %+v stored, want %d", what, s.Server, want)
	}
	return *s.Server
}

// ErrWithheld is why a layer of a test stops a message.
var ErrWithheld = errors.New("withheld by the test")

// StartResponder starts a node that answers each request for stored messages with what
// respond returns for it, counted from 0; nil is no answer.
func StartResponder(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, respond func(n int) *wire.Envelope) *gamelantest.Node {
	asked := make(chan struct{}, 1000)
	layer := func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			if m.Envelope.Header.Type != wire.TypeStoredRequest {
				return next(m)
			}
			asked <- struct{}{}
			return dht.Verdict{Reason: dht.Stopped, Err: ErrWithheld}
		}
	}
	s := net.Start(gamelan.Config{
		StoreForward: gamelan.StoreForwardConfig{NoRequests: true},
	}, Quiet, gamelan.WithLayer(dht.BeforeVerify, layer))
	go func() {
		for n := 0; ; n++ {
			select {
			case <-t.Context().Done():
				return
			case <-asked:
				if e := respond(n); e != nil {
					PostBytes(t, s, to, e.Append(nil))
				}
			}
		}
	}()
	return s
}
