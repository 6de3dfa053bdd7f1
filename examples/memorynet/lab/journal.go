package lab

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Action is what happened in a [Step].
type Action string

// The actions.
const (
	Connected    Action = "connected"
	Disconnected Action = "disconnected"
	Told         Action = "told"    // From sent the newcomer's Join to To, which had not heard it
	ToldAgain    Action = "again"   // From sent it to To, which had heard it before
	Learned      Action = "learned" // the newcomer stored Count peers that it had not known
)

// Step is something that happened while the newcomer joined.
type Step struct {
	At       time.Duration // since the newcomer started
	Action   Action
	From, To int // indexes in Lab.Members
	Hops     int // of the Join, from the newcomer to To
	Count    int
}

// journal records what the nodes report. Its methods may be called from any goroutine.
type journal struct {
	index   map[identity.NodeID]int
	changed chan struct{} // holds a token when something was recorded

	mu       sync.Mutex
	messages int // of the DHT that all nodes have received
	traced   int // the member whose join is recorded; -1: none
	began    time.Time
	steps    []Step
	heard    map[wire.Hash][]Step // Joins by their hash, since the trace began
	joins    map[wire.Hash]bool   // of these, the Joins of the traced member
	gossip   *Gossip
	letters  map[uint64]int // letters that have come, by number: how often
}

func newJournal(members []*Member) *journal {
	j := &journal{index: make(map[identity.NodeID]int), changed: make(chan struct{}, 1), traced: -1, letters: make(map[uint64]int)}
	for i, m := range members {
		j.index[m.ID] = i
	}
	return j
}

// options returns what makes a node report to the journal. The layer sees every message
// that the node receives; the actor receives news.
func (j *journal) options(member int) []gamelan.Option {
	layer := func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			v := next(m)
			j.message(member, m, v)
			return v
		}
	}
	return []gamelan.Option{
		gamelan.WithLayer(dht.BeforeVerify, layer),
		gamelan.WithType(newsType, func(n *gamelan.Node) actor.Actor { return &teller{n, j, member} }),
		gamelan.WithType(letterType, j.letterbox(member)),
	}
}

// notify tells the phase that runs to look again.
func (j *journal) notify() {
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// message records a message that a member has received.
func (j *journal) message(member int, m *dht.Incoming, v dht.Verdict) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.messages++
	switch m.Envelope.Header.Type {
	case wire.TypeDomain:
		j.came(member, &m.Envelope, v.Reason == dht.Delivered)
	case wire.TypeJoin:
		if j.traced < 0 {
			break
		}
		step := Step{At: time.Since(j.began), Action: Told, From: j.index[m.Source], To: member}
		if v.Reason == dht.Duplicate {
			step.Action = ToldAgain
		}
		j.heard[m.Hash] = append(j.heard[m.Hash], step)
		if i, ok := j.index[m.Origin.NodeID()]; ok && i == j.traced {
			j.joins[m.Hash] = true
		}
	}
}

// event records an event of a member.
func (j *journal) event(member int, value any) {
	defer j.notify()
	j.mu.Lock()
	defer j.mu.Unlock()
	if member != j.traced {
		return
	}
	step := Step{At: time.Since(j.began), From: member}
	switch e := value.(type) {
	case actors.PeerConnected:
		step = j.connected(e.Conn, step.At)
	case actors.PeerDisconnected:
		step.Action, step.To = Disconnected, j.index[e.Peer]
	case dht.PeersLearned:
		step.Action, step.To, step.Count = Learned, member, e.New
	default:
		return
	}
	j.steps = append(j.steps, step)
}

// connected is the step that made a connection of the traced member. The caller holds j.mu.
func (j *journal) connected(conn *gamelan.Connection, at time.Duration) Step {
	if conn.Direction == protocol.Inbound {
		return Step{At: at, Action: Connected, From: j.index[conn.Peer], To: j.traced}
	}
	return Step{At: at, Action: Connected, From: j.traced, To: j.index[conn.Peer]}
}

// received returns how many messages all members have received so far.
func (j *journal) received() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.messages
}

// trace begins to record how a member joins.
func (j *journal) trace(member int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.traced, j.began = member, time.Now()
	j.heard, j.joins = make(map[wire.Hash][]Step), make(map[wire.Hash]bool)
}

// traceEnd ends that, and returns the steps in the order in which they happened. Events of
// the member's connections may be missing: the reader of events begins when the member runs
// already, and the last ones may wait for it.
func (j *journal) traceEnd(connections []*gamelan.Connection) []Step {
	j.mu.Lock()
	defer j.mu.Unlock()
	steps := j.steps
	live := make(map[int]bool)
	for _, s := range steps {
		switch s.Action {
		case Connected:
			live[s.From], live[s.To] = true, true
		case Disconnected:
			live[s.To] = false
		}
	}
	for _, conn := range connections {
		if !live[j.index[conn.Peer]] {
			steps = append(steps, j.connected(conn, max(conn.Since.Sub(j.began), 0)))
		}
	}
	for hash := range j.joins {
		steps = append(steps, j.heard[hash]...)
	}
	member := j.traced
	j.traced, j.steps, j.heard, j.joins = -1, nil, nil, nil
	return ordered(steps, member)
}
