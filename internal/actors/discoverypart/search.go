package discoverypart

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// search finds the holders of keys for the DHT's sends and for the user, and answers the
// Discoveries of others (spec: dht 7.3, V22).
//
// In: DiscoverPeer, dht.Heard with a Discovery or a response, PeersListed, dht.Sent,
// PeerAdded, PeerDialed, events PeerConnected and PeersLearned. Out: PeerDiscovered, ListPeers, DialPeer,
// dht.SendControl, dht.IgnoreHeard to the inbound actor of the source, AddPeer,
// PeerViolated, event PeersLearned. A restart loses the searches, whose askers get
// ErrSearchLost, and the counts of recent Discoveries. All other counts stay.
type search struct {
	d        *Discovery
	receiver discovery.Receiver
	limits   *discovery.Limiter
	searches *discovery.Searches[asker]
	learned  learned
	sending  map[uint64]uint64 // nonces of our Discoveries, by the id of the send
	replying replies
	dialling map[uint64]uint64 // nonces of Discoveries of others whose author is being dialled, by the token of the dial
	due      *supervisor.Timer
	dueAt    time.Time
}

// asker is who asked for a search.
type asker struct {
	to    *actor.PID
	token uint64
}

// searchCounts is the state of search that outlives its incarnations.
type searchCounts struct {
	SearchState
	refused refusals
}

type searchDue struct{}

// replies are the Discoveries of others whose author is being stored, which takes a moment.
type replies map[identity.NodeID]waitingReply

type waitingReply struct {
	nonce uint64
	until time.Time // from then on its place is free: the actor peers may have lost the request
}

const (
	maxReplying = discovery.ReplyLimit
	replyWait   = time.Minute
)

// add remembers a Discovery, unless all places are taken.
func (r replies) add(now time.Time, author identity.NodeID, nonce uint64) {
	if len(r) >= maxReplying {
		maps.DeleteFunc(r, func(_ identity.NodeID, w waitingReply) bool { return !now.Before(w.until) })
	}
	if _, ok := r[author]; ok || len(r) < maxReplying {
		r[author] = waitingReply{nonce, now.Add(replyWait)}
	}
}

// take returns the nonce of an author's Discovery, and forgets it.
func (r replies) take(author identity.NodeID) (nonce uint64, ok bool) {
	w, ok := r[author]
	delete(r, author)
	return w.nonce, ok
}

// ErrSearchLost reports a search that ended because its actor was restarted.
var ErrSearchLost = errors.New("dht: the actor that searches was restarted meanwhile; try again")

// errNotAnnounced reports that a Discovery cannot say where to send the answer.
var errNotAnnounced = fmt.Errorf("dht: cannot search: %w", ErrNothingToAnnounce)

func newSearch(d *Discovery) actor.Actor {
	return &search{d: d, limits: discovery.NewLimiter(), sending: make(map[uint64]uint64), replying: make(replies), dialling: make(map[uint64]uint64)}
}

func (s *search) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.start(c)
	case trunk.DiscoverPeer:
		to := m.Reply
		if to == nil {
			to = c.Sender()
		}
		s.step(c, discovery.Find[asker]{Waiter: asker{to, m.Token}, Key: m.Key, Until: m.Until, Peer: s.knowledge(m.Key)})
	case dht.Heard:
		if m.Envelope.Header.Type == wire.TypeDiscovery {
			s.discovery(c, m)
		} else {
			s.response(c, m)
		}
		s.show()
	case peerbook.PeerAdded:
		s.added(c, m)
	case learnedDue:
		s.learned.publish(c)
	case PeersListed:
		s.recheck(c)
		s.step(c, discovery.ListsEnded{})
	case dht.PeersLearned:
		s.recheck(c)
	case actors.PeerConnected:
		s.stored(c, m.Conn.Key)
	case dialling.PeerDialed:
		s.dialled(c, m)
	case dht.Sent:
		s.sent(c, m)
	case searchDue:
		s.due = nil
		s.step(c, discovery.Tick{})
	default:
		supervisor.Unhandled(c)
	}
}

func (s *search) start(c actor.Context) {
	t := s.d.trunk
	s.searches = discovery.NewSearches[asker](t.Secret().PublicKey(), s.d.Settings.Search, supervisor.Rand(c).Rand)
	s.receiver = s.d.receiver(s.searches.Asked)
	supervisor.OwnFunc(c, s.abandon)
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[dht.PeersLearned](c)
	s.show()
}

// knowledge returns what the node knows of the holder of a key. A record whose addresses
// have all failed, or may not be dialled, is of no use: the peer may have others by now. A record without
// addresses, such as that of a ban, is of use only while the peer is connected.
func (s *search) knowledge(key identity.PublicKey) discovery.Knowledge {
	t, id := s.d.trunk, key.NodeID()
	if t.Banned(id) != nil {
		return discovery.KnownBanned
	}
	if _, connected := t.Connection(id); connected { // even if the store cannot take the peer
		return discovery.Known
	}
	if p, ok := t.Store().Get(id); ok && t.Dialable(p) == nil && !p.Offline() {
		return discovery.Known
	}
	return discovery.Unknown
}

// recheck ends the searches for peers that the peer store has meanwhile.
func (s *search) recheck(c actor.Context) {
	for _, r := range s.searches.Running() {
		if s.knowledge(r.Key) == discovery.Known {
			s.stored(c, r.Key)
		}
	}
}

// stored ends the search for a peer that the peer store has.
func (s *search) stored(c actor.Context, key identity.PublicKey) {
	if s.searches.Searching(key) {
		s.step(c, discovery.Stored{Key: key})
	}
}

// step applies an event and carries out what follows from it.
func (s *search) step(c actor.Context, e discovery.SearchEvent) {
	s.do(c, s.searches.Step(supervisor.Now(c), e))
	if next := s.searches.Next(); s.due == nil || !next.Equal(s.dueAt) {
		if s.due != nil {
			s.due.Stop()
			s.due = nil
		}
		if !next.IsZero() {
			s.due, s.dueAt = supervisor.At(c, next, searchDue{}), next
		}
	}
	s.show()
}

func (s *search) do(c actor.Context, effects []discovery.SearchEffect) {
	for _, e := range effects {
		switch e := e.(type) {
		case discovery.AskLists:
			c.Request(s.d.Netsync, ListPeers{})
		case discovery.SendDiscovery:
			if err := s.broadcast(c, e); err != nil {
				s.do(c, s.searches.Step(supervisor.Now(c), discovery.SearchFailed{Nonce: e.Nonce, Err: err}))
			}
		case discovery.Answer[asker]:
			if e.Waiter.to != nil {
				c.Send(e.Waiter.to, trunk.PeerDiscovered{Token: e.Waiter.token, Key: e.Key, Err: e.Err})
			}
		}
	}
}

// broadcast sends a Discovery to a few connected nodes, encrypted for the peer that is
// searched for.
func (s *search) broadcast(c actor.Context, e discovery.SendDiscovery) error {
	own, ok := s.d.trunk.Claim()
	if !ok {
		return errNotAnnounced
	}
	id := s.d.trunk.NewID()
	err := s.d.trunk.SendControl(c, id, dht.Control{
		Type: wire.TypeDiscovery, To: dht.Broadcast{}, Destination: e.Key, Encrypt: true, Part: announcement(own, e.Nonce),
	})
	if err == nil {
		s.sending[id] = e.Nonce
	}
	return err
}

// sent tells a search how its Discovery went out. The outcome of a reply to a Discovery of
// others is of no interest.
func (s *search) sent(c actor.Context, m dht.Sent) {
	nonce, ok := s.sending[m.ID]
	if !ok {
		return
	}
	delete(s.sending, m.ID)
	n, err := reached(&m.Report)
	if err != nil && m.Report.Reason != 0 && m.Report.Reason != dht.NobodySelected {
		s.step(c, discovery.SearchFailed{Nonce: nonce, Err: err})
		return
	}
	s.step(c, discovery.SendEnded{Nonce: nonce, Reached: n})
}

// discovery handles the Discovery of another node.
func (s *search) discovery(c actor.Context, h dht.Heard) {
	v := discovery.Verdict{Outcome: discovery.TooOften}
	if h.Origin.IsZero() || s.limits.Discovery(supervisor.Now(c), s.d.from(h), h.Incoming.Source, h.Origin) {
		v = s.receiver.Discovery(h.Incoming)
	} else {
		c.Send(c.Sender(), dht.NewIgnoreHeard(h))
	}
	s.d.report(c, h, v)
	if v.Store == nil {
		s.d.searching.refused.add(v.Outcome)
		return
	}
	if v.Reply {
		s.replying.add(supervisor.Now(c), h.Origin.NodeID(), v.Nonce)
	}
	s.d.store(c, h, v, peerstore.Discovery)
}

// response handles the response to a Discovery, perhaps of ours.
func (s *search) response(c actor.Context, h dht.Heard) {
	v := s.receiver.Response(h.Incoming)
	if v.Outcome == discovery.Unasked {
		c.Send(c.Sender(), dht.NewIgnoreHeard(h))
	}
	s.d.report(c, h, v)
	switch {
	case v.Store != nil: // the search ends when the claim is stored
		s.d.store(c, h, v, peerstore.Discovery)
		return
	case !v.Pending:
	case s.knowledge(h.Origin) == discovery.Known: // its connection is enough
		s.stored(c, h.Origin)
	default:
		s.step(c, discovery.SearchFailed{Nonce: v.Nonce, Err: fmt.Errorf("dht: bad answer to the search: %w", v.Err)})
	}
	s.d.searching.refused.add(v.Outcome)
}

// added goes on with what waited for a peer to be stored: a search for it, and the reply to
// its Discovery.
func (s *search) added(c actor.Context, m peerbook.PeerAdded) {
	s.learned.added(c, m)
	if nonce, ok := s.replying.take(m.Peer); ok {
		s.answer(c, m.Peer, nonce)
	}
	if p, ok := s.d.trunk.Store().Get(m.Peer); ok && m.Err == nil {
		s.stored(c, p.Key)
	}
	s.show()
}

// answer replies to a Discovery. Its author says where to: so the author is dialled first,
// once, as for a stranger, and the reply is not sent if that fails.
func (s *search) answer(c actor.Context, to identity.NodeID, nonce uint64) {
	if _, ok := s.d.trunk.Connection(to); ok {
		s.reply(c, to, nonce)
		return
	}
	if len(s.dialling) < maxReplying {
		token := s.d.trunk.NewID()
		s.dialling[token] = nonce
		s.d.trunk.DialForStranger(token, to, c.Self(), "answer to a Discovery")
	}
}

func (s *search) dialled(c actor.Context, m dialling.PeerDialed) {
	nonce, ok := s.dialling[m.Token]
	delete(s.dialling, m.Token)
	if ok && m.Err == nil {
		s.reply(c, m.Peer, nonce)
		s.show()
	}
}

// reply answers a Discovery, directly to its author.
func (s *search) reply(c actor.Context, to identity.NodeID, nonce uint64) {
	own, ok := s.d.trunk.Claim()
	if !ok {
		return
	}
	err := s.d.trunk.SendControl(c, s.d.trunk.NewID(), dht.Control{
		Type: wire.TypeDiscoveryResponse, To: dht.Direct{Peer: to}, Part: announcement(own, nonce),
	})
	if err == nil {
		s.d.searching.Answered++
	}
}

// announcement returns the content of a Join, a Discovery or a response of this node.
func announcement(own identity.Claim, nonce uint64) []byte {
	a := wire.NewAnnouncement(own, nonce)
	return a.Append(nil)
}

// show writes the state for the inspector.
func (s *search) show() {
	v := s.d.searching.SearchState
	stats := s.searches.Stats()
	for _, n := range stats.Found {
		v.Found += n
	}
	v.Failed += stats.Nobody + stats.Silent + stats.Failed + stats.GaveUp
	v.Refused = s.d.searching.refused
	for _, r := range s.searches.Running() {
		v.Running = append(v.Running, Running{Key: r.Key, Stage: r.Stage.String(), Since: r.Since, Waiters: r.Waiters})
	}
	s.d.states.search.Store(&v)
}

// abandon answers the requests under way when the incarnation ends.
func (s *search) abandon() {
	for _, e := range s.searches.Abandon(ErrSearchLost) {
		if a, ok := e.(discovery.Answer[asker]); ok && a.Waiter.to != nil {
			s.d.trunk.System().Root.Send(a.Waiter.to, trunk.PeerDiscovered{Token: a.Waiter.token, Key: a.Key, Err: a.Err})
		}
	}
	if v := s.d.states.search.Load(); v != nil {
		s.d.searching.Found, s.d.searching.Failed = v.Found, v.Failed+uint64(len(v.Running))
	}
}

func (s *search) String() string {
	v := s.d.states.search.Load()
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%d searches, %d found, %d failed; %d of others answered", len(v.Running), v.Found, v.Failed, v.Answered)
}
