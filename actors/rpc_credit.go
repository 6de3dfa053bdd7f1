package actors

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// rpcCredit is what all sessions of a peer with one side may hold of what comes
// in. It draws on the part for calls while large frames arrive.
type rpcCredit struct {
	*credit.Account
	budgets credit.NodeBudgets

	mu       sync.Mutex
	arriving int // large frames
}

func newRPCCredit(e *Env) *rpcCredit {
	return &rpcCredit{Account: e.budgets.Inbound.Account(e.PeerCredit), budgets: e.budgets}
}

// arrives is the beginning of a large frame.
func (c *rpcCredit) arrives() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving++; c.arriving == 1 {
		c.Move(c.budgets.Calls)
	}
}

// arrived is its end, whole or not.
func (c *rpcCredit) arrived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving--; c.arriving == 0 {
		c.Move(c.budgets.Inbound)
	}
}
