package stored

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// warnings collects what a node logs from warn on.
type warnings struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *warnings) option() gamelan.Option {
	return gamelan.WithLogger(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// TestBubbleServersOfReleases has a wallet whose only servers behave as release 1.0.0-rc.5: each
// answers with its newest 50 messages, again and again. It gets them, once each. The servers of
// another wallet behave as 6.2: they never answer. They are asked three times, and then no more
// on a day of new connections; a fetch says that there is no answer. No wallet warns or bans.
//
// conforms: V 33
func TestBubbleServersOfReleases(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		var log warnings
		wallet := kit.StartMember(net, gamelan.Config{Client: true}, log.option())
		var want []string
		for n := range saf.AnswerLimit {
			want = append(want, fmt.Sprintf("letter %02d", n))
		}
		newest := func(int) *wire.Envelope {
			var list []storedLetter
			for _, text := range slices.Backward(want) {
				list = append(list, storedLetter{text: text, ahead: -time.Minute})
			}
			e := answer(t, wallet.PublicKey(), list...)
			return &e
		}
		for range 2 {
			net.Connect(wallet.Node, kit.StartResponder(t, net, wallet.Node, newest))
		}
		time.Sleep(5 * time.Minute)
		wantLetters(t, "of rc.5", wallet, want)

		other := kit.StartMember(net, gamelan.Config{Client: true}, log.option())
		silent := kit.StartResponder(t, net, other.Node, func(int) *wire.Envelope { return nil })
		for range 20 {
			net.Connect(other.Node, silent)
			time.Sleep(time.Hour)
			if err := other.Disconnect(t.Context(), silent.ID()); err != nil {
				t.Fatal(err)
			}
		}
		if n := requests(t, other); n != saf.SilentAfter {
			t.Errorf("of 6.2: got %d requests, want %d", n, saf.SilentAfter)
		}
		net.Connect(other.Node, silent)
		if f, err := other.DHT().FetchStored(t.Context(), silent.ID()); err != nil || f.Servers[0].Err != saf.ErrUnanswered {
			t.Errorf("of 6.2: got %+v, %v, want no answer", f, err)
		}
		for _, w := range []kit.Member{wallet, other} {
			for p := range w.Peers().All() {
				if _, _, banned := w.Peers().Banned(p.ID); banned {
					t.Errorf("%v is banned", p.ID)
				}
			}
		}
		if got := log.String(); got != "" {
			t.Errorf("got warnings:\n%s", got)
		}
	})
}
