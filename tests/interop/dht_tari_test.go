package interop

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// startTariDHT starts a Tari node whose messaging protocol belongs to its DHT.
func startTariDHT(t *testing.T, release string, args ...string) *tari {
	t.Helper()
	return startTari(t, release, append([]string{"--dht", "true"}, args...)...)
}

// forwards is the option that lets a Tari node relay what is encrypted for
// others. The older release always does.
func forwards(release string) []string {
	if release == "1.0.0-rc.5" {
		return nil
	}
	return []string{"--dht-forwarding", "true"}
}

// hexBytes are bytes that a Tari node writes in hexadecimal.
type hexBytes []byte

func (b *hexBytes) UnmarshalJSON(raw []byte) error {
	var text string
	err := json.Unmarshal(raw, &text)
	if err == nil {
		*b, err = hex.DecodeString(text)
	}
	return err
}

// delivery is a message that the DHT of a Tari node handed to its domain.
type delivery struct {
	Source      identity.NodeID     // who it came from
	Origin      *identity.PublicKey // who signed it; nil: nobody
	DHTType     int                 `json:"dht_type"`
	Destination *identity.PublicKey // as the header has it; nil: unknown
	Encrypted   bool
	Tag         uint64
	Expires     uint64 // Unix seconds
	Hash        hexBytes
	Hits        int  // how often it had arrived then
	Stored      bool // it was waiting for them with a peer
	Type        int32
	Nonce       uint64
	Body        hexBytes
	NotDomain   string `json:"not_domain"` // why it has no type and body
}

// delivered is what the node's DHT has delivered so far.
func (p *tari) delivered() []delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took)
}

// bans are those whom the node has banned since it runs.
func (p *tari) bans() []identity.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.banned)
}

// delivery waits until a message with that body was delivered.
func (p *tari) delivery(body string) delivery {
	p.t.Helper()
	var found delivery
	gamelantest.Eventually(p.t, connectLimit, fmt.Sprintf("%.60q delivered by Tari's DHT", body), func() bool {
		all := p.delivered()
		i := slices.IndexFunc(all, func(d delivery) bool { return string(d.Body) == body })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// times is how often a message with that body was delivered.
func (p *tari) times(body string) (n int) {
	for _, d := range p.delivered() {
		if string(d.Body) == body {
			n++
		}
	}
	return n
}

// hits is how often a message with that dedup hash arrived at the node.
func (p *tari) hits(hash []byte) int {
	p.t.Helper()
	var r struct{ Hits int }
	p.must("dht_hits", args{"hash": hex.EncodeToString(hash)}, &r)
	return r.Hits
}

// letter is all of a message of a Tari node's DHT but its body.
type letter struct {
	to          string              // key, node, selected, broadcast, flood, random, closest, closest_connected, propagate
	peer        *tari               // whom key, node, closest and propagate name
	key         *identity.PublicKey // instead of peer
	peers       []identity.PublicKey
	exclude     []identity.PublicKey
	n           int                 // of random
	seal        string              // clear, the default, signed, encrypted
	reader      *identity.PublicKey // of what is encrypted; nil: peer
	destination *identity.PublicKey // of the header; nil: the reader, or unknown
	discovery   bool
	messageType int32
	dhtType     string // of a message of the DHT itself: stored_request, stored_messages
}

func (l letter) args(more args) args {
	a := args{"to": l.to, "n": l.n, "seal": l.seal, "discovery": l.discovery, "type": l.messageType}
	if l.seal == "" {
		a["seal"] = "clear"
	}
	if l.dhtType != "" {
		a["dht_type"] = l.dhtType
	}
	if l.peer != nil {
		a["peer"] = l.peer.key.String()
	}
	for name, key := range map[string]*identity.PublicKey{"peer": l.key, "for": l.reader, "destination": l.destination} {
		if key != nil {
			a[name] = key.String()
		}
	}
	for name, keys := range map[string][]identity.PublicKey{"peers": l.peers, "exclude": l.exclude} {
		texts := make([]string, len(keys))
		for i, key := range keys {
			texts[i] = key.String()
		}
		a[name] = texts
	}
	maps.Copy(a, more)
	return a
}

// posted is what became of one message that a Tari node sent.
type posted struct {
	Queued int // copies
	Copies []struct {
		Tag   uint64
		Ended string // "sent", why it was not, or "waiting"
	}
	Refused string // why there are no copies
}

// post sends one message through the DHT of a Tari node.
func (p *tari) post(l letter, body []byte) (r posted, err error) {
	err = p.ask("dht_send", l.args(args{"body": hex.EncodeToString(body)}), &r)
	return r, err
}

// mustPost is post for what has to go out in one copy.
func (p *tari) mustPost(l letter, body string) posted {
	p.t.Helper()
	r, err := p.post(l, []byte(body))
	if err != nil || r.Queued != 1 || r.Copies[0].Ended != "sent" {
		p.t.Fatalf("Tari node %s sends %q to %s: got %+v, %v, want one copy sent", p.release, body, l.to, r, err)
	}
	return r
}

// postBatch sends numbered messages through the DHT of a Tari node.
func (p *tari) postBatch(l letter, b batch) (r sendReport, err error) {
	if b.window == 0 {
		b.window = 200
	}
	err = p.ask("dht_batch", l.args(args{"first": b.first, "count": b.count, "size": b.size, "window": b.window}), &r)
	return r, err
}

// meet connects two Tari nodes for good: one that is dialled often dials back,
// what is written to the connection that then ends is lost, and now and then
// both end.
func meet(t *testing.T, p, other *tari) {
	t.Helper()
	p.knows(other.key, other.addr)
	dial := func() error { return p.ask("dial", args{"peer": other.key.String()}, nil) }
	if err := dial(); err != nil {
		t.Fatalf("Tari node %s dials one of %s: %v", p.release, other.release, err)
	}
	const looks = 50
	seen := 0
	gamelantest.Eventually(t, connectLimit, "one connection that stays", func() bool {
		if seen++; p.linked(other) && other.linked(p) {
			return seen > looks
		}
		seen = 0
		_ = dial() // again until it works
		return false
	})
}

// linked says whether the node has one connection with the other.
func (p *tari) linked(other *tari) bool { return p.linkedTo(other.id) }

func (p *tari) linkedTo(id identity.NodeID) bool {
	n := 0
	for _, l := range p.links() {
		if l.NodeID == id.String() {
			n++
		}
	}
	return n == 1
}
