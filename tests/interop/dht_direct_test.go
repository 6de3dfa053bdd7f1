package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// seals are how a message says who wrote it, if it does.
var seals = []string{"clear", "signed", "encrypted"}

// Messages for one peer, by its key and by its node id, in clear, signed and
// encrypted, both ways: both sides see the same body, type, destination and
// author.
//
// conforms: dht 11, 20, 26, 43, 62
// feature: DHT: direct messages unencrypted, signed, encrypted; the author is the same on both sides
func TestDHTDirect(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, release string, who dialer) {
		t.Parallel()
		m, p := startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release)
		reach(t, m, p, who)
		defer wantNoBans(t, []*member{m}, []*tari{p})
		other := newSecret(t).PublicKey()
		for _, seal := range seals {
			for _, by := range []string{"key", "node"} {
				for _, named := range []string{"", ", named", ", another named"} {
					body := by + " " + seal + named
					if seal == "encrypted" && strings.HasPrefix(named, ", another") {
						continue // that is what relaying is about
					}
					weSendDirect(t, m, p, body, by, seal, destinationOf(named, p.key, other))
					theySendDirect(t, m, p, body, by, seal, destinationOf(named, m.PublicKey(), other))
				}
			}
		}
	})
}

func destinationOf(named string, peer, other identity.PublicKey) *identity.PublicKey {
	switch named {
	case ", named":
		return &peer
	case ", another named":
		return &other
	}
	return nil
}

func weSendDirect(t *testing.T, m *member, p *tari, body, by, seal string, destination *identity.PublicKey) {
	t.Helper()
	message := dht.Message{To: dht.DirectKey{Key: p.key}, Body: []byte(body), Sign: seal == "signed", Encrypt: seal == "encrypted"}
	if by == "node" {
		message.To = dht.Direct{Peer: p.id}
	}
	if seal == "encrypted" {
		destination = &p.key
	}
	if destination != nil {
		message.Destination = *destination
	}
	began := time.Now()
	r := m.mustSend(message, 1)
	d := p.delivery(body)
	wantOrigin(t, "ours, "+body, keyOf(d.Origin), m.PublicKey(), seal != "clear")
	if d.Source != m.ID() || d.Type != domainType || d.DHTType != 0 || d.Hits != 1 || d.Stored || d.Nonce == 0 || d.Tag != r.Tag {
		t.Errorf("ours, %s: got %+v, want type %d from %s with a nonce and the tag %d", body, d, domainType, m.ID(), r.Tag)
	}
	if d.Encrypted != (seal == "encrypted") || keyOf(d.Destination) != keyOf(destination) {
		t.Errorf("ours, %s: got encrypted %v for %v, want it for %v", body, d.Encrypted, d.Destination, keyOf(destination))
	}
	const validity = 3 * 3600
	if d.Expires < uint64(began.Unix()+validity) || d.Expires > uint64(time.Now().Unix()+validity) {
		t.Errorf("ours, %s: got an expiry at %d, want 3 h after it was sent at %d", body, d.Expires, began.Unix())
	}
}

func theySendDirect(t *testing.T, m *member, p *tari, body, by, seal string, destination *identity.PublicKey) {
	t.Helper()
	key := m.PublicKey()
	l := letter{to: by, key: &key, seal: seal, destination: destination, messageType: domainType}
	if seal == "encrypted" {
		l.reader, destination = &key, &key
	}
	tag := p.mustPost(l, body).Copies[0].Tag
	d := m.delivery(body)
	wantOrigin(t, "theirs, "+body, d.From, p.key, seal != "clear")
	if d.Peer != p.id || d.Type != domainType || d.Copies != 1 || d.Tag != tag {
		t.Errorf("theirs, %s: got %+v, want type %d from %s with the tag %d", body, d, domainType, p.id, tag)
	}
	if d.Encrypted != (seal == "encrypted") || d.Destination != keyOf(destination) {
		t.Errorf("theirs, %s: got encrypted %v for %+v, want it for %v", body, d.Encrypted, d.Destination, keyOf(destination))
	}
}
