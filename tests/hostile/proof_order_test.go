package hostile

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// lastPing returns the number of the node's last ping.
func (p *peer) lastPing() (id uint32) {
	for _, f := range p.Frames() {
		if f.Has(rawpeer.TypePing, rawpeer.SYN) {
			id = f.Length()
		}
	}
	return id
}

// TestResetBeforePong: the peer resets or ends the messaging substream and then answers the
// ping behind a message, in one write. The message is never confirmed, whichever of the two
// facts the session hears first.
//
// conforms: comms 147
func TestResetBeforePong(t *testing.T) {
	for name, end := range map[string]struct {
		kind  byte
		flags uint16
	}{
		"reset":                    {rawpeer.TypeData, rawpeer.RST},
		"window update with reset": {rawpeer.TypeWindow, rawpeer.RST},
		"end":                      {rawpeer.TypeData, rawpeer.FIN},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := start(t, gamelan.Config{})
				for number := range 20 {
					p := connect(t, n.net.Transport(), n.Addr, secretOf(number), messaging)
					synctest.Wait()
					for round := range 100 {
						if out := n.enqueue(p, "read").Wait(t.Context()); out.Kind != protocol.Confirmed {
							t.Fatalf("round %d: got %v, want confirmed", round, out)
						}
						p.Mute(true)
						m := n.enqueue(p, fmt.Sprint(round))
						synctest.Wait()
						ids := p.Opened()
						p.Mute(false)
						b := rawpeer.AppendHeader(nil, end.kind, end.flags, ids[len(ids)-1], 0)
						_, err := p.Write(rawpeer.AppendHeader(b, rawpeer.TypePing, rawpeer.ACK, 0, p.lastPing()))
						p.must(err)
						if out := m.Wait(t.Context()); out.Kind != protocol.InDoubt {
							t.Fatalf("round %d: got %v of a message whose substream had ended before the pong, want in doubt", round, out)
						}
					}
				}
			})
		})
	}
}
