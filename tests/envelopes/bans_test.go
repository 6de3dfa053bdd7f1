package envelopes

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleDHTBans sends a node every kind of bad message from a peer that can
// send any bytes. For each offence that a peer could have seen it is banned for
// as long as the table says and disconnected; for all others it is not.
//
// conforms: dht 5, 9, 10, 30, 35, 38-45, 49, 69, 75, 136, 144
func TestBubbleDHTBans(t *testing.T) {
	origin, other := gamelantest.Secret(70), gamelantest.Secret(71)
	var node, peer identity.PublicKey // of the one that is tested, and of the sender
	notAPoint := bytes.Repeat([]byte{0xff}, 32)
	sealed := func(t *testing.T) wire.Envelope {
		return kit.Forged{From: origin, To: wire.To(node), Sealed: true}.Compose(t)
	}
	passing := func(t *testing.T) wire.Envelope {
		return kit.Forged{From: origin, To: wire.To(other.PublicKey()), Sealed: true}.Compose(t)
	}
	signed := func(t *testing.T) wire.Envelope { return kit.Forged{From: origin, Signed: true}.Compose(t) }
	clear := func(t *testing.T) wire.Envelope { return kit.Forged{From: origin}.Compose(t) }
	badPing := wire.AppendBody(nil, wire.DomainHeader{Type: dht.TypePing}.Append(nil), []byte{0xff})
	itself := gamelantest.Secret(72) // the sender's

	for _, test := range []struct {
		name      string
		make      func(*testing.T) wire.Envelope
		change    func(*wire.Envelope)
		bytes     func(b []byte) []byte
		ban       time.Duration
		delivered bool
	}{
		{name: "clear", make: clear, delivered: true},
		{name: "clear of version 1", make: clear, change: func(e *wire.Envelope) { e.Header.Version = 1 }, delivered: true},
		{name: "clear for somebody else", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, To: wire.To(other.PublicKey())}.Compose(t)
		}, delivered: true},
		{name: "signed", make: signed, delivered: true},
		{name: "encrypted", make: sealed, delivered: true},
		{name: "another tag", make: signed, change: func(e *wire.Envelope) { e.Header.Tag++ }, delivered: true},
		{name: "expires far in the future", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Expires: 100 * 365 * 24 * time.Hour}.Compose(t)
		}, delivered: true},

		{name: "no envelope", make: clear, bytes: func([]byte) []byte { return []byte("hello") }},
		{name: "half an envelope", make: clear, bytes: func(b []byte) []byte { return b[:len(b)/2] }},
		{name: "empty", make: clear, bytes: func([]byte) []byte { return nil }},
		{name: "no header", make: clear, bytes: func([]byte) []byte { return []byte{0x12, 1, 'a'} }},
		{name: "version 0", make: clear, change: func(e *wire.Envelope) { e.Header.Version = 0 }},
		{name: "version 3", make: signed, change: func(e *wire.Envelope) { e.Header.Version = 3 }},
		{name: "type 4", make: clear, change: func(e *wire.Envelope) { e.Header.Type = 4 }},
		{name: "flag 2", make: clear, change: func(e *wire.Envelope) { e.Header.Flags |= 2 }},
		{name: "destination that is no point", make: passing, change: func(e *wire.Envelope) { e.Header.Destination.Key = [32]byte(notAPoint) }},
		{name: "ephemeral key that is no point", make: passing, change: func(e *wire.Envelope) { e.Header.Ephemeral = notAPoint }},
		{name: "short ephemeral key", make: passing, change: func(e *wire.Envelope) { e.Header.Ephemeral = []byte{1} }},
		{name: "expired", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Signed: true, Expires: -time.Minute}.Compose(t)
		}},
		{name: "expired, and the signature is wrong", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Signed: true, Expires: -time.Minute}.Compose(t)
		}, change: func(e *wire.Envelope) { e.Header.Type = wire.TypeJoin }},
		{name: "no body", make: clear, change: func(e *wire.Envelope) { e.Body = []byte{0xff} }},
		{name: "one part", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Body: wire.AppendBody(nil, []byte{8, 1})}.Compose(t)
		}},
		{name: "a message type nobody hears", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Body: wire.AppendBody(nil, wire.DomainHeader{Type: 9999}.Append(nil), nil)}.Compose(t)
		}},
		{name: "asks for stored messages", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Typ: wire.TypeStoredRequest, Body: wire.AppendBody(nil, []byte{8, 1})}.Compose(t)
		}},
		{name: "for us, and does not open", make: func(t *testing.T) wire.Envelope {
			e, err := wire.Compose(wire.Draft{Destination: wire.To(node), Body: bytes.Repeat([]byte{0}, 100)}, origin, rand.Reader)
			if err == nil {
				t.Fatal("a body that is none was composed")
			}
			e = kit.Forged{From: origin, To: wire.To(node)}.Compose(t)
			ephemeral := other.PublicKey()
			e.Header.Flags, e.Header.Ephemeral, e.Body = wire.Encrypted, ephemeral[:], bytes.Repeat([]byte{7}, 6016)
			kit.Sign(t, &e, origin)
			return e
		}},

		{name: "encrypted without destination", make: sealed, change: func(e *wire.Envelope) { e.Header.Destination = wire.Destination{} }, ban: protocol.BanLong},
		{name: "encrypted without ephemeral key", make: sealed, change: func(e *wire.Envelope) { e.Header.Ephemeral = nil }, ban: protocol.BanLong},
		{name: "encrypted without signature", make: sealed, change: func(e *wire.Envelope) { e.Header.Signature = nil }, ban: protocol.BanLong},
		{name: "encrypted without body", make: sealed, change: func(e *wire.Envelope) { e.Body = nil }, ban: protocol.BanLong},
		{name: "signature of nothing", make: signed, change: func(e *wire.Envelope) { e.Header.Signature = []byte("signed") }, ban: protocol.BanLong},
		{name: "signature of another message", make: signed, change: func(e *wire.Envelope) { e.Body = append(e.Body, wire.AppendBody(nil, []byte("more"))...) }, ban: protocol.BanLong},
		{name: "another message type", make: signed, change: func(e *wire.Envelope) { e.Header.Type = wire.TypeStoredMessages }, ban: protocol.BanLong},
		{name: "another expiry", make: signed, change: func(e *wire.Envelope) { e.Header.Expires += 1 << 40 }, ban: protocol.BanLong},
		{name: "another destination", make: signed, change: func(e *wire.Envelope) { e.Header.Destination = wire.To(node) }, ban: protocol.BanLong},
		{name: "sealed, and changed on the way", make: sealed, change: func(e *wire.Envelope) { e.Body[0] ^= 1 }, ban: protocol.BanLong},
		{name: "for somebody else, and changed on the way", make: passing, change: func(e *wire.Envelope) { e.Body[0] ^= 1 }, ban: protocol.BanLong},
		{name: "with the origin's key exchanged", make: signed, change: func(e *wire.Envelope) {
			key := other.PublicKey()
			copy(e.Header.Signature[2:34], key[:])
		}, ban: protocol.BanLong},
		{name: "for the peer that sends it", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, To: wire.To(peer), Sealed: true}.Compose(t)
		}, ban: protocol.BanMedium},
		{name: "for somebody else", make: passing},

		{name: "a ping that is none", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Body: badPing}.Compose(t)
		}, ban: protocol.BanLong},
		{name: "a ping that is none, signed by the sender", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: itself, Signed: true, Body: badPing}.Compose(t)
		}, ban: protocol.BanLong},
		{name: "a ping that is none, signed by somebody else", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, Signed: true, Body: badPing}.Compose(t)
		}},
		{name: "a ping that is none, sealed by somebody else", make: func(t *testing.T) wire.Envelope {
			return kit.Forged{From: origin, To: wire.To(node), Sealed: true, Body: badPing}.Compose(t)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				b := net.Start(gamelan.Config{Secret: itself}, kit.Quiet)
				node, peer = a.PublicKey(), b.PublicKey()
				net.Connect(b, a.Node)
				e := test.make(t)
				if test.change != nil {
					test.change(&e)
				}
				raw := e.Append(nil)
				if test.bytes != nil {
					raw = test.bytes(raw)
				}
				kit.PostBytes(t, b, a.Node, raw)
				time.Sleep(time.Second)
				until, reason, banned := a.Peers().Banned(b.ID())
				_, connected := a.Connection(b.ID())
				if got := time.Until(until) + time.Second; banned != (test.ban > 0) || banned && (got < test.ban || got > test.ban+time.Second) {
					t.Errorf("got banned %v for %v (%s), want for %v", banned, got, reason, test.ban)
				}
				if connected == banned {
					t.Errorf("got connected %v with banned %v", connected, banned)
				}
				if got := a.Heard.Len() > 0; got != test.delivered {
					t.Errorf("got delivered %v, want %v", got, test.delivered)
				}
			})
		})
	}
}
