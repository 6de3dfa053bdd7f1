package gamelan_test

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The defaults of every setting of messages, and what each of them leads to: the
// library has the DHT unless it is told otherwise, and plain messages in any case.
//
// conforms: comms 81
func TestMessagingSettings(t *testing.T) {
	withoutDHT := protocol.Lesson2020()
	for name, test := range map[string]struct {
		cfg   gamelan.Config
		dht   bool
		plain protocol.ID
	}{
		"nothing set":                  {gamelan.Config{}, true, protocol.PlainID},
		"an empty DHTConfig":           {gamelan.Config{DHT: &gamelan.DHTConfig{}}, true, protocol.PlainID},
		"NoDHT":                        {gamelan.Config{NoDHT: true}, false, protocol.PlainID},
		"PlainOnProfile":               {gamelan.Config{NoDHT: true, PlainOnProfile: true}, false, protocol.MessagingID},
		"PlainID":                      {gamelan.Config{PlainID: "t-plain"}, true, "t-plain"},
		"PlainID and NoDHT":            {gamelan.Config{NoDHT: true, PlainID: "t-plain"}, false, "t-plain"},
		"lesson":                       {gamelan.Config{Profile: &withoutDHT}, false, protocol.LessonMessages},
		"lesson and NoDHT":             {gamelan.Config{Profile: &withoutDHT, NoDHT: true}, false, protocol.LessonMessages},
		"lesson and PlainOnProfile":    {gamelan.Config{Profile: &withoutDHT, PlainOnProfile: true}, false, protocol.LessonMessages},
		"lesson and PlainID":           {gamelan.Config{Profile: &withoutDHT, PlainID: "t-plain"}, false, "t-plain"},
		"lesson with a DHT of its own": {gamelan.Config{Profile: &withoutDHT, DHT: &gamelan.DHTConfig{}}, true, protocol.PlainID},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				n := net.Start(test.cfg, gamelan.WithLogger(discard), gamelan.WithHandler(newEcho))
				if got := nodetest.DHT(n) != nil; got != test.dht {
					t.Errorf("DHT: got %v, want %v", got, test.dht)
				}
				if got := nodetest.Trunk(n).Plain().ID; got != test.plain {
					t.Errorf("plain messages: got %v, want %v", got, test.plain)
				}
				peer := net.Start(test.cfg, gamelan.WithLogger(discard))
				net.Connect(peer, n)
				ref, _ := peer.Connection(n.ID())
				want := map[protocol.ID]bool{
					test.plain: true, protocol.DHTMarker: test.dht,
					n.Profile().MessagingID: test.dht || test.plain == n.Profile().MessagingID,
				}
				for id, listed := range want {
					if got := ref.Accepts(id); got != listed {
						t.Errorf("%v in the identity message: got %v, want %v", id, got, listed)
					}
				}
			})
		})
	}
}

// The ids of messages belong to the node, and those that nodes know each other by
// to nobody, whatever the settings.
//
// conforms: comms 81
func TestMessagingIDsAreTaken(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		profile := protocol.Tari(protocol.LocalNet)
		reserved := []protocol.ID{profile.MessagingID, protocol.PlainID, protocol.DHTMarker, "t-plain"}
		for name, cfg := range map[string]gamelan.Config{
			"with the DHT": {PlainID: "t-plain"}, "without": {NoDHT: true, PlainID: "t-plain"},
		} {
			n := net.Start(cfg, gamelan.WithHandler(newEcho))
			for _, id := range reserved {
				if err := n.Register(t.Context(), id, newEcho); !errors.Is(err, actors.ErrProtocolTaken) {
					t.Errorf("%s, %v: got %v, want %v", name, id, err, actors.ErrProtocolTaken)
				}
				_, err := gamelan.Start(t.Context(), cfg, gamelan.WithLogger(discard), gamelan.WithProtocol(id, newEcho))
				if !errors.Is(err, actors.ErrProtocolTaken) {
					t.Errorf("%s, %v before the start: got %v, want %v", name, id, err, actors.ErrProtocolTaken)
				}
			}
		}
	})
}
