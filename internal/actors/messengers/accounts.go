package messengers

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// accounts holds, for one messaging protocol, the credit of each peer for the messages
// that this node sends to it. Unlike a view it has many writers, so it has a lock:
// senders take credit, and the peer's session returns it.
type accounts struct {
	room *Room

	mu     sync.Mutex
	byPeer map[identity.NodeID]*outAccount
}

// outAccount is the credit for the messages of one protocol to one peer.
type outAccount struct {
	*credit.Account

	// queue holds the messages to the peer that its session does not know yet.
	queue sendQueue

	// moved is when bytes were last written to the peer's substream, in nanoseconds of
	// the node's clock since 1970; 0 means never.
	moved atomic.Int64

	// pinned says that the peer has a session, or that one is being started: drop keeps
	// the account. Guarded by accounts.mu.
	pinned bool
}

// of returns the account for the messages to a peer, and makes it if there is none. An
// account of a peer without a connection draws on the smaller budget that such peers
// share.
func (s *accounts) of(peer identity.NodeID) *outAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(peer)
}

// used returns what the account of a peer holds, 0 if there is none.
func (s *accounts) used(peer identity.NodeID) int64 {
	s.mu.Lock()
	a, ok := s.byPeer[peer]
	s.mu.Unlock()
	if !ok {
		return 0
	}
	return a.Used()
}

// pin returns the account, as of does, for a session of the peer. The account is not
// dropped before unpin.
func (s *accounts) pin(peer identity.NodeID) *outAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.find(peer)
	a.pinned = true
	return a
}

// unpin reports that the peer's session has ended. It drops the account if the account
// holds no credit.
func (s *accounts) unpin(peer identity.NodeID) {
	s.mu.Lock()
	if a, ok := s.byPeer[peer]; ok {
		a.pinned = false
	}
	s.mu.Unlock()
	s.drop(peer)
}

// find is of for a caller that holds the lock.
func (s *accounts) find(peer identity.NodeID) *outAccount {
	if a, ok := s.byPeer[peer]; ok {
		return a
	}
	if s.byPeer == nil {
		s.byPeer = make(map[identity.NodeID]*outAccount)
	}
	budget := s.room.Budgets.Unconnected
	if _, ok := s.room.Connections.Get(peer); ok {
		budget = s.room.Budgets.Outbound
	}
	a := &outAccount{Account: budget.Account(s.room.PeerCredit)}
	s.byPeer[peer] = a
	return a
}

// all returns the accounts of all peers.
func (s *accounts) all() map[identity.NodeID]*outAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.byPeer)
}

// waiting returns the account of a peer if there are messages in its queue.
func (s *accounts) waiting(peer identity.NodeID) (*outAccount, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.byPeer[peer]
	if !ok {
		return nil, false
	}
	return a, a.queue.len() > 0
}

// withdraw ends the send of a message that is in the queue of a peer, if nobody has taken it.
func (s *accounts) withdraw(peer identity.NodeID, serial uint64) {
	s.mu.Lock()
	a, ok := s.byPeer[peer]
	s.mu.Unlock()
	if !ok {
		return
	}
	if q, taken := a.queue.withdraw(serial); q != nil && !taken {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Expired})
	}
}

// settle makes the account of a peer, if there is one, draw on a budget.
func (s *accounts) settle(peer identity.NodeID, budget *credit.Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.byPeer[peer]; ok {
		a.Move(budget)
	}
}

// drop forgets the account of a peer, unless the account is pinned, holds credit, or
// somebody waits for its credit.
func (s *accounts) drop(peer identity.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.byPeer[peer]; ok && !a.pinned && a.Used() == 0 && a.Waiting() == 0 && a.queue.leave() {
		delete(s.byPeer, peer)
	}
}

// SettleAccounts makes a peer's accounts of all messaging protocols draw on the budget
// of connected peers, or on the budget of the others.
func (r *Room) SettleAccounts(peer identity.NodeID, connected bool) {
	budget := r.Budgets.Unconnected
	if connected {
		budget = r.Budgets.Outbound
	}
	for _, m := range r.Messagings() {
		m.accounts.settle(peer, budget)
	}
}

// sessionAlarm returns the depth at which the mailbox of a messaging session is
// reported. Normal depths are lower: the peer's credit limits the messages, and the mailbox
// has at most one report and one withdrawal for each.
func (r *Room) sessionAlarm() int { return 2*int(r.PeerCredit/credit.Overhead) + 64 }

// Accounts returns how many peers have an account for what is sent to them.
func (m *Messaging) Accounts() int {
	m.accounts.mu.Lock()
	defer m.accounts.mu.Unlock()
	return len(m.accounts.byPeer)
}
