package interop

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// pingBytes is a ping or a pong as Tari's nodes write it, with what they tell
// each other of their chains.
func pingBytes(pong bool, nonce uint64, metadata map[int32][]byte) string {
	var b []byte
	if pong {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 1)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), nonce)
	for key, value := range metadata {
		var entry []byte
		entry = protowire.AppendVarint(protowire.AppendTag(entry, 1, protowire.VarintType), uint64(key))
		entry = protowire.AppendBytes(protowire.AppendTag(entry, 2, protowire.BytesType), value)
		b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), entry)
	}
	return string(b)
}

// nonceOf takes a ping without metadata apart.
func nonceOf(t *testing.T, body []byte) uint64 {
	t.Helper()
	field, wire, n := protowire.ConsumeTag(body)
	if n < 0 || field != 2 || wire != protowire.VarintType {
		t.Fatalf("got the ping %x, want a nonce alone", body)
	}
	nonce, m := protowire.ConsumeVarint(body[n:])
	if m < 0 || n+m != len(body) {
		t.Fatalf("got the ping %x, want a nonce alone", body)
	}
	return nonce
}

// Tari's applications answer pings, not their libraries: here the test does, with
// the same bytes. Our pings are answered so; theirs we answer in clear, with
// their nonce, and an answer to nothing is ignored.
//
// conforms: dht 138, 139
// feature: DHT: pings and pongs of the application
func TestDHTPing(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, release string, who dialer) {
		t.Parallel()
		m, p := startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release)
		reach(t, m, p, who)
		defer wantNoBans(t, []*member{m}, []*tari{p})
		key := m.PublicKey()
		direct := letter{to: "key", key: &key, messageType: dht.TypePing}
		pings := func() (of []delivery) {
			for _, d := range p.delivered() {
				if d.Type == dht.TypePing {
					of = append(of, d)
				}
			}
			return of
		}
		chain := map[int32][]byte{1: {0x08, 0x2a}}
		for i, metadata := range []map[int32][]byte{nil, chain, {2: []byte("contacts"), 77: nil}} {
			ended := make(chan error, 1)
			go func() {
				_, err := m.DHT().Ping(t.Context(), p.id)
				ended <- err
			}()
			gamelantest.Eventually(t, connectLimit, "our ping", func() bool { return len(pings()) == i+1 })
			d := pings()[i]
			if d.Source != m.ID() || d.Origin != nil || d.Encrypted || d.Destination != nil || d.Nonce == 0 {
				t.Errorf("our ping: got %+v, want it in clear and unsigned from %s", d, m.ID())
			}
			nonce := nonceOf(t, d.Body)
			p.mustPost(direct, pingBytes(true, nonce+1, metadata)) // to nothing
			select {
			case err := <-ended:
				t.Errorf("got %v for an answer with another nonce, want it ignored", err)
			case <-time.After(100 * time.Millisecond):
			}
			p.mustPost(direct, pingBytes(true, nonce, metadata))
			if err := <-ended; err != nil {
				t.Errorf("our ping with metadata %v in the answer: got %v, want an answer", metadata, err)
			}
		}
		before := len(pings())
		nonces := []uint64{1, 0x0123456789abcdef, 1<<64 - 1}
		for _, nonce := range nonces {
			p.mustPost(direct, pingBytes(false, nonce, chain))
		}
		gamelantest.Eventually(t, connectLimit, "our answers", func() bool { return len(pings()) >= before+len(nonces) })
		var got []string
		for _, d := range pings()[before:] {
			if d.Source != m.ID() || d.Origin != nil || d.Encrypted || d.Destination != nil {
				t.Errorf("our answer: got %+v, want it in clear and unsigned from %s", d, m.ID())
			}
			got = append(got, string(d.Body))
		}
		var want []string
		for _, nonce := range nonces {
			want = append(want, pingBytes(true, nonce, nil))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got the answers %x, want %x", got, want)
		}
	})
}
