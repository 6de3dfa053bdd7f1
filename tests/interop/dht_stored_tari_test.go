package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// storing is the release that stores messages for others; the newer one does not.
const storing = "1.0.0-rc.5"

// startTariClient starts a Tari node as a wallet is one: it stores and relays nothing. It
// asks for stored messages when it is told to.
func startTariClient(t *testing.T, args ...string) *tari {
	t.Helper()
	return startTariDHT(t, storing, append([]string{"--features", "0", "--dht-tasks", "1"}, args...)...)
}

// askStored has the node ask a peer for the messages that it stores for it.
func (p *tari) askStored(of identity.PublicKey) {
	p.t.Helper()
	p.must("dht_ask_stored", args{"peer": of.String()}, nil)
}

// getsStored has the node ask a peer until that many messages were delivered, and returns them.
// An answer that is lost with its connection, which Tari nodes replace now and then, comes
// again after a minute.
func (p *tari) getsStored(of identity.PublicKey, count int) []delivery {
	p.t.Helper()
	const asks, pause = 8, 20 * time.Second
	for range asks {
		p.askStored(of)
		for until := time.Now().Add(pause); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if got := p.delivered(); len(got) >= count {
				return got
			}
		}
	}
	p.t.Fatalf("Tari node %s: got %d messages for %d requests, want %d", p.release, len(p.delivered()), asks, count)
	return nil
}

// askByHand has the node send a request of its own making, for whose answer it does not wait.
func (p *tari) askByHand(of identity.PublicKey, seal string, part []byte) {
	p.t.Helper()
	l := letter{to: "key", key: &of, seal: seal, dhtType: "stored_request"}
	if r, err := p.post(l, part); err != nil || r.Queued != 1 || r.Copies[0].Ended != "sent" {
		p.t.Fatalf("Tari node %s asks %s: got %+v, %v, want one copy sent", p.release, of, r, err)
	}
}

// leaves sends sealed messages for somebody to all peers, numbered from first on: "stored 7".
func (p *tari) leaves(key identity.PublicKey, first, count int) {
	p.t.Helper()
	for i := first; i < first+count; i++ {
		l := letter{to: "propagate", key: &key, reader: &key, seal: "encrypted", messageType: domainType}
		if r, err := p.post(l, []byte(stored(i))); err != nil || r.Queued == 0 {
			p.t.Fatalf("Tari node %s writes to one who is away: got %+v, %v, want copies for its peers", p.release, r, err)
		}
	}
}

// stored is the body of a message that is to be stored.
func stored(i int) string { return fmt.Sprintf("stored %d", i) }

// Tari's nodes among themselves show what the tests of ours can rely on: a node of rc.5
// stores what another writes to a client that is away, gives it to that client as often as it
// asks and to nobody else, and the client delivers it once, marked as stored.
//
// feature: the stored messages of their nodes among themselves
func TestTariStoresRustOnly(t *testing.T) {
	t.Parallel()
	server, author := startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1"), startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1")
	reader, other := startTariClient(t), startTariClient(t)
	meet(t, author, server)
	author.leaves(reader.key, 0, 3)
	server.settled(t, []*tari{author}, nil)
	for _, c := range []*tari{reader, other} {
		meet(t, c, server)
	}
	gamelantest.Eventually(t, connectLimit, "all of the stored messages", func() bool {
		other.askStored(server.key)
		reader.askStored(server.key)
		return len(reader.delivered()) >= 3
	})
	for i := range 3 {
		d := reader.delivery(stored(i))
		if !d.Stored || keyOf(d.Origin) != author.key || d.Source != server.id || keyOf(d.Destination) != reader.key {
			t.Errorf("got %+v, want it stored, from %s, brought by %s", d, author.key, server.id)
		}
	}
	// Behind all answers.
	for _, c := range []*tari{reader, other} {
		reader.askByHand(server.key, "encrypted", wire.StoredRequest{RequestID: 1}.Append(nil))
		server.mustPost(letter{to: "key", peer: c, messageType: domainType}, "last")
		c.delivery("last")
	}
	if got := reader.delivered(); len(got) != 4 {
		t.Errorf("got %+v, want the three messages once each, and the last", got)
	}
	if got := other.delivered(); len(got) != 1 {
		t.Errorf("at another client: got %+v, want only the last message", got)
	}
	wantNoBans(t, nil, []*tari{server, author, reader, other})
}
