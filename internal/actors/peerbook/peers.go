package peerbook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// peers is the single writer of the peer store. It changes the index in memory at
// once; a task writes the changes to the disk in group commits. A request for a
// durable change is answered after a commit with sync. Other changes are synced within
// a second or so. While the disk fails, changes stay in memory, peers tries to commit
// at growing intervals, and it answers requests for durable changes with the error.
//
// In: AddPeer, BanPeer, UnbanPeer, ForgetPeer, ImportPeers, SeenPeer. Out: their replies,
// events PeersGiven, PeerBanned, PeerUnbanned, StoreTroubled, StoreHealed and ClockSet. A restart
// answers the requests that wait for the disk with an error. The index is not part of
// the actor and stays.
type peers struct {
	room *Room

	owed       []owed // replies that wait for a commit not yet begun
	committing []owed // replies that wait for the commit under way
	busy       bool   // a commit is under way
	flush      *supervisor.Timer

	syncing bool              // the commit under way syncs
	synced  time.Time         // when the last commit with sync succeeded
	settle  *supervisor.Timer // for the next commit with sync

	fails int               // commits in a row that failed
	retry *supervisor.Timer // set while the next commit has to wait for it
	slow  *supervisor.Timer // set while a commit is under way and not late
}

// String is the actor's line in the tree.
func (p *peers) String() string {
	line := fmt.Sprintf("%d peers, %d requests wait for the disk", p.room.Store.View().Len(), len(p.owed)+len(p.committing))
	if p.fails > 0 {
		line += fmt.Sprintf(", %d commits in a row have failed", p.fails)
	}
	return line
}

// GivenAddress is an address that the user has given, and when.
type GivenAddress struct {
	Addr ma.Multiaddr
	At   time.Time // of the node's clock
}

// owed is a reply that waits until the disk has the change that it acknowledges.
type owed struct {
	to    *actor.PID
	reply func(err error) any
}

// NewPeers makes the actor that writes the peer store.
func NewPeers(room *Room) actor.Actor { return &peers{room: room} }

type (
	flushTick   struct{}
	retryCommit struct{}
	slowCommit  struct{}
	syncTick    struct{}
	pruneTick   struct{}
	wallTick    struct{}
)

const (
	// flushDelay is how long changes without a waiting reply may stay in memory.
	flushDelay = 50 * time.Millisecond
	// commitSync is how long committed changes may stay without a sync. Until the sync
	// a failure of the disk can still lose them; the sync then reports the failure.
	commitSync = time.Second
	// commitLimit is how long replies wait for a commit. The commit itself goes on,
	// because a disk operation cannot be cancelled.
	commitLimit = 10 * time.Second
	// pruneEvery is how often the store is pruned (spec: V31).
	pruneEvery = 10 * time.Minute
	// wallEvery is how often the actor checks whether the system's clock was set.
	// A difference below wallSlack is ignored.
	wallEvery = 10 * time.Second
	wallSlack = time.Second
)

func (p *peers) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, p.abandon)
		p.room.Store.Rewind() // an earlier incarnation may have left a batch behind
		supervisor.Every(c, pruneEvery, pruneTick{})
		supervisor.Every(c, wallEvery, wallTick{})
		p.prune(c)
	case AddPeer:
		p.add(c, m)
	case BanPeer:
		p.ban(c, m)
	case UnbanPeer:
		p.room.Store.Unban(m.Peer)
		supervisor.Publish(c, actors.PeerUnbanned{Peer: m.Peer})
		p.durable(c, owed{to: c.Sender(), reply: func(err error) any { return actors.PeerUnbanned{Token: m.Token, Peer: m.Peer, Err: err} }})
	case ForgetPeer:
		p.room.Store.Forget(m.Peer)
		p.room.given.Delete(m.Peer)
		p.durable(c, owed{to: c.Sender(), reply: func(err error) any { return PeerForgotten{m.Token, m.Peer, err} }})
	case ImportPeers:
		p.importPeers(c, m)
	case SeenPeer:
		p.seen(c, m)
	case supervisor.Drain:
		if p.retry != nil { // this is the last chance for a commit
			p.retry.Stop()
			p.retry = nil
		}
		p.durable(c, owed{to: c.Sender(), reply: func(error) any { return supervisor.Drained{From: p.room.Peers} }})
	case supervisor.Done[struct{}]:
		p.committed(c, m.Err)
	case flushTick:
		p.flush = nil
		p.commit(c)
	case syncTick:
		p.settle = nil
		p.commit(c)
	case retryCommit:
		p.retry = nil
		p.commit(c)
	case slowCommit:
		p.stalled(c)
	case pruneTick:
		p.prune(c)
	case wallTick:
		p.clock(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (p *peers) add(c actor.Context, m AddPeer) {
	old, known := p.room.Store.View().Get(m.Peer.ID)
	if m.Keep {
		m.Peer.Flags |= old.Flags
	}
	merged, err := p.room.Store.Add(supervisor.Wall(c), p.spared(m.Peer))
	if err == nil && known && m.Given {
		p.given(supervisor.Now(c), merged.ID, m.Peer.Addresses)
	}
	if err == nil && m.Durable { // only the user's are
		supervisor.Publish(c, actors.PeersGiven{})
	}
	if err != nil || !m.Durable {
		p.answer(c, owed{to: c.Sender(), reply: func(error) any { return PeerAdded{m.Token, m.Peer.ID, err} }}, nil)
		p.changed(c)
		return
	}
	p.durable(c, owed{to: c.Sender(), reply: func(err error) any { return PeerAdded{m.Token, merged.ID, err} }})
}

// given notes the addresses of a known peer that the user has just given. An unknown
// peer does not need this: it has no other addresses.
func (p *peers) given(now time.Time, peer identity.NodeID, list []peerstore.Address) {
	if p.room.given.Len() >= maxGiven {
		p.room.given.Clear()
	}
	addrs := make([]GivenAddress, len(list))
	for i, a := range list {
		addrs[i] = GivenAddress{a.Addr, now}
	}
	p.room.given.Set(peer, addrs)
}

// dialled removes from Given the addresses that were tried: they no longer go first.
func (p *peers) dialled(peer identity.NodeID, attempts []actors.DialAttempt) {
	left, ok := p.room.given.Get(peer)
	if !ok {
		return
	}
	left = slices.DeleteFunc(slices.Clone(left), func(g GivenAddress) bool { // readers may hold the old slice
		return slices.ContainsFunc(attempts, func(a actors.DialAttempt) bool { return a.Addr.Equal(g.Addr) })
	})
	if len(left) > 0 {
		p.room.given.Set(peer, left)
	} else {
		p.room.given.Delete(peer)
	}
}

// maxGiven bounds the peers whose given addresses are still to be dialled.
const maxGiven = 256

// spared returns the record, without its ban if the peer is on the allow list.
func (p *peers) spared(peer peerstore.Peer) peerstore.Peer {
	id := peer.ID
	if id.IsZero() {
		id = peer.Key.NodeID()
	}
	if p.room.Allowed(id) {
		peer.BannedUntil, peer.BanReason = time.Time{}, ""
	}
	return peer
}

// importPeers adds records as they are. It also keeps their bans, except for peers on
// the allow list.
func (p *peers) importPeers(c actor.Context, m ImportPeers) {
	p.clock(c)
	now := supervisor.Wall(c)
	var done actors.Imported
	var failed error
	for _, peer := range m.Peers {
		peer = p.spared(peer)
		if peer.Key.IsZero() && peer.BannedUntil.IsZero() { // the record was only a ban
			done.Skipped++
			continue
		}
		merged, added, err := p.room.Store.Import(now, peer)
		switch {
		case errors.Is(err, peerstore.ErrSelf):
			done.Skipped++
			continue
		case err != nil:
			failed = fmt.Errorf("peer %s: %w", peer.ID, err)
		case added:
			done.Added++
		default:
			done.Merged++
		}
		if failed != nil {
			break
		}
		if merged.Banned(now) {
			supervisor.Publish(c, actors.PeerBanned{Peer: merged.ID, Until: merged.BannedUntil, Reason: merged.BanReason})
		}
	}
	if done.Added > 0 {
		supervisor.Publish(c, actors.PeersGiven{})
	}
	p.durable(c, owed{to: c.Sender(), reply: func(err error) any {
		if err != nil {
			return PeersImported{Token: m.Token, Err: err}
		}
		return PeersImported{m.Token, done, failed}
	}})
}

func (p *peers) ban(c actor.Context, m BanPeer) {
	p.clock(c)
	now := supervisor.Wall(c)
	until := now.Add(m.For)
	ban, stored := p.room.Store.BanFrom(now, m.Peer, m.Key, until, m.text(), m.Origin)
	if !stored { // too many peers are banned that were never reached, and this one came from a source (V31)
		limit := min(m.For, connpool.OffencesWithin) // other peers may share the source
		if source, fresh := p.room.needs.RefuseSource(m.Origin, limit); fresh {
			supervisor.Log(c).Warn("too many bans of peers that were never reached; a source is refused in place of more", "addr", source, "for", limit)
		}
		c.Send(c.Sender(), actors.PeerBanned{Token: m.Token, Peer: m.Peer, Err: actors.ErrBansFull}) // there is no ban to publish
		return
	}
	banned := actors.PeerBanned{Token: m.Token, Peer: m.Peer, For: m.For, Until: ban.BannedUntil, Reason: ban.BanReason, Severity: m.Severity}
	supervisor.Publish(c, banned) // the ban holds from now on, even if the disk fails
	p.durable(c, owed{to: c.Sender(), reply: func(err error) any { banned.Err = err; return banned }})
}

func (p *peers) seen(c actor.Context, m SeenPeer) {
	p.dialled(m.Peer, m.Attempts)
	for _, a := range m.Attempts {
		at := p.room.OnWall(a.At)
		if a.Err == nil {
			p.room.Store.Seen(at, m.Peer, a.Addr, a.Handshake)
			p.room.Store.DialTook(at, m.Peer, a.Addr, a.Took-a.Handshake)
		} else {
			p.room.Store.DialFailed(at, m.Peer, a.Addr, a.Err.Error())
		}
	}
	p.changed(c)
}

func (p *peers) prune(c actor.Context) {
	p.clock(c)
	removed, corrected := p.room.Store.Prune(supervisor.Wall(c))
	if removed > 0 {
		supervisor.Log(c).Info("peers removed to keep the store in its limits", "n", removed)
	}
	if corrected > 0 {
		supervisor.Log(c).Warn("the clock was set back; times of peers that lay ahead of it are now", "n", corrected)
	}
	p.changed(c)
}

// clock checks whether the system's clock was set, or the machine has slept. If so, it moves the bans by the same
// time, so that they last as long as intended, and publishes ClockSet or MachineSlept.
func (p *peers) clock(c actor.Context) {
	slept := p.room.slept()
	if slept > 0 {
		supervisor.Log(c).Info("the machine slept", "for", slept.Round(time.Second))
		supervisor.Publish(c, actors.MachineSlept{For: slept})
	}
	by, moved := p.room.setBanClock(supervisor.Wall(c).Sub(supervisor.Now(c)))
	if set := by - slept; by != 0 && set.Abs() >= wallSlack {
		supervisor.Log(c).Warn("the system's clock was set", "by", set.Round(time.Second), "bans", moved)
		supervisor.Publish(c, actors.ClockSet{By: set})
	}
	if moved > 0 {
		p.durable(c, owed{reply: func(error) any { return nil }})
	}
}

// durable sends the reply after the next commit, or at once with the error if there are
// unsaved changes and the disk fails or does not answer.
func (p *peers) durable(c actor.Context, o owed) {
	if trouble, ok := p.room.Trouble.Get(); ok && (p.retry != nil || p.busy && p.slow == nil) && p.unsaved() {
		p.answer(c, o, trouble.Err)
		return
	}
	p.owed = append(p.owed, o)
	p.commit(c)
}

// unsaved reports whether the disk may lack changes of the index.
func (p *peers) unsaved() bool { return p.room.Store.Pending() > 0 || p.room.Store.Unsynced() }

// changed makes sure that changes without a waiting reply are committed soon.
func (p *peers) changed(c actor.Context) {
	if p.flush == nil && !p.busy && p.retry == nil {
		p.flush = supervisor.After(c, flushDelay, flushTick{})
	}
}

// commit starts a group commit unless one is under way or has to be tried again later.
// Changes that come meanwhile go with the next one.
func (p *peers) commit(c actor.Context) {
	if p.busy || p.retry != nil {
		return
	}
	sync := len(p.owed) > 0 || supervisor.Now(c).Sub(p.synced) >= commitSync
	batch := p.room.Store.Batch()
	if batch == nil && sync {
		batch = p.room.Store.SyncBatch()
	}
	if batch == nil {
		if p.room.Store.Unsynced() {
			p.syncLater(c)
			return
		}
		p.health(c, nil) // an earlier incarnation may have ended before the result of its last commit
		for _, o := range p.owed {
			p.answer(c, o, nil)
		}
		p.owed = nil
		return
	}
	p.busy = true
	p.committing, p.owed, p.syncing = p.owed, nil, sync
	p.slow = supervisor.After(c, commitLimit, slowCommit{})
	supervisor.Do(c, "commit", func(context.Context) (struct{}, error) { return struct{}{}, batch.Commit(sync) })
}

func (p *peers) committed(c actor.Context, err error) {
	p.busy = false
	if p.slow != nil {
		p.slow.Stop()
		p.slow = nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %w; changes are kept in memory and tried again", actors.ErrStoreFailed, err)
		p.room.Store.Rewind() // the next batch has these changes again, even if the task has panicked
	}
	if err == nil && p.syncing {
		p.synced = supervisor.Now(c)
	}
	p.health(c, err)
	for _, o := range p.committing {
		p.answer(c, o, err)
	}
	p.committing = nil
	switch {
	case err != nil: // the next batch has these changes again
		p.retry = supervisor.After(c, kv.RetryAfter(p.fails), retryCommit{})
		for _, o := range p.owed {
			p.answer(c, o, err)
		}
		p.owed = nil
	case len(p.owed) > 0:
		p.commit(c)
	default:
		p.changed(c)
	}
}

// syncLater plans a commit with sync after commits without.
func (p *peers) syncLater(c actor.Context) {
	if p.settle == nil {
		p.settle = supervisor.After(c, max(0, p.synced.Add(commitSync).Sub(supervisor.Now(c))), syncTick{})
	}
}

// stalled answers all waiting requests with an error when a commit takes too long.
func (p *peers) stalled(c actor.Context) {
	p.slow = nil
	if !p.busy {
		return
	}
	err := fmt.Errorf("%w: a write has not ended for %v; changes are kept in memory until it does", actors.ErrStoreFailed, commitLimit)
	p.health(c, err)
	for _, o := range append(p.committing, p.owed...) {
		p.answer(c, o, err)
	}
	p.committing, p.owed = nil, nil
}

// health records how the last commit ended. When the store begins or ceases to fail, or
// the error changes, it logs and publishes that. It writes the view Trouble.
func (p *peers) health(c actor.Context, err error) {
	old, troubled := p.room.Trouble.Get()
	switch {
	case err != nil:
		p.fails++
		trouble := actors.StoreTroubled{Since: supervisor.Now(c), Err: err}
		if troubled {
			trouble.Since = old.Since
		}
		p.room.Trouble.Open(trouble)
		if !troubled || old.Err.Error() != err.Error() {
			supervisor.Log(c).Error("the peer store cannot be written", "err", err)
			supervisor.Publish(c, trouble)
		}
	case troubled:
		p.fails = 0
		p.room.Trouble.Close()
		supervisor.Log(c).Info("the peer store can be written again", "took", supervisor.Now(c).Sub(old.Since))
		supervisor.Publish(c, actors.StoreHealed{})
	}
}

// abandon answers the requests that wait for the disk when this incarnation ends.
func (p *peers) abandon() {
	for _, o := range append(p.committing, p.owed...) {
		if o.to != nil {
			p.room.System.Root.Send(o.to, o.reply(actors.ErrNotDurable))
		}
	}
}

func (p *peers) answer(c actor.Context, o owed, err error) {
	if o.to != nil {
		c.Send(o.to, o.reply(err))
	}
}
