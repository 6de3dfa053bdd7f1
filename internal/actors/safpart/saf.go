package safpart

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Settings are the limits of store and forward and what it works with.
type Settings struct {
	// NoStore makes the node store no further messages. What is stored is still handed
	// out.
	NoStore bool
	// NoRequests makes the node ask others for its messages on request only.
	NoRequests bool
	// SinceLast asks a peer only for what it stored since the last messages that were all
	// handled here.
	SinceLast bool
	Limits    saf.Limits

	Neighbours int // nodes, and clients, that the region of this node has at least
	Minimise   int // connections that the node keeps if it closes others; 0: it closes none

	DB    kv.DB
	Dedup *dht.Dedup
	// Host is used by the verbs, and by the methods that wait for an actor.
	Host trunk.Host
}

// Saf is the store and forward of one node. Its actors share it, and it outlives their
// incarnations.
type Saf struct {
	Settings
	// The actors of the part. Keeper is nil for a client of the network, which stores
	// nothing.
	Keeper, Client *actor.PID

	trunk  Trunk
	store  *store.Store
	marks  *store.Watermarks
	answer int64                           // bytes of an answer
	under  int64                           // bytes of all answers under way
	moved  func(identity.NodeID) time.Time // when bytes were last written to a peer
	client *clientState
	silent atomic.Pointer[map[identity.NodeID]time.Time] // peers that leave requests unanswered, and until when they are not asked

	trouble atomic.Pointer[dht.StorageTrouble]
	kept    keptCounts // of the actor keeper, which alone uses it
}

const (
	keeperPath = "saf/keeper"
	clientPath = "saf/client"
)

// New returns the store and forward of a node. It must be called before the node's actors
// start. The error is that of the store on the disk.
func New(t Trunk, s Settings) (*Saf, error) {
	f := &Saf{Settings: s, Client: t.PID(clientPath), trunk: t}
	var err error
	if f.store, err = store.Open(s.DB.Client()); err != nil {
		return nil, err
	}
	if f.marks, err = store.OpenWatermarks(s.DB.Client()); err != nil {
		return nil, err
	}
	t.Provide(dht.ProviderOf(wire.TypeStoredMessages), f.Client)
	if t.Features()&identity.FeatureStoreForward == 0 {
		return f, nil
	}
	f.Keeper = t.PID(keeperPath)
	f.answer, f.under = f.answerBytes(), t.Budgets().Outbound.Limit()/underShare
	f.moved = t.Frames().Moved
	t.Provide(dht.ProviderOf(wire.TypeStoredRequest), f.Keeper)
	if !s.NoStore {
		t.Provide(dht.Store, f.Keeper)
	}
	return f, nil
}

// Answers are small enough that several fit the credit of messages that are being sent, that
// one leaves room for other messages to its peer, and large enough for any message that is
// stored (spec: dht Q23).
const (
	mostAnswer   = 4 << 20
	answerShare  = 128     // of the node's credit for sending
	answerBeside = 4 << 10 // less than half of the credit of its peer
)

// answerBytes returns how many bytes the messages of one answer have at most.
func (f *Saf) answerBytes() int64 {
	share := min(mostAnswer, f.trunk.Budgets().Outbound.Limit()/answerShare, f.trunk.PeerCredit()/2-answerBeside)
	largest := int64(saf.Size(f.Limits.Message + wire.MaxHeaderBytes))
	frame := int64(f.trunk.Profile().Limits.MessageBody) - saf.AnswerOverhead - wire.MaxHeaderBytes
	return min(max(share, largest), frame)
}

// Part returns the actors of store and forward. The keeper's last writes end before the
// disk is closed.
func (f *Saf) Part() actors.Part {
	p := actors.Part{
		Name: "saf", Actors: []supervisor.Spec{
			{Name: "client", Kind: "safClient", New: func() actor.Actor { return newClient(f) }},
		},
		Sections: sections(f.section), Metrics: f.metrics, Verbs: f.Verbs(), Degraded: f.Degraded, Warnings: f.Warnings,
	}
	if f.Keeper == nil {
		return p
	}
	p.Actors = append(p.Actors, supervisor.Spec{
		Name: "keeper", Kind: "safKeeper", New: func() actor.Actor { return newKeeper(f) }, Drains: true, Alarm: users.HandlerAlarm,
	})
	p.Stages = map[string]actors.Stage{keeperPath: actors.StopStores}
	p.Ready = f.ready
	return p
}

// ready waits until the actor keeper has read what is stored.
func (f *Saf) ready(ctx context.Context) error {
	r, err := supervisor.Ask[Loaded](ctx, f.trunk.System(), f.Keeper, AwaitLoaded{})
	if err != nil {
		return err
	}
	if r.Err != nil {
		return fmt.Errorf("messages stored for others: %w", r.Err)
	}
	return nil
}

// Silent reports whether the peer left so many requests unanswered that it is not asked for
// a while: its release stores nothing for others (spec: V21). It may be called from any
// goroutine.
func (f *Saf) Silent(peer identity.NodeID) bool {
	all := f.silent.Load()
	return all != nil && (*all)[peer].After(f.trunk.Now())
}

// cancel ends the sending of such a message.
func (f *Saf) cancel(c actor.Context, id uint64) {
	if sender, ok := f.trunk.Provider(dht.Sender); ok {
		c.Send(sender, dht.CancelControl{ID: id})
	}
}
