package stored

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleFetchAmongHostile: a node fetches from an honest server, and at the same time from
// one that never answers, one that always answers the same, one whose answers are damaged,
// one that commits an offence, and one that invents new messages without end. The fetch
// ends, the result says of each what it was, and what the honest one stores arrives.
func TestBubbleFetchAmongHostile(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		begin := time.Now()
		net := kit.Asking(t)
		node := kit.StartMember(net, gamelan.Config{
			Client: true, StoreForward: gamelan.StoreForwardConfig{NoRequests: true},
		}, kit.Quiet)
		honest := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		sender := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		net.Connect(sender.Node, honest.Node)
		want := kit.StoredLetters(120)
		for _, body := range want {
			kit.StoreFor(t, sender, node.PublicKey(), body)
		}

		response := func(first, n int, faulty ...storedLetter) *wire.Envelope {
			list := make([]storedLetter, n)
			for i := range list {
				list[i].text = fmt.Sprint("invented ", first+i)
			}
			e := answer(t, node.PublicKey(), slices.Concat(list, faulty)...)
			return &e
		}
		same := func(n int) *wire.Envelope { // but for a field that nobody knows
			b := make([]byte, 0, 1<<14)
			for i := range saf.AnswerLimit {
				m := storedLetter{text: fmt.Sprint("same ", i), ahead: -time.Since(begin)}.encode(t, node.PublicKey())
				b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), m)
			}
			e := part(t, wire.TypeStoredMessages, protowire.AppendVarint(protowire.AppendTag(b, 100, protowire.VarintType), uint64(n)))
			return &e
		}
		damaged := part(t, wire.TypeStoredMessages, []byte{0xff})
		servers := []struct {
			name    string
			respond func(n int) *wire.Envelope
			err     error
			answers int
			banned  bool
		}{
			{"silent", func(int) *wire.Envelope { return nil }, saf.ErrUnanswered, 0, false},
			{"the same", same, saf.ErrRepeats, 3, false},
			{"damaged", func(int) *wire.Envelope { return &damaged }, wire.ErrBody, 1, false},
			{"offence", func(n int) *wire.Envelope {
				return response(2_000_000, 10, storedLetter{text: "bad", bare: true})
			}, protocol.ErrViolation, 1, true},
			{"endless", func(n int) *wire.Envelope { return response(n*saf.AnswerLimit, saf.AnswerLimit) }, saf.ErrRunLimit, -1, false},
		}
		byID := make(map[identity.NodeID]int)
		for i, s := range servers {
			p := kit.StartResponder(t, net, node.Node, s.respond)
			net.Connect(node.Node, p)
			byID[p.ID()] = i
		}
		net.Connect(node.Node, honest.Node)

		fetched, err := node.DHT().FetchStored(t.Context())
		if err != nil || len(fetched.Servers) != len(servers)+1 || fetched.Complete() {
			t.Fatalf("got %d servers, complete %v, %v", len(fetched.Servers), fetched.Complete(), err)
		}
		if d := time.Since(begin); d > saf.RunTimeout+time.Minute {
			t.Errorf("the fetch took %v", d)
		}
		for _, r := range fetched.Servers {
			i, hostile := byID[r.Server]
			if !hostile {
				if r.Err != nil || r.Delivered != len(want) {
					t.Errorf("honest: got %+v", r)
				}
				continue
			}
			s := servers[i]
			if (r.Err == nil) != (s.err == nil) || r.Err != nil && !errors.Is(r.Err, s.err) {
				t.Errorf("%s: got %v, want %v", s.name, r.Err, s.err)
			}
			if most := saf.RequestBurst + int(saf.RunTimeout/saf.RequestPause) + 1; s.answers >= 0 && r.Answers != s.answers || r.Answers > most {
				t.Errorf("%s: got %d answers, want %d, at most %d", s.name, r.Answers, s.answers, most)
			}
			if _, _, banned := node.Peers().Banned(r.Server); banned != s.banned {
				t.Errorf("%s: got banned %v, want %v", s.name, banned, s.banned)
			}
		}
		var got []string
		for _, m := range node.Heard.Delivered() {
			if m.Peer == honest.ID() {
				got = append(got, string(m.Body))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %d messages of the honest server, want %d in order", len(got), len(want))
		}
		kit.WantNoCredit(t, node.Node)
	})
}

// TestBubbleFetchOverSuccessor: the news that a connection has ended reaches the actor that
// fetches when it waits for an answer over a later connection. The fetch goes on.
func TestBubbleFetchOverSuccessor(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		busy := func(next dht.Handler) dht.Handler {
			return func(m *dht.Incoming) dht.Verdict {
				if m.Envelope.Header.Type == wire.TypeStoredRequest {
					time.Sleep(5 * time.Second)
				}
				return next(m)
			}
		}
		wallet := kit.StartMember(net, gamelan.Config{Client: true, StoreForward: gamelan.StoreForwardConfig{NoRequests: true}}, kit.Quiet)
		server := kit.StartMember(net, gamelan.Config{}, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, busy))
		author := kit.StartMember(net, gamelan.Config{})
		net.Connect(author.Node, server.Node)
		kit.StoreFor(t, author, wallet.PublicKey(), "letter")
		net.Connect(wallet.Node, server.Node)
		trunk := nodetest.Trunk(wallet.Node.Node)
		before, _ := trunk.Connection(server.ID())
		net.Cut(wallet.Node, server.Node)
		time.Sleep(time.Minute)
		net.Connect(wallet.Node, server.Node)
		if now, ok := trunk.Connection(server.ID()); !ok || now.ID == before.ID {
			t.Fatal("want another connection")
		}
		late := actors.PeerDisconnected{Peer: server.ID(), Conn: before}
		time.AfterFunc(time.Second, func() { trunk.System().Root.Send(trunk.PID("saf/client"), late) })
		fetched, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || !fetched.Complete() || fetched.Delivered() != 1 {
			t.Errorf("got %+v, %v, want the letter", fetched, err)
		}
	})
}
