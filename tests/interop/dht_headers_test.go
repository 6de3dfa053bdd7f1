package interop

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// backwards is the message as it travels, with the fields of its header in the
// opposite order.
func backwards(t *testing.T, e wire.Envelope) (frame []byte) {
	t.Helper()
	var header []byte
	for rest := e.Header.Append(nil); len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		header = append(bytes.Clone(rest[:n]), header...)
		rest = rest[n:]
	}
	number, _, n := protowire.ConsumeField(e.Append(nil))
	if n < 0 {
		t.Fatal(protowire.ParseError(n))
	}
	frame = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), header)
	return append(frame, e.Append(nil)[n:]...)
}

// A node that relays a message keeps the bytes that others have signed: messages of
// the older version and with their header's fields in another order are good at
// the node that they are for, at both kinds.
//
// conforms: dht 6, 16, 74, 147
// feature: DHT: messages of version 1, and with their header in another order, directly and relayed
func TestDHTHeaders(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, d, x := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startBytes(t)
		p, q := startTariDHT(t, release, forwards(release)...), startTariDHT(t, release)
		reach(t, m, p, weDial) // x – m, p; m – d, q; p – d
		reach(t, m, q, weDial)
		reach(t, x, p, weDial)
		reach(t, d, p, weDial)
		join(t, m, d)
		join(t, x, m)
		defer wantNoBans(t, []*member{m, d, x}, []*tari{p, q})
		author := newSecret(t)
		for _, version := range []uint32{1, 2} {
			for _, order := range []string{"ascending", "backwards"} {
				send := func(by identity.NodeID, body string, to identity.PublicKey) {
					draft := wire.Draft{Version: version, Tag: 7, Body: domainBody(domainType, 0, body)}
					if to.IsZero() {
						draft.Sign = true
					} else {
						draft.Destination, draft.EncryptFor = wire.To(to), to
					}
					e := composed(t, author, draft)
					if order == "backwards" {
						x.sendBytes(by, backwards(t, e))
					} else {
						x.sendBytes(by, e.Append(nil))
					}
				}
				name := fmt.Sprintf("version %d, %s", version, order)
				direct, relayed := name+", direct", name+", relayed"
				send(m.ID(), direct, identity.PublicKey{})
				send(p.id, direct, identity.PublicKey{})
				wantOrigin(t, direct, m.delivery(direct).From, author.PublicKey(), true)
				wantOrigin(t, direct, keyOf(p.delivery(direct).Origin), author.PublicKey(), true)
				send(m.ID(), relayed, q.key)
				wantOrigin(t, relayed+" by us", keyOf(q.delivery(relayed).Origin), author.PublicKey(), true)
				send(m.ID(), relayed+" by us", d.PublicKey())
				wantOrigin(t, relayed+" by us", d.delivery(relayed+" by us").From, author.PublicKey(), true)
				send(p.id, relayed+" by them", d.PublicKey())
				wantOrigin(t, relayed+" by them", d.delivery(relayed+" by them").From, author.PublicKey(), true)
			}
		}
	})
}
