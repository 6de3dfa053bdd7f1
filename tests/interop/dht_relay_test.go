package interop

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Our node relays messages for Tari nodes, whatever is inside them. Nobody bans it for that, and
// it bans nobody. The messages do not open for their receiver, are no body, have no type or are
// no ping.
//
// conforms: dht 30, 41, 42, 44
// feature: DHT: an honest relay is banned by nobody for what others wrote
func TestDHTHonestRelay(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, d, x := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startBytes(t)
		p, q := startTariDHT(t, release), startTariDHT(t, release, "--dht-tasks", "1")
		for _, peer := range []*tari{p, q} {
			reach(t, m, peer, weDial)
		}
		join(t, m, d)
		join(t, x, m)
		defer wantNoBans(t, []*member{m, d, x}, []*tari{p, q})
		stranger := newSecret(t)
		key, dKey := stranger.PublicKey(), d.PublicKey()

		for _, l := range []letter{{peer: q}, {key: &dKey}} {
			l.to, l.messageType = "propagate", domainType
			to := dKey
			if l.peer != nil {
				to = q.key
			}
			// For one, and sealed for another.
			l.seal, l.reader, l.destination = "encrypted", &key, &to
			p.mustPost(l, "for a stranger")
			l.reader = &to
			p.mustPost(l, "")
			l.messageType = 9999
			p.mustPost(l, "of a type that nobody hears")
			l.messageType = dht.TypePing
			p.mustPost(l, "\xff\xff\xff")                     // no ping
			p.mustPost(l, "\x08\x09\x10\x05")                 // neither ping nor pong
			p.mustPost(l, "\x08\x01\x10\x05")                 // an answer to nothing
			p.mustPost(l, "\x10\x05\x1a\x05\x08\x01\x12\xff") // cut off

			for _, body := range [][]byte{
				wire.AppendBody(nil, []byte{8, 1}),      // one part
				wire.AppendBody(nil, []byte{0xff}, nil), // no header
				wire.AppendBody(nil, nil, nil),          // an empty one
			} {
				e := composed(t, stranger, wire.Draft{Destination: wire.To(to), EncryptFor: to, Body: body})
				x.sendBytes(m.ID(), e.Append(nil))
			}
			l.messageType = domainType
			e := composed(t, stranger, wire.Draft{Destination: wire.To(to), EncryptFor: to, Body: domainBody(domainType, 0, "good of a stranger")})
			x.sendBytes(m.ID(), e.Append(nil))
			p.mustPost(l, "good")
		}
		for _, want := range []string{"good", "good of a stranger"} {
			d.delivery(want)
			q.delivery(want)
		}
		// The actor that answers pings has had them all when it answers this one.
		if _, err := m.DHT().Ping(t.Context(), d.ID()); err != nil {
			t.Errorf("ping: %v", err)
		}
		if _, ok := m.Connection(p.id); !ok || !q.linkedTo(m.ID()) || !p.linkedTo(m.ID()) {
			t.Error("got a connection ended, want all of them kept")
		}
		if got := m.heard.Len(); got != 0 {
			t.Errorf("in the middle: got %d messages delivered, want none", got)
		}
	})
}
