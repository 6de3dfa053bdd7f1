package interop

import (
	"strings"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
)

// Encrypted bodies of every size arrive, ours and theirs, as long as the padding
// has to make them: 5,996 bytes of parts fill one block of 6,000 with their
// length, one more needs a second.
//
// conforms: dht 21, 22
// feature: DHT: encrypted bodies at the padding boundaries, of 20 kB and of 1 MiB
func TestDHTSizes(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		var mu sync.Mutex
		var sealed int // bytes of what we sent last
		m := startMember(t, gamelan.DHTConfig{}, gamelan.WithSendLayer(dht.BeforeWrite, func(next dht.SendHandler) dht.SendHandler {
			return func(out *dht.Outgoing) error {
				mu.Lock()
				defer mu.Unlock()
				sealed = len(out.Envelope.Body)
				return next(out)
			}
		}))
		p := startTariDHT(t, release)
		reach(t, m, p, weDial)
		defer wantNoBans(t, []*member{m}, []*tari{p})
		key := m.PublicKey()
		const (
			block = 6000
			seal  = 16
			// What stands around a body of 128 to 16,383 bytes: the header of
			// type 1001 with the nonce 0, and the body's own length.
			around = 5 + 3
		)
		for i, c := range []struct{ size, blocks int }{
			{5995 - around, 1},
			{5996 - around, 1},
			{5997 - around, 2},
			{5998 - around, 2},
			{11995 - around, 2},
			{11996 - around, 2},
			{11997 - around, 3},
			{20_000, 4},
			{1 << 20, 175},
		} {
			body := strings.Repeat(string(rune('a'+i)), c.size)
			m.mustSend(dht.Message{To: dht.Propagate{To: p.key}, Body: []byte("o" + body[1:]), Encrypt: true}, 1)
			if d := p.delivery("o" + body[1:]); !d.Encrypted || keyOf(d.Origin) != m.PublicKey() {
				t.Errorf("ours of %d bytes: got encrypted %v from %v, want it from us", c.size, d.Encrypted, d.Origin)
			}
			mu.Lock()
			if want := c.blocks*block + seal; sealed != want {
				t.Errorf("ours of %d bytes: got %d sealed, want %d", c.size, sealed, want)
			}
			mu.Unlock()
			p.mustPost(letter{to: "propagate", key: &key, reader: &key, seal: "encrypted", messageType: domainType}, "t"+body[1:])
			if d := m.delivery("t" + body[1:]); !d.Encrypted || d.From != p.key {
				t.Errorf("theirs of %d bytes: got encrypted %v from %v, want it from them", c.size, d.Encrypted, d.From)
			}
			came := m.seen.from(p.id)
			if got, want := came[len(came)-1].body, c.blocks*block+seal; got != want {
				t.Errorf("theirs of %d bytes: got %d sealed, want %d", c.size, got, want)
			}
		}
	})
}
