package product

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Spawn is gamelan/spawn-peer-actors: the actors of one connected peer, conn and
// messagingSession, are spawned until both have handled Started. The sessions
// that the conns take were made before, over pipes in memory; the task with
// which a conn accepts substreams is part of it.
func Spawn() harness.Case {
	const peers = 500
	return harness.Case{Name: "gamelan/spawn-peer-actors", Run: func(m *harness.Meter) (err error) {
		f, err := newFamily(m.Context(), peers)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		return m.Batch(peers, f.spawn)
	}}
}

// SpawnMemory is gamelan/spawn-peer-actors-memory: what the two actors hold at
// rest.
func SpawnMemory() harness.Case {
	const peers = 2000
	return harness.Case{Name: "gamelan/spawn-peer-actors-memory", Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		f, err := newFamily(m.Context(), peers)
		if err != nil {
			return err
		}
		return m.Memory(peers, time.Second, func() (func(), error) {
			return func() { _ = f.close() }, f.spawn()
		})
	}}
}

// family is a parent actor with the sessions for its children.
type family struct {
	*nodes
	node     *gamelan.Node
	sessions []*mux.Session // of both ends of each pipe
	specs    []supervisor.Spec
	started  sync.WaitGroup
}

func newFamily(ctx context.Context, peers int) (f *family, err error) {
	f = &family{nodes: &nodes{ctx: ctx}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	f.node, err = f.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, handle(func(c actor.Context) {
		if _, ok := c.Message().(begin); ok {
			for _, spec := range f.specs {
				supervisor.Spawn(c, spec)
			}
		}
	}))
	if err != nil {
		return f, err
	}
	trunk := nodetest.Trunk(f.node)
	for i := range peers {
		ours, err := f.pipe()
		if err != nil {
			return f, err
		}
		peer := identity.NodeID(payload(len(identity.NodeID{})))
		ref := &actors.ConnRef{ID: trunk.NewID(), Peer: peer, PID: trunk.System().NewLocalPID(fmt.Sprintf("conn-%d", i))}
		handover := supervisor.Hand(ours, nil)
		f.specs = append(f.specs,
			f.spec(fmt.Sprintf("conn-%d", i), func() actor.Actor { return trunk.NewConn(ref, handover) }),
			f.spec(fmt.Sprintf("session-%d", i), func() actor.Actor { return trunk.Plain().NewSession(peer) }))
	}
	return f, nil
}

// pipe makes one end of a session whose other end does nothing.
func (f *family) pipe() (*mux.Session, error) {
	a, b := net.Pipe()
	ours, err := mux.New(transporttest.NewBuffered(a, 4096), true, mux.Config{})
	if err != nil {
		return nil, err
	}
	theirs, err := mux.New(transporttest.NewBuffered(b, 4096), false, mux.Config{})
	if err != nil {
		return nil, err
	}
	f.sessions = append(f.sessions, ours, theirs)
	ours.Release()
	theirs.Release()
	return ours, nil
}

// spec is one child, which reports when it has handled Started.
func (f *family) spec(name string, make func() actor.Actor) supervisor.Spec {
	return supervisor.Spec{Name: name, New: func() actor.Actor { return &starter{make(), &f.started} }}
}

// starter passes everything on.
type starter struct {
	actor.Actor
	started *sync.WaitGroup
}

func (s *starter) Receive(c actor.Context) {
	s.Actor.Receive(c)
	if _, ok := c.Message().(*actor.Started); ok {
		s.started.Done()
	}
}

// spawn spawns all children and waits for them.
func (f *family) spawn() error {
	f.started.Add(len(f.specs))
	if err := tell(f.node, begin{}); err != nil {
		return err
	}
	f.started.Wait()
	return nil
}

func (f *family) close() error {
	err := f.nodes.close()
	for _, s := range f.sessions {
		s.Close()
	}
	return err
}
