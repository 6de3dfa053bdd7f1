package interop

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// What we send is heard, or refused with what to change; what they send is heard, or
// told in our warnings. Their nodes with a DHT and those without one are met by ours
// with each setting of messages.
//
// conforms: comms 81
// feature: messages to connected peers and over the DHT, by the settings of both sides
func TestMessageSettings(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		for name, cfg := range map[string]gamelan.Config{
			"defaults":       {DHT: &gamelan.DHTConfig{}},
			"NoDHT":          {NoDHT: true},
			"PlainOnProfile": {NoDHT: true, PlainOnProfile: true},
		} {
			t.Run(name+", they have no DHT", func(t *testing.T) {
				n, p := startOurs(t, cfg), startTari(t, release)
				connect(t, n, p, weDial)
				onProfile := cfg.PlainOnProfile
				wantPlain(t, n, p, onProfile)
				if _, err := p.send(n.PublicKey(), batch{first: 7, count: 1, size: 20}); onProfile && err != nil {
					t.Errorf("they send: %v", err)
				}
				switch {
				case onProfile:
					gamelantest.Eventually(t, connectLimit, "their message here", func() bool { return n.heard(p.id).Count == 1 })
				case cfg.DHT != nil:
					gamelantest.Eventually(t, connectLimit, "a warning of their message", func() bool {
						return slices.ContainsFunc(n.Inspection().Node(t.Context()).Warnings.Texts(), func(w string) bool {
							return strings.Contains(w, p.id.String()) && strings.Contains(w, "cannot be decoded")
						})
					})
				default:
					time.Sleep(200 * time.Millisecond) // for what must not come
				}
				if got := n.heard(p.id).Count; !onProfile && got > 0 {
					t.Errorf("got %d of their messages, want none", got)
				}
				noBan(t, n, p)
			})
			t.Run(name+", they have the DHT", func(t *testing.T) {
				heard := gamelantest.NewCollector()
				var opts []gamelan.Option
				if cfg.DHT != nil {
					opts = append(opts, gamelan.WithType(domainType, heard.New))
				}
				n, p := startOurs(t, cfg, opts...), startTariDHT(t, release)
				connect(t, n, p, weDial)
				if cfg.PlainOnProfile { // that is for the others
					return
				}
				wantPlain(t, n, p, false)
				r, err := n.DHT().Send(t.Context(), dht.Message{To: dht.DirectKey{Key: p.key}, Type: domainType, Body: []byte("ours")})
				if cfg.DHT == nil {
					if !errors.Is(err, gamelan.ErrNoDHT) {
						t.Errorf("over the DHT: got %v, %v, want %v", r.String(), err, gamelan.ErrNoDHT)
					}
					noBan(t, n, p)
					return
				}
				if err != nil || r.Count(protocol.Confirmed) != 1 {
					t.Fatalf("over the DHT: got %v, %v, want it confirmed", r.String(), err)
				}
				p.delivery("ours")
				key := n.PublicKey()
				p.mustPost(letter{to: "key", key: &key, seal: "clear", messageType: domainType}, "theirs")
				gamelantest.Eventually(t, connectLimit, "their message here", func() bool { return slices.Contains(heard.Bodies(), "theirs") })
				if got := nodetest.DHT(n).Undecodable(); len(got) > 0 {
					t.Errorf("got %v that did not decode, want none", got)
				}
				noBan(t, n, p)
			})
		}
	})
}

// wantPlain sends them a plain message.
func wantPlain(t *testing.T, n *ours, p *tari, taken bool) {
	t.Helper()
	out, err := n.Send(t.Context(), p.id, numbered(1, 20))
	switch {
	case err != nil:
		t.Fatal(err)
	case taken:
		if out.Kind != protocol.Confirmed {
			t.Fatalf("plain: got %v, want confirmed", out)
		}
		gamelantest.Eventually(t, connectLimit, "our message there", func() bool { return p.received(n.PublicKey()).Count == 1 })
		// It knows of no ids: what asks for one thing more is refused, and Resend goes without an id.
		for name, opt := range map[string]gamelan.SendOption{"Kept": gamelan.Kept(), "Handled": gamelan.Handled()} {
			if out, err := n.Send(t.Context(), p.id, numbered(1, 20), opt, gamelan.Until(time.Hour)); err != nil || out.Kind != protocol.Failed || !errors.Is(out.Err, actors.ErrNotTaken) {
				t.Errorf("%s: got %v, %v, want it refused", name, out, err)
			}
		}
		if out, err := n.Send(t.Context(), p.id, numbered(2, 20), gamelan.Resend()); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("Resend: got %v, %v, want confirmed", out, err)
		}
		gamelantest.Eventually(t, connectLimit, "our second message there", func() bool { return p.received(n.PublicKey()).Count == 2 })
	case out.Kind != protocol.Failed || out.Reason != protocol.Refused || !errors.Is(out.Err, actors.ErrNotTaken) || !strings.Contains(out.Err.Error(), "it is no node of Gamelan"):
		t.Errorf("plain: got %v, want it refused, with what to change", out)
	}
}
