package stored

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoredRequests: a node stores ten messages for somebody who is away. Another
// peer asks for messages, in every way and far too often. It gets none of them, nothing is
// deleted, and nobody is banned; the one who was away gets the ten, once each.
//
// conforms: dht 98-100, 108
func TestBubbleStoredRequests(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		server := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		sender := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		thief, got := startWithholding(net, wire.TypeStoredMessages, gamelan.Config{})
		net.Connect(sender.Node, server.Node)
		net.Connect(thief, server.Node)
		away := kit.Third.PublicKey()
		for i := range 10 {
			m := kit.LetterTo(dht.Propagate{To: away}, fmt.Sprint(i))
			m.Encrypt, m.Destination = true, away
			kit.WantAllConfirmed(t, "send", kit.Send(t, sender, m), 1)
		}
		time.Sleep(3 * time.Second)
		kit.WantStored(t, "before", server, 10)

		request := func(r wire.StoredRequest) wire.Envelope { return part(t, wire.TypeStoredRequest, r.Append(nil)) }
		now := uint64(time.Now().Unix())
		undecodable := part(t, wire.TypeStoredRequest, nil)
		undecodable.Body = []byte{0xff}
		requests := []wire.Envelope{
			request(wire.StoredRequest{}),
			request(wire.StoredRequest{Since: now, RequestID: 1, Limit: 50}), // that empties a server of the reference
			request(wire.StoredRequest{Since: math.MaxUint64, RequestID: 2, Limit: math.MaxUint32}),
			request(wire.StoredRequest{Since: 1, RequestID: 3, Limit: 1}),
			kit.Forged{ // in the name of the one who is away
				From: kit.Third, Typ: wire.TypeStoredRequest, Signed: true,
				Body: wire.AppendBody(nil, wire.StoredRequest{RequestID: 4}.Append(nil)),
			}.Compose(t),
			kit.Forged{
				From: kit.Third, Typ: wire.TypeStoredRequest, Sealed: true, To: wire.To(server.PublicKey()),
				Body: wire.AppendBody(nil, wire.StoredRequest{RequestID: 5}.Append(nil)),
			}.Compose(t),
			part(t, wire.TypeStoredRequest, []byte{0xff}), // no request
			undecodable,
		}
		own := len(got.all()) // answers to what the peer itself has asked on connecting
		for _, e := range requests {
			kit.Post(t, thief, server.Node, e)
			time.Sleep(time.Second)
		}
		answered := got.all()[own:]
		if len(answered) != 6 {
			t.Errorf("got %d answers, want one to each request that is one", len(answered))
		}
		for i, b := range answered {
			r, err := wire.DecodeStoredResponse(b)
			if err != nil || len(r.Messages) != 0 || r.Type != 0 || r.RequestID != uint32(i) {
				t.Errorf("got %d messages in answer %d to %d, %v", len(r.Messages), i, r.RequestID, err)
			}
		}

		time.Sleep(time.Minute)
		before := len(got.all())
		for i := range 200 {
			kit.Post(t, thief, server.Node, request(wire.StoredRequest{Since: now, RequestID: uint32(100 + i)}))
		}
		time.Sleep(time.Second)
		if n := len(got.all()) - before; n < 1 || n > saf.PeerRequests {
			t.Errorf("got %d answers to 200 requests, want at most %d", n, saf.PeerRequests)
		}
		wantBan(t, server.Node, thief, 0)
		kit.WantStored(t, "after", server, 10)

		owner := kit.StartMember(net, gamelan.Config{Secret: kit.Third}, kit.Quiet)
		net.Connect(owner.Node, server.Node)
		time.Sleep(saf.AutoSpread + 5*time.Second)
		var heard []string
		for _, m := range owner.Heard.Delivered() {
			if !m.Stored || m.From != sender.PublicKey() || !m.Encrypted {
				t.Errorf("got %q: stored %v, from %v", m.Body, m.Stored, m.From)
			}
			heard = append(heard, string(m.Body))
		}
		if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(heard, want) {
			t.Errorf("got %v, want %v", heard, want)
		}
		kit.WantNoCredit(t, server.Node, owner.Node)
	})
}
