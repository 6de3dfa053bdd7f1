package hostile

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// letterType is the type of messages that the node under attack hears.
const letterType = 7

// overDHT starts a node with the DHT, and returns what it hears.
func overDHT(t *testing.T, cfg gamelan.DHTConfig) (*target, *gamelantest.Collector) {
	t.Helper()
	letters := gamelantest.NewCollector()
	return start(t, gamelan.Config{DHT: &cfg}, gamelan.WithType(letterType, letters.New)), letters
}

// letter is a signed message of the DHT.
func letter(t *testing.T, author *identity.Secret, text string, valid time.Duration) wire.Envelope {
	t.Helper()
	e, err := wire.Compose(wire.Draft{
		Sign: true, Expires: uint64(time.Now().Add(valid).Unix()),
		Body: wire.AppendBody(nil, wire.DomainHeader{Type: letterType}.Append(nil), []byte(text)),
	}, author, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestReplayByReencoding sends a captured message 42 times, each time with another
// unknown field behind its signature, which still verifies: it is delivered once,
// and whoever relays such bytes is not banned for them.
func TestReplayByReencoding(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n, letters := overDHT(t, gamelan.DHTConfig{})
		captured := letter(t, secretOf(5), "pay me", time.Hour)
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		p.open(1, optimistic(messaging))
		for i := range 42 {
			e := captured
			e.Header.Signature = protowire.AppendVarint(protowire.AppendTag(bytes.Clone(e.Header.Signature), 4, protowire.VarintType), uint64(i))
			p.must(p.Data(0, 1, framed(string(e.Append(nil)))))
		}
		p.flushed()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := letters.Bodies(); !slices.Equal(got, []string{"pay me"}) {
			t.Errorf("got %d deliveries, want one", len(got))
		}
		if got := kit.FateOf(n.Node, dht.Duplicate); got != 41 {
			t.Errorf("got %d duplicates, want 41", got)
		}
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// TestHeaderBombs sends messages whose headers come in a hundred thousand pieces,
// each of which a reader of the format adds to the ones before: they are refused
// at the first that no honest message has, and others are served.
func TestHeaderBombs(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n, letters := overDHT(t, gamelan.DHTConfig{})
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		p.open(1, optimistic(messaging))
		e := letter(t, secretOf(5), "bomb", time.Hour)
		for piece, bomb := range []string{"\x0a\x00", "\x0a\x02\x08\x02", "\x78\x01"} {
			body := strings.Repeat(bomb, 50_000/len(bomb)) + string(e.Append(nil))
			p.must(p.Data(0, 1, framed(body)))
			p.flushed()
			synctest.Wait()
			if got := kit.FateOf(n.Node, dht.Undecodable); got != uint64(piece+1) {
				t.Errorf("bomb of %q: got %d undecodable messages, want %d", bomb, got, piece+1)
			}
		}
		other := connect(t, n.net.Transport(), n.Addr, secretOf(2))
		other.open(1, optimistic(messaging))
		honest := letter(t, secretOf(2), "honest", time.Hour)
		other.must(other.Data(0, 1, framed(string(honest.Append(nil)))))
		gamelantest.Eventually(t, time.Minute, "the honest message", func() bool {
			return fmt.Sprint(letters.Bodies()) == "[honest]"
		})
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// TestReplayByFlushing sends so many empty messages that they fill the memory of
// messages many times, and then what was captured before: it was delivered, and is
// not delivered again, whoever of its authors had a record left.
func TestReplayByFlushing(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const honest, flood, capacity = 60, 3000, 50
		n, letters := overDHT(t, gamelan.DHTConfig{DedupCapacity: capacity})
		open := func(number int) *peer {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(number))
			p.open(1, optimistic(messaging))
			return p
		}
		var captured []string
		sender := open(1)
		for i := range honest {
			e := letter(t, secretOf(100+i), fmt.Sprint("letter ", i), time.Hour)
			captured = append(captured, framed(string(e.Append(nil))))
		}
		sender.must(sender.Data(0, 1, strings.Join(captured, "")))
		gamelantest.Eventually(t, time.Minute, "the letters", func() bool { return len(letters.Bodies()) == honest })
		flooder := open(2)
		for i := range flood {
			e, err := wire.Compose(wire.Draft{Body: wire.AppendBody(nil, wire.DomainHeader{Type: 1000, Nonce: uint64(i)}.Append(nil), nil)}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			flooder.must(flooder.Data(0, 1, framed(string(e.Append(nil)))))
		}
		flooder.flushed()
		gamelantest.Eventually(t, time.Minute, "the flood", func() bool { return kit.FateOf(n.Node, dht.NoHandler) == flood })
		replayer := open(3)
		replayer.must(replayer.Data(0, 1, strings.Join(captured, "")))
		gamelantest.Eventually(t, time.Minute, "the replay", func() bool {
			return kit.FateOf(n.Node, dht.Duplicate)+kit.FateOf(n.Node, dht.Delivered) == 2*honest
		})
		if got := kit.FateOf(n.Node, dht.Delivered); got != honest {
			t.Errorf("got %d deliveries, want each letter once: %d", got, honest)
		}
		s := nodetest.DHT(n).Dedup.Stats()
		if s.Hashes != capacity || s.Fingerprints != honest+flood-capacity || s.Early != 0 {
			t.Errorf("got %+v, want %d records and the others as fingerprints", s, capacity)
		}
	})
}
