package rpcpart_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// fakeTrunk stands for the rest of the node: no peer is connected, and nobody answers.
type fakeTrunk struct {
	rpcpart.Trunk // what is not here is not called
	sys           *actor.ActorSystem
	ids           uint64
	dials         []uint64 // tokens
	cancelled     []uint64
}

func (f *fakeTrunk) System() *actor.ActorSystem { return f.sys }
func (f *fakeTrunk) Now() time.Time             { return time.Now() }

func (f *fakeTrunk) NewID() uint64 { f.ids++; return f.ids }

func (f *fakeTrunk) PID(path string) *actor.PID { return f.sys.NewLocalPID("stage/node/" + path) }

func (f *fakeTrunk) Connection(identity.NodeID) (*actors.ConnRef, bool) { return nil, false }
func (f *fakeTrunk) Unreachable(identity.NodeID) error                  { return nil }
func (f *fakeTrunk) Budgets() credit.NodeBudgets                        { return credit.NewNodeBudgets(1 << 20) }

func (f *fakeTrunk) PeerCredit() int64                                                 { return 1 << 16 }
func (f *fakeTrunk) OpenSubstream(*actors.ConnRef, uint64, *actor.PID, ...protocol.ID) {}

func (f *fakeTrunk) Dial(token uint64, _ identity.NodeID, _ *actor.PID, _ string) {
	f.dials = append(f.dials, token)
}

func (f *fakeTrunk) CancelDial(token uint64, _ identity.NodeID, _ *actor.PID) {
	f.cancelled = append(f.cancelled, token)
}

// TestSecondDialIsCancelled has the connection end on which a session was to be
// opened, and the caller go while another one is dialled.
func TestSecondDialIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		discard := slog.New(slog.DiscardHandler)
		f := &fakeTrunk{sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }))}
		calls := rpcpart.New(f, rpcpart.Settings{Sessions: 1, SessionsPerPeer: 1, Clients: 1, Calls: 10, CallsPerPeer: 10})
		services := supervisor.Spec{Name: "services", Kind: "group", New: supervisor.Group(calls.Part().Services[1])}
		node := supervisor.Spec{Name: "node", Kind: "group", New: supervisor.Group(services)}
		root, err := supervisor.Start(f.sys, "stage", node, supervisor.Options{Logger: discard})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := root.Stop(context.Background(), nil); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
		}()
		tell := func(m any) {
			f.sys.Root.Send(calls.Client, m)
			synctest.Wait()
		}

		key := rpcpart.Key{Peer: identity.NodeID{1}, Protocol: "service/1"}
		gone := false
		tell(rpcpart.AcquireSession{Key: key, Gone: func() bool { return gone }})
		if len(f.dials) != 1 {
			t.Fatalf("got %d dials for a caller, want 1", len(f.dials))
		}
		tell(dialling.PeerDialed{Token: f.dials[0], Peer: key.Peer, Conn: &actors.ConnRef{ID: 1, Peer: key.Peer}})
		tell(connections.SubstreamFailed{Token: f.dials[0], Err: actors.ErrConnectionClosed, ConnectionLost: true})
		if len(f.dials) != 2 {
			t.Fatalf("got %d dials after the connection was lost, want 2", len(f.dials))
		}
		gone = true
		tell(rpcpart.CallerGone{Key: key})
		if len(f.cancelled) != 1 {
			t.Errorf("got %d dials cancelled after the caller has gone, want 1", len(f.cancelled))
		}
	})
}
