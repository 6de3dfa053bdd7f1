package actors

import (
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// accounts is the credit of each peer for what we send it by one messaging
// protocol. It is the exception among the views: API callers take, messaging
// sessions return.
type accounts struct {
	env *env

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

	// moved is when bytes were last given to the peer's substream, in ns of the
	// node's clock since 1970.
	moved atomic.Int64

	// pinned: a session has it, as Messenger or on the way to that. Under
	// accounts.mu.
	pinned bool
}

// of returns the account for what is sent to a peer. One of a peer without a
// connection draws on the smaller budget of such peers.
func (s *accounts) of(peer identity.NodeID) *outAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(peer)
}

// pin is of for a session, which keeps the account: it is not forgotten before
// unpin.
func (s *accounts) pin(peer identity.NodeID) *outAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.find(peer)
	a.pinned = true
	return a
}

// unpin is the end of the session: the account is forgotten once it holds
// nothing.
func (s *accounts) unpin(peer identity.NodeID) {
	s.mu.Lock()
	if a, ok := s.byPeer[peer]; ok {
		a.pinned = false
	}
	s.mu.Unlock()
	s.drop(peer)
}

// find is of with the lock held.
func (s *accounts) find(peer identity.NodeID) *outAccount {
	if a, ok := s.byPeer[peer]; ok {
		return a
	}
	if s.byPeer == nil {
		s.byPeer = make(map[identity.NodeID]*outAccount)
	}
	budget := s.env.budgets.Unconnected
	if _, ok := s.env.Connections.Get(peer); ok {
		budget = s.env.budgets.Outbound
	}
	a := &outAccount{Account: budget.Account(s.env.PeerCredit)}
	s.byPeer[peer] = a
	return a
}

// settle moves the account of a peer to a budget.
func (s *accounts) settle(peer identity.NodeID, budget *credit.Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.byPeer[peer]; ok {
		a.Move(budget)
	}
}

// drop forgets the account of a peer that holds nothing and that no session
// has.
func (s *accounts) drop(peer identity.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.byPeer[peer]; ok && !a.pinned && a.Used() == 0 && a.Waiting() == 0 {
		delete(s.byPeer, peer)
	}
}

// settleAccounts moves the accounts of a peer to the budget of connected peers
// or back.
func (e *env) settleAccounts(peer identity.NodeID, connected bool) {
	budget := e.budgets.Unconnected
	if connected {
		budget = e.budgets.Outbound
	}
	for _, m := range e.messagings() {
		m.accounts.settle(peer, budget)
	}
}

// sessionAlarm is the depth from which on a messaging session's mailbox is
// reported: more than the messages that the peer's credit admits, each of which
// may have an outcome under way as well.
func (e *env) sessionAlarm() int { return 2*int(e.PeerCredit/credit.Overhead) + 64 }
