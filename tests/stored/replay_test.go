package stored

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleReplayAsStored captures a message that was delivered, pushes its record out
// of the node's memory, and hands it out as a stored message an hour after it has expired.
// It is not delivered again. A message of the same age that has not come before stands
// beside it in the answer, and is delivered: so late an honest node still hands it out.
//
// conforms: dht 52
func TestBubbleReplayAsStored(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		node := kit.StartMember(net, gamelan.Config{DHT: &gamelan.DHTConfig{DedupCapacity: 10}}, kit.Quiet)
		seal := func(text string) wire.Envelope {
			return kit.Forged{
				From: kit.Sends, Signed: true, Sealed: true, To: wire.To(node.PublicKey()), Expires: dht.DefaultExpires,
				Body: wire.AppendBody(nil, wire.DomainHeader{Type: kit.TextType}.Append(nil), []byte(text)),
			}.Compose(t)
		}
		captured, away := seal("pay me"), seal("away")
		relay := net.Start(gamelan.Config{Client: true}, kit.Quiet)
		net.Connect(relay, node.Node)
		<-kit.Post(t, relay, node.Node, captured)
		for range 30 {
			body := wire.AppendBody(nil, wire.DomainHeader{Type: 1000}.Append(nil), nil)
			<-kit.Post(t, relay, node.Node, kit.Forged{From: kit.Third, Signed: true, Expires: time.Hour, Body: body}.Compose(t))
		}
		time.Sleep(dht.DefaultExpires + time.Hour)
		if s := nodetest.DHT(node.Node).Dedup.Stats(); s.Hashes != 10 || s.Fingerprints == 0 {
			t.Errorf("got %+v, want the message as a fingerprint", s)
		}
		server, asked := startWithholding(net, wire.TypeStoredRequest, gamelan.Config{})
		net.Connect(node.Node, server)
		time.Sleep(saf.AutoSpread + time.Second)
		if n := len(asked.all()); n != 1 {
			t.Fatalf("got %d requests, want one", n)
		}
		kit.Post(t, server, node.Node, part(t, wire.TypeStoredMessages, append(keptNow(&captured), keptNow(&away)...)))
		time.Sleep(time.Second)
		var got []string
		for _, m := range node.Heard.Delivered() {
			got = append(got, string(m.Body))
		}
		if !slices.Equal(got, []string{"pay me", "away"}) {
			t.Errorf("got %q, want each message once", got)
		}
		wantBan(t, node.Node, server, 0)
		kit.WantNoCredit(t, node.Node)
	})
}

// keptNow returns a message as an item of an answer, stored at this moment if one
// believes the server.
func keptNow(e *wire.Envelope) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(time.Now().Unix()))
	b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), e.Header.Append(nil))
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), e.Body)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
}
