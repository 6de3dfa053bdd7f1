package dhtpart

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// TestPassedCredit follows the credit of a frame that goes on with another
// message. Each step says whether the credit must have gone back after it.
func TestPassedCredit(t *testing.T) {
	type step struct {
		name string
		do   func(f Frame, m dht.Credit)
		back bool
	}
	var release func()
	finishFrame := func(f Frame, _ dht.Credit) { f.Finish() }
	discardFrame := func(f Frame, _ dht.Credit) { f.Discard() }
	finish := func(_ Frame, m dht.Credit) { m.Finish() }
	discard := func(_ Frame, m dht.Credit) { m.Discard() }
	keep := func(_ Frame, m dht.Credit) { release = m.Keep() }
	let := func(Frame, dht.Credit) { release() }
	for name, steps := range map[string][]step{
		"handled":   {{"frame ends", finishFrame, false}, {"message ends", finish, true}, {"and again", discard, true}},
		"overtaken": {{"message ends first", finish, true}, {"frame ends", finishFrame, true}},
		"unheard":   {{"frame ends", finishFrame, false}, {"message is dropped", discard, true}, {"and again", finish, true}},
		"panic":     {{"frame is dropped", discardFrame, true}, {"message ends", finish, true}, {"is dropped", discard, true}},
		"kept": {
			{"keep", keep, false},
			{"frame ends", finishFrame, false},
			{"message ends", finish, false},
			{"release", let, true},
			{"and again", let, true},
		},
		"panic of a keeper": {{"keep", keep, false}, {"message is dropped", discard, true}, {"release", let, true}},
	} {
		t.Run(name, func(t *testing.T) {
			account := credit.NewNodeBudgets(1 << 20).Inbound.Account(1 << 16)
			const n = 1000
			if !account.TryTake(n) {
				t.Fatal("got no credit")
			}
			f := Frame{Peer: identity.NodeID{1}, Conn: 2, permit: permit(account, n)}
			m := f.pass()
			if got, want := m.Source(), f.Source(); got != want {
				t.Errorf("got the source %v, want that of the frame, %v", got, want)
			}
			for _, s := range steps {
				s.do(f, m) // Return panics when it is the second one
				if got := account.Used() == 0; got != s.back {
					t.Fatalf("%s: got credit back: %v, want %v", s.name, got, s.back)
				}
			}
		})
	}
	t.Run("not relayed", func(t *testing.T) {
		account := credit.NewNodeBudgets(1 << 20).Inbound.Account(1 << 16)
		account.TryTake(5)
		Frame{permit: permit(account, 5)}.Finish()
		if got := account.Used(); got != 0 {
			t.Errorf("got %d bytes held by a frame that ended, want none", got)
		}
	})
	t.Run("without credit", func(t *testing.T) {
		m := Frame{}.pass()
		m.Finish()
		m.Keep()()
		m.Discard()
	})
}

func permit(account *credit.Account, n int) *credit.Permit {
	p := new(credit.Permit)
	p.Init(account, n)
	return p
}
