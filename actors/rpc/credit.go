package rpc

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// inboundCredit is what all sessions of a peer with one side may hold of what comes
// in. It draws on the part for calls while large frames arrive.
type inboundCredit struct {
	*credit.Account
	budgets credit.NodeBudgets

	mu       sync.Mutex
	arriving int // large frames
}

func newInboundCredit(t Trunk) *inboundCredit {
	budgets := t.Budgets()
	return &inboundCredit{Account: budgets.Inbound.Account(t.PeerCredit()), budgets: budgets}
}

// arrives is the beginning of a large frame.
func (c *inboundCredit) arrives() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving++; c.arriving == 1 {
		c.Move(c.budgets.Calls)
	}
}

// arrived is its end, whole or not.
func (c *inboundCredit) arrived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving--; c.arriving == 0 {
		c.Move(c.budgets.Inbound)
	}
}
