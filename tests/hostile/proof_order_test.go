package hostile

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// header returns a frame of the multiplexer without a body.
func header(kind byte, flags uint16, id, length uint32) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	return binary.BigEndian.AppendUint32(b, length)
}

// lastPing returns the number of the node's last ping.
func (p *peer) lastPing() (id uint32) {
	for _, f := range p.received() {
		if f.kind == kindPing && f.flags&syn != 0 {
			id = f.length
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
		"reset":                    {kindData, rst},
		"window update with reset": {kindWindow, rst},
		"end":                      {kindData, fin},
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
						p.silence(true)
						m := n.enqueue(p, fmt.Sprint(round))
						synctest.Wait()
						ids := p.opened()
						p.silence(false)
						p.write.Lock()
						_, err := p.conn.Write(append(header(end.kind, end.flags, ids[len(ids)-1], 0), header(kindPing, ack, 0, p.lastPing())...))
						p.write.Unlock()
						p.must(err)
						if out := m.Wait(t.Context()); out.Kind != protocol.InDoubt {
							t.Fatalf("round %d: got %v of a message whose substream had ended before the pong, want in doubt", round, out)
						}
						p.forget()
					}
				}
			})
		})
	}
}
