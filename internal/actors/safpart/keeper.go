package safpart

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// keeper stores messages for other nodes and answers their requests (spec: dht 8.2, 8.4).
// Its index in memory decides at once which messages are stored, handed out and deleted; the
// disk follows in one task at a time.
//
// In: dht.Offered, dht.Heard with a request, dht.Reached, dht.Sent, Purge, GetState, AwaitLoaded, event
// actors.StoreHealed, actors.PeerConnected, actors.PeerDisconnected, Drain. Out: dht.RelayHeard and dht.IgnoreHeard to the inbound actor
// of the source, dht.SendControl with an answer, dht.CancelControl, Purged, ServerState, Loaded, Drained, events
// StorageTroubled and StorageHealed. A restart reads the index from the disk again. Messages that come meanwhile wait; if the
// disk cannot be read they are relayed without being stored. A restart loses messages whose
// write has not begun, requests to purge, which get no reply, and the counts of requests.
// Requests without an answer are lost too, and counted; the requester asks again.
type keeper struct {
	f     *Saf
	index *saf.Index // nil until what is stored has been read
	round uint64     // of the store
	early []early    // messages that came while it is read

	visits  *saf.Visits
	rules   saf.Rules
	looked  time.Time // when the region was computed
	looking bool

	next      pending           // changes for the next write
	writing   pending           // those of the write under way
	busy      bool              // a load or a write is under way
	unwritten map[uint64][]byte // envelopes of both
	bytes     int64             // of them
	fails     int               // loads or writes in a row that failed
	err       error
	retry     *supervisor.Timer

	expire   *supervisor.Timer
	expireAt time.Time

	requests saf.Requests
	answers  map[uint64]answer // under way, by the id of the send or of the read
	shares   share.Shares[identity.NodeID]
	large    int64      // bytes of large answers under way
	small    int64      // bytes of other answers under way
	waiting  []*request // that wait for others to end
	serial   uint64     // of the last of them
	looks    bool       // a lookDue is to come
	refused  int        // that wait because their answers had no credit

	purges   []*purging
	awaiting []*actor.PID
	draining *actor.PID
}

// early is a message that came before what is stored has been read.
type early struct {
	dht.Offered
	from *actor.PID
}

// keptCounts is the state of keeper that outlives its incarnations.
type keptCounts struct {
	refused [256]uint64 // by saf.Refusal, before the index was asked
	late    uint64      // not stored because the disk is slow or fails
	dropped uint64      // requests that had waited for too long
	gaveUp  uint64      // answers that did not move while others waited
	ended   uint64      // requests whose answer an end of the actor has prevented
	damaged int         // entries of the disk that could not be read, at the last start
}

// mostUnwritten bounds the bytes of stored messages that wait for the disk.
const mostUnwritten = 16 << 20

func newKeeper(f *Saf) actor.Actor {
	return &keeper{f: f, visits: saf.NewVisits(saf.MostVisits), unwritten: make(map[uint64][]byte), answers: make(map[uint64]answer)}
}

type (
	expireDue struct{}
	retryDue  struct{}
	purgeDue  struct{}
	reviewDue struct{}
)

func (k *keeper) Receive(c actor.Context) {
	k.receive(c)
	k.report(c)
}

func (k *keeper) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, k.abandon)
		supervisor.Subscribe[actors.StoreHealed](c)
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		k.review(c)
		k.load(c)
	case actors.PeerConnected:
		k.visits.Connected(supervisor.Now(c), visit(m.Conn))
		k.write(c)
	case actors.PeerDisconnected:
		k.visits.Disconnected(supervisor.Now(c), m.Peer)
		k.write(c)
	case reviewDue:
		k.review(c)
	case dht.Offered:
		k.offered(c, m, c.Sender())
	case dht.Heard:
		k.asked(c, m, c.Sender())
	case dht.Reached:
		k.reached(c, m)
	case dht.Sent:
		k.sent(c, m)
	case overdue:
		k.overdue(c, m)
	case refusedDue:
		k.askAgain(c, m)
	case lookDue:
		k.looks = false
		k.answerNext(c)
		k.giveUp(c)
	case supervisor.Done[loaded]:
		k.loaded(c, m)
	case supervisor.Done[saf.Region]:
		k.seen(c, m)
	case supervisor.Done[written]:
		k.written(c, m.Err)
	case supervisor.Done[read]:
		k.read(c, m)
	case expireDue:
		k.expire = nil
		k.expired(c)
	case retryDue:
		k.retry = nil
		k.again(c)
	case actors.StoreHealed: // another client's writes succeed again, so these may too
		if k.retry != nil {
			k.retry.Stop()
			k.retry = nil
			k.again(c)
		}
	case Purge:
		k.purge(c, m)
	case purgeDue:
		k.purgeMore(c)
	case AwaitLoaded:
		if k.index != nil {
			supervisor.Reply(c, Loaded{})
			return
		}
		k.awaiting = append(k.awaiting, c.Sender())
	case GetState:
		supervisor.Reply(c, k.state(c))
	case supervisor.Drain:
		k.draining = c.Sender()
		k.relayEarly()
		k.write(c)
	default:
		supervisor.Unhandled(c)
	}
}

// abandon has early messages relayed when the incarnation ends, and counts the requests
// that get no answer.
func (k *keeper) abandon() {
	k.relayEarly()
	unsent := k.requests.Waiting()
	for _, a := range k.answers {
		if a.begun.IsZero() { // it was not given to the actor that sends
			unsent++
		}
	}
	k.f.kept.ended += uint64(unsent + len(k.waiting) + k.refused)
}

// relayEarly has early messages relayed that will not be stored.
func (k *keeper) relayEarly() {
	for _, e := range k.early {
		k.f.kept.late++
		k.f.trunk.System().Root.Send(e.from, dht.NewRelayHeard(e.Heard, e.Otherwise))
	}
	k.early = nil
}

// offered decides on a message for another node, and has it relayed. While what is stored
// is read, the message waits with its credit.
func (k *keeper) offered(c actor.Context, m dht.Offered, to *actor.PID) {
	if k.index == nil {
		m.Credit = m.Credit.HandOver()
		k.early = append(k.early, early{m, to})
		if k.err != nil || k.draining != nil {
			k.relayEarly()
		}
		return
	}
	k.look(c)
	stored, before := k.keep(c, m)
	switch {
	case before:
		return
	case stored:
		c.Send(to, dht.NewRelayHeard(m.Heard, m.IfKept))
	default:
		c.Send(to, dht.NewRelayHeard(m.Heard, m.Otherwise))
	}
	k.write(c)
}

// keep stores a message if the rules and the limits allow it. before says that it was
// stored already.
func (k *keeper) keep(c actor.Context, m dht.Offered) (stored, before bool) {
	priority, why := k.rules.Storable(m.Incoming, k.destination(supervisor.Now(c)))
	if why != 0 {
		k.f.kept.refused[why]++
		return false, false
	}
	envelope := m.Envelope.Append(nil)
	if k.fails > 0 || k.draining != nil || k.bytes+int64(len(envelope)) > mostUnwritten {
		k.f.kept.late++
		return false, false
	}
	r := saf.Record{
		Hash: m.Hash, Destination: m.Envelope.Header.Destination.Key.NodeID(), Source: m.Incoming.Source,
		StoredAt: m.Wall.Unix(), Size: saf.Size(len(envelope)), Priority: priority,
	}
	r.From, r.Last = k.source(supervisor.Now(c), r.Source)
	ref, gone, why := k.index.Add(supervisor.Now(c), r)
	if why != 0 {
		return false, why == saf.AlreadyStored
	}
	r.Seq = ref.Seq
	k.next.add = append(k.next.add, store.Message{Record: r, Envelope: envelope})
	k.next.refs = append(k.next.refs, ref)
	k.unwritten[ref.Seq] = envelope
	k.bytes += int64(len(envelope))
	k.evict(gone)
	k.watch(c)
	return true, false
}

// evict has messages deleted that have made way for the last one of next, once that is on the
// disk. Those that are written together with it are not written at all.
func (k *keeper) evict(gone []uint64) {
	for _, seq := range gone {
		if seq < k.next.add[0].Seq {
			k.next.evicted = append(k.next.evicted, seq)
			continue
		}
		k.index.Settle([]uint64{seq})
		k.remove([]uint64{seq})
	}
}

// remove has messages deleted from the disk that the index has removed.
func (k *keeper) remove(seqs []uint64) { k.next.delete = append(k.next.delete, seqs...) }

// expireMost is how many messages are removed in one turn, so that others are stored
// meanwhile.
const expireMost = 1000

// expired removes messages whose time is over.
func (k *keeper) expired(c actor.Context) {
	if k.index == nil {
		return
	}
	gone := k.index.Expire(supervisor.Now(c), expireMost)
	k.remove(gone)
	if len(gone) == expireMost {
		k.expire, k.expireAt = supervisor.After(c, 0, expireDue{}), time.Time{}
	} else {
		k.watch(c)
	}
	k.write(c)
}

// expirePause is the least time between two removals, so that many messages are removed
// together.
const expirePause = time.Second

// watch sets the timer for the next message whose time is over.
func (k *keeper) watch(c actor.Context) {
	due := k.index.Due()
	if due.IsZero() {
		return
	}
	if least := supervisor.Now(c).Add(expirePause); due.Before(least) {
		due = least
	}
	if k.expire != nil {
		if !due.Before(k.expireAt) {
			return
		}
		k.expire.Stop()
	}
	k.expire, k.expireAt = supervisor.At(c, due, expireDue{}), due
}

// again tries again what the disk has refused.
func (k *keeper) again(c actor.Context) {
	if k.index == nil {
		k.load(c)
		return
	}
	k.write(c)
}

// health records the result of a load or a write, and has it tried again after a failure.
func (k *keeper) health(c actor.Context, err error) {
	switch {
	case err != nil:
		if !sameText(k.err, err) {
			supervisor.Log(c).Error("messages for other nodes cannot be stored; they are relayed only, and it is tried again", "err", err)
		}
		k.fails++
		if k.retry == nil {
			k.retry = supervisor.After(c, kv.RetryAfter(k.fails), retryDue{})
		}
	case k.fails > 0:
		supervisor.Log(c).Info("messages for other nodes can be stored again")
		k.fails = 0
		if k.retry != nil { // a purge may have found out before it
			k.retry.Stop()
			k.retry = nil
		}
	}
	k.err = err
}

// String is the keeper's line in the tree.
func (k *keeper) String() string {
	if k.index == nil {
		return "reads the messages stored for others"
	}
	s := k.index.Stats()
	line := fmt.Sprintf("%s stored for %s", inspect.Count(uint64(s.Messages), "message"), inspect.Count(uint64(s.Destinations), "node"))
	if n := len(k.answers) + len(k.waiting); n > 0 {
		line += fmt.Sprintf(", %s under way", inspect.Count(uint64(n), "answer"))
	}
	if k.err != nil {
		line += ", " + k.err.Error()
	}
	return line
}
