package rpcpart

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// inboundCredit is the credit for arriving frames that all sessions of a peer share, on
// the server's side or on the client's. While a large frame arrives, it draws on the
// budget for large frames of calls.
type inboundCredit struct {
	*credit.Account
	budgets credit.NodeBudgets
	// windows is the credit for items that may wait. It is apart from that for whole messages: one that is larger than
	// a peer's credit is admitted when nothing else is held.
	windows *credit.Account

	mu       sync.Mutex
	arriving int // large frames that are arriving
}

func newInboundCredit(k *Calls) *inboundCredit {
	t, budgets := k.trunk, k.trunk.Budgets()
	k.windowsOnce.Do(func() { k.windows = budgets.Calls.Part(budgets.Calls.Limit() / 2) }) // so that large messages find room
	return &inboundCredit{
		Account: budgets.Inbound.Account(t.PeerCredit()), windows: k.windows.Account(t.PeerCredit()), budgets: budgets,
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
