package stored

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// panicking panics on each message.
type panicking struct{}

func (panicking) Receive(c actor.Context) {
	if _, ok := c.Message().(dht.Received); ok {
		panic("no")
	}
}

// setType has another actor handle the letters of a member.
func setType(t *testing.T, m kit.Member, newActor func(*gamelan.Node) actor.Actor) {
	t.Helper()
	if err := m.DHT().UnregisterType(t.Context(), kit.TextType); err != nil {
		t.Fatal(err)
	}
	if newActor == nil {
		return
	}
	if err := m.DHT().RegisterType(t.Context(), kit.TextType, newActor, gamelan.OnPanic(gamelan.PanicContain)); err != nil {
		t.Fatal(err)
	}
}

// TestBubbleStoredCopyOfUnhandled: letters come to a connected wallet, and no actor of it
// finishes them. Once there is one that does, the stored copies come, in order and once each.
func TestBubbleStoredCopyOfUnhandled(t *testing.T) {
	for name, broken := range map[string]func(t *testing.T, w kit.Member) (mend func()){
		"no handler": func(t *testing.T, w kit.Member) func() {
			setType(t, w, nil)
			return func() {
				if err := w.DHT().RegisterType(t.Context(), kit.TextType, w.Heard.New); err != nil {
					t.Fatal(err)
				}
			}
		},
		"panics": func(t *testing.T, w kit.Member) func() {
			setType(t, w, func(*gamelan.Node) actor.Actor { return panicking{} })
			return func() { setType(t, w, w.Heard.New) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := kit.Asking(t)
				author := kit.StartMember(net, gamelan.Config{})
				server := kit.StartMember(net, gamelan.Config{})
				wallet := kit.StartMember(net, gamelan.Config{Client: true}, kit.Quiet)
				net.Connect(author.Node, server.Node)
				net.Connect(wallet.Node, server.Node)
				time.Sleep(10 * time.Minute) // its first requests are long over
				mend := broken(t, wallet)
				want := kit.StoredLetters(6)
				for _, body := range want {
					kit.StoreFor(t, author, wallet.PublicKey(), body)
				}
				time.Sleep(15 * time.Second)
				synctest.Wait()
				wantLetters(t, "unhandled", wallet, nil)
				if name == "no handler" {
					kit.Says(t, wallet.Node.Node, codes.Unhandled)
				}
				mend()
				time.Sleep(4 * time.Minute) // within the server's grace
				synctest.Wait()
				wantLetters(t, "handled", wallet, want)
				for _, m := range wallet.Heard.Delivered() {
					if !m.Stored || m.From != author.PublicKey() || m.Peer != server.ID() {
						t.Errorf("got %+v, want a stored message of the author", m)
					}
				}
				time.Sleep(time.Hour)
				wantLetters(t, "later", wallet, want)
			})
		})
	}
}

// TestBubbleStoredCopyOfStuck: an actor finishes nothing for 15 s. The letters that are dropped
// meanwhile come from the server that has stored them, also if others of a type that nobody
// handles have come for long, and the wallet asks less and less often for those.
func TestBubbleStoredCopyOfStuck(t *testing.T) {
	for name, before := range map[string]int{"once": 0, "after much that nobody handles": 120} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := kit.Asking(t)
				author := kit.StartMember(net, gamelan.Config{})
				server := kit.StartMember(net, gamelan.Config{})
				wallet := kit.StartMember(net, gamelan.Config{Client: true, PeerCredit: 1 << 15}, kit.Quiet)
				net.Connect(author.Node, server.Node)
				net.Connect(wallet.Node, server.Node)
				time.Sleep(10 * time.Minute)
				for range before {
					kit.Send(t, author, dht.Message{To: dht.StoreFor{To: wallet.PublicKey()}, Type: kit.TextType + 1, Encrypt: true, Body: []byte("what?")})
					time.Sleep(time.Minute)
				}
				unblock := wallet.Heard.Block()
				want := kit.StoredLetters(6)
				for _, body := range want {
					kit.StoreFor(t, author, wallet.PublicKey(), body)
				}
				time.Sleep(15 * time.Second)
				unblock()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := wallet.Heard.Len(); got != len(want) {
					t.Errorf("got %d letters, want each of %d once", got, len(want))
				}
			})
		})
	}
}

// TestBubbleStoredWhileAwayOfUnhandled: a wallet has had much that nobody handles, and asks for it less and
// less often. Then it is away, and for a minute after its return nobody handles what was stored meanwhile.
// These letters come while the server has them.
func TestBubbleStoredWhileAwayOfUnhandled(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author := kit.StartMember(net, gamelan.Config{})
		server := kit.StartMember(net, gamelan.Config{})
		wallet := kit.StartMember(net, gamelan.Config{Client: true}, kit.Quiet)
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		for range 120 {
			kit.Send(t, author, dht.Message{To: dht.StoreFor{To: wallet.PublicKey()}, Type: kit.TextType + 1, Encrypt: true, Body: []byte("what?")})
			time.Sleep(time.Minute)
		}
		net.Partition(wallet.Node, server.Node)
		net.Cut(wallet.Node, server.Node)
		time.Sleep(time.Minute)
		want := kit.StoredLetters(6)
		for _, body := range want {
			kit.StoreFor(t, author, wallet.PublicKey(), body)
		}
		time.Sleep(10 * time.Minute)
		setType(t, wallet, nil)
		net.Heal(wallet.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(time.Minute)
		wantLetters(t, "unhandled", wallet, nil)
		if err := wallet.DHT().RegisterType(t.Context(), kit.TextType, wallet.Heard.New); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		wantLetters(t, "handled", wallet, want)
	})
}

// TestBubbleStoredCopyOverRestart: a wallet ends with messages in the hands of its actor that
// were relayed to it. It is back within the server's grace, and gets the stored copies.
func TestBubbleStoredCopyOverRestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		cfg := gamelan.Config{Client: true, DataDir: t.TempDir()}
		author := kit.StartMember(net, gamelan.Config{})
		server := kit.StartMember(net, gamelan.Config{})
		wallet := kit.StartMember(net, cfg, kit.Quiet)
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		setType(t, wallet, func(*gamelan.Node) actor.Actor { return keepsCredit{} })
		want := kit.StoredLetters(3)
		for _, body := range want {
			kit.StoreFor(t, author, wallet.PublicKey(), body)
		}
		time.Sleep(5 * time.Second)
		if err := wallet.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := kit.StartMember(net, cfg)
		net.Connect(again.Node, server.Node)
		time.Sleep(4 * time.Minute)
		wantLetters(t, "after the restart", again, want)
	})
}
