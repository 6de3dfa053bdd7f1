package actors

import (
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// accounts is the credit of each peer for what we send it. It is the exception
// among the views: API callers take, messaging sessions return.
type accounts struct {
	mu     sync.Mutex
	byPeer map[identity.NodeID]*outAccount
}

// outAccount is the credit for what is sent to one peer.
type outAccount struct {
	*credit.Account

	// detour counts the messages on their way through the messaging actor.
	// While there are any, later ones take the same way, or they would
	// overtake them.
	detour atomic.Int64

	// pinned: a session has it, as Messenger or on the way to that. Under
	// accounts.mu.
	pinned bool
}

// outbound returns the account for what is sent to a peer. One of a peer
// without a connection draws on the smaller budget of such peers.
func (e *Env) outbound(peer identity.NodeID) *outAccount {
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	return e.account(peer)
}

// pinAccount is outbound for a session, which keeps the account: it is not
// forgotten before unpinAccount.
func (e *Env) pinAccount(peer identity.NodeID) *outAccount {
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	a := e.account(peer)
	a.pinned = true
	return a
}

// unpinAccount is the end of the session: the account is forgotten once it
// holds nothing.
func (e *Env) unpinAccount(peer identity.NodeID) {
	e.accounts.mu.Lock()
	if a, ok := e.accounts.byPeer[peer]; ok {
		a.pinned = false
	}
	e.accounts.mu.Unlock()
	e.dropAccount(peer)
}

// account is outbound with the lock held.
func (e *Env) account(peer identity.NodeID) *outAccount {
	if a, ok := e.accounts.byPeer[peer]; ok {
		return a
	}
	if e.accounts.byPeer == nil {
		e.accounts.byPeer = make(map[identity.NodeID]*outAccount)
	}
	budget := e.budgets.Unconnected
	if _, ok := e.Connections.Get(peer); ok {
		budget = e.budgets.Outbound
	}
	a := &outAccount{Account: budget.Account(e.PeerCredit)}
	e.accounts.byPeer[peer] = a
	return a
}

// settleAccount moves the account of a peer to the budget of connected peers
// or back.
func (e *Env) settleAccount(peer identity.NodeID, connected bool) {
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	a, ok := e.accounts.byPeer[peer]
	if !ok {
		return
	}
	if connected {
		a.Move(e.budgets.Outbound)
	} else {
		a.Move(e.budgets.Unconnected)
	}
}

// dropAccount forgets the account of a peer that holds nothing and that no
// session has.
func (e *Env) dropAccount(peer identity.NodeID) {
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	if a, ok := e.accounts.byPeer[peer]; ok && !a.pinned && a.Used() == 0 && a.Waiting() == 0 {
		delete(e.accounts.byPeer, peer)
	}
}

// sessionAlarm is the depth from which on a messaging session's mailbox is
// reported: more than the messages that the peer's credit admits, each of which
// may have an outcome under way as well.
func (e *Env) sessionAlarm() int { return 2*int(e.PeerCredit/credit.Overhead) + 64 }
