package inboxes

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleInboxStoredOverStop: a node stops in order while stored and relayed letters are on
// their way into its inbox. They are kept, and when the node is back, the copies that the
// server still has are not kept a second time.
func TestBubbleInboxStoredOverStop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		var failing atomic.Bool
		fault := gamelan.WithFault(func(path, point string) {
			if failing.Load() && strings.HasSuffix(path, "/extensions/handler") && strings.Contains(point, "wrote") {
				panic("crash on purpose: " + point)
			}
		})
		cfg := gamelan.Config{Client: true, DataDir: t.TempDir(), DHT: &gamelan.DHTConfig{}}
		keeps := gamelan.WithInbox(gamelan.InboxConfig{Types: []int32{kit.TextType}})
		author, server := kit.StartMember(net, gamelan.Config{}), kit.StartMember(net, gamelan.Config{})
		wallet := net.Start(cfg, keeps, fault, kit.Quiet)
		net.Connect(author.Node, server.Node)
		letters := kit.StoredLetters(4)
		for _, body := range letters[:2] {
			kit.StoreFor(t, author, wallet.PublicKey(), body)
		}
		time.Sleep(time.Second)
		failing.Store(true)
		net.Connect(wallet, server.Node)
		go wallet.DHT().FetchStored(t.Context())
		time.Sleep(100 * time.Millisecond)
		for _, body := range letters[2:] {
			kit.StoreFor(t, author, wallet.PublicKey(), body)
		}
		synctest.Wait()
		if n := kit.FateOf(wallet, dht.Delivered); n != uint64(len(letters)) {
			t.Fatalf("got %d letters on their way into the inbox, want %d", n, len(letters))
		}
		failing.Store(false)
		if err := wallet.Close(t.Context()); err != nil {
			t.Fatal(err)
		}

		again := net.Start(cfg, keeps)
		net.Connect(again, server.Node)
		time.Sleep(4 * time.Minute) // the server offers its copies again
		kept(t, again, len(letters))
		if s := kit.WantStored(t, "in the grace", server, len(letters)); s.Confirmed <= uint64(len(letters)) {
			t.Errorf("got %+v, want copies confirmed again", s)
		}
	})
}
