package rpcpart

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
)

// inboundCredit is the credit for arriving frames that all sessions of a peer share, on
// the server's side or on the client's. While a large frame arrives, it draws on the
// budget for large frames of calls.
type inboundCredit struct {
	*credit.Account
	budgets credit.NodeBudgets
	// shared is what the calls of a session share, of all sessions, apart from the credit of the node: it is kept while nothing comes.
	shared *credit.Account
	// windows is the credit for items that may wait. It is apart from that for whole messages: one that is larger than
	// a peer's credit is admitted when nothing else is held.
	windows *credit.Account

	mu       sync.Mutex
	arriving int // large frames that are arriving
}

func newInboundCredit(k *Calls, server bool) *inboundCredit {
	t, budgets := k.trunk, k.trunk.Budgets()
	k.once.Do(func() {
		k.windows = budgets.Calls.Part(budgets.Calls.Limit() / 2) // so that large messages find room
		k.shared[0], k.shared[1] = credit.NewBudget(sharedMost), credit.NewBudget(sharedMost)
	})
	shared := k.shared[0]
	if server {
		shared = k.shared[1]
	}
	return &inboundCredit{
		Account: budgets.Inbound.Account(t.PeerCredit()), windows: k.windows.Account(t.PeerCredit()),
		shared: shared.Account(t.PeerCredit()), budgets: budgets,
	}
}

// arrives notes the beginning of a large frame.
func (c *inboundCredit) arrives() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving++; c.arriving == 1 {
		c.Move(c.budgets.Calls)
	}
}

// arrived notes the end of a large frame, complete or not.
func (c *inboundCredit) arrived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving--; c.arriving == 0 {
		c.Move(c.budgets.Inbound)
	}
}

// sharedMost is how many bytes all peers' calls, or all answers to calls of this node, share at most. Without them a message needs a round trip more.
const sharedMost = 16 << 20

// sharedCredit is what the calls of a session share.
type sharedCredit struct {
	of   *inboundCredit
	held bool
}

// take takes it, unless there is none to spare.
func (s *sharedCredit) take(of *inboundCredit) bool {
	s.of, s.held = of, of.shared.TryTake(manycalls.Shared)
	return s.held
}

// giveBack gives it back, once.
func (s *sharedCredit) giveBack() {
	if s.held {
		s.held = false
		s.of.shared.Return(manycalls.Shared)
	}
}
