package inboxes

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleInboxShares floods an inbox that nobody reads, over the DHT and with plain
// messages: every message of an honest node over the DHT is kept all the same, and so is
// every one of those that come when the flood has ended.
func TestBubbleInboxShares(t *testing.T) {
	const most, floods, each = 200, 30, 10
	for name, flood := range map[string]func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, honest kit.Member) (relay *gamelantest.Node){
		"ever new authors over one peer": func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, _ kit.Member) *gamelantest.Node {
			relay := kit.StartMember(net, gamelan.Config{})
			net.Connect(relay.Node, to)
			for i := range floods {
				from := kit.StartMember(net, gamelan.Config{Client: true})
				net.Connect(from.Node, relay.Node)
				for j := range each {
					kit.Send(t, from, kit.Relayed(relay.Node, to, fmt.Sprintf("flood %d of %d", j, i)))
				}
			}
			return nil
		},
		"one author over many peers": func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, _ kit.Member) *gamelantest.Node {
			from := kit.StartMember(net, gamelan.Config{})
			for i := range floods {
				relay := kit.StartMember(net, gamelan.Config{})
				net.Connect(relay.Node, to)
				net.Connect(from.Node, relay.Node)
				for j := range each {
					kit.Send(t, from, kit.Relayed(relay.Node, to, fmt.Sprintf("flood %d of %d", j, i)))
				}
			}
			return nil
		},
		"one author over the relay of the honest node": func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, honest kit.Member) *gamelantest.Node {
			relay, from := kit.StartMember(net, gamelan.Config{}), kit.StartMember(net, gamelan.Config{})
			net.Connect(relay.Node, to)
			net.Connect(from.Node, relay.Node)
			net.Connect(honest.Node, relay.Node)
			for i := range floods * each {
				kit.Send(t, from, kit.Relayed(relay.Node, to, fmt.Sprintf("flood %d", i)))
			}
			return relay.Node
		},
		"many peers, each the author": func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, _ kit.Member) *gamelantest.Node {
			for i := range 8 {
				from := kit.StartMember(net, gamelan.Config{})
				net.Connect(from.Node, to)
				for j := range 5 * each {
					kit.Send(t, from, dht.Message{To: dht.Direct{Peer: to.ID()}, Type: kit.TextType, Sign: true, Body: fmt.Appendf(nil, "flood %d of %d", j, i)})
				}
			}
			return nil
		},
		"plain messages": func(t *testing.T, net *gamelantest.Network, to *gamelantest.Node, _ kit.Member) *gamelantest.Node {
			from := kit.StartMember(net, gamelan.Config{})
			net.Connect(from.Node, to)
			for i := range floods * each {
				kit.Enqueue(t, from.Node, to, fmt.Sprintf("flood %d", i))
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: most, Types: []int32{kit.TextType}}))
				honest := kit.StartMember(net, gamelan.Config{})
				net.Connect(honest.Node, to)
				var relay *gamelantest.Node
				letter := func(i int) {
					if relay != nil {
						kit.Send(t, honest, kit.Relayed(relay, to, fmt.Sprintf("honest %d", i)))
						return
					}
					kit.Send(t, honest, dht.Message{To: dht.Direct{Peer: to.ID()}, Type: kit.TextType, Sign: true, Body: fmt.Appendf(nil, "honest %d", i)})
				}
				letter(0)
				relay = flood(t, net, to, honest)
				time.Sleep(time.Minute) // the flood has come first
				for i := range 3 {
					letter(1 + i)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				s := to.Inbox().Status()
				if s.Dropped+uint64(s.Waiting) < floods*each-most {
					t.Fatalf("got %d dropped and %d that wait, want at least %d: %+v", s.Dropped, s.Waiting, floods*each-most, s)
				}
				kept := 0
				for _, body := range kit.Take(t, to, s.Messages, 0, gamelan.ListenOptions{All: true}) {
					if len(body) > 6 && body[:6] == "honest" {
						kept++
					}
				}
				if kept != 4 {
					t.Errorf("got %d messages of the honest node kept beside %d others, want all 4", kept, s.Messages-kept)
				}
			})
		})
	}
}
