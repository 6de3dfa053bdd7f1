package trunk_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// fake stands for another actor of the node: it remembers what it is sent, and
// publishes what it is told to.
type fake struct{ heard *record }

// record is what a fake has heard.
type record struct {
	mu       sync.Mutex
	messages []any
}

type publish struct{ event any }

func (f fake) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	case publish:
		supervisor.Publish(c, m.event)
	default:
		f.heard.mu.Lock()
		defer f.heard.mu.Unlock()
		f.heard.messages = append(f.heard.messages, m)
	}
}

// stage is a tree with real actors among fakes.
type stage struct {
	*trunk.Rooms
	heard map[string]*record // by name of the fake
}

// play starts a tree with the real actors; the others are fakes. It is for use
// in a bubble.
func play(t *testing.T, real map[string]func(*trunk.Rooms) actor.Actor) *stage {
	t.Helper()
	return playOn(t, kv.Memory(), real)
}

// playOn is play with the peer store in db.
func playOn(t *testing.T, db kv.DB, real map[string]func(*trunk.Rooms) actor.Actor) *stage {
	t.Helper()
	secret, err := identity.NewSecret(strings.NewReader(strings.Repeat("stage", 20)))
	if err != nil {
		t.Fatal(err)
	}
	store, err := peerstore.Open(db, peerstore.Options{Self: secret.NodeID(), TestAddresses: true})
	if err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	quiet := actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })
	s := &stage{heard: make(map[string]*record)}
	anyone := func(identity.PublicKey) error { return nil }
	s.Rooms = trunk.NewRooms(trunk.Settings{
		Base:         base.Settings{System: actor.NewActorSystem(quiet), Root: "stage", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now, Logger: discard},
		Store:        store,
		Connectivity: connectivity.Settings{MinConnected: 1},
		Dialling:     dialling.Settings{Listed: anyone, Admit: anyone},
		Messages:     messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16},
	})
	var specs []supervisor.Spec
	for _, name := range []string{"peers", "conns", "dialer", "connectivity", "services", "extensions"} {
		spec := supervisor.Spec{Name: name, Kind: name}
		if make, ok := real[name]; ok {
			spec.New = func() actor.Actor { return make(s.Rooms) }
			spec.Drains = name == "peers" || name == "conns" || name == "extensions" // as in wire.go of the root package
		} else {
			heard := new(record)
			s.heard[name] = heard
			spec.New = func() actor.Actor { return fake{heard} }
		}
		specs = append(specs, spec)
	}
	root, err := supervisor.Start(s.System, s.Root, supervisor.Spec{Name: "node", Kind: "group", New: supervisor.Group(specs...)}, supervisor.Options{Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
	return s
}

// introduce has the store know a peer with an address.
func (s *stage) introduce(t *testing.T, n int) identity.NodeID {
	t.Helper()
	var key identity.PublicKey
	binary.BigEndian.PutUint32(key[:], uint32(n+1))
	addr, err := ma.NewMultiaddr("/ip4/127.0.0.1/tcp/1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Book.Store.Add(time.Now(), peerstore.Peer{Key: key, Addresses: []peerstore.Address{{Addr: addr, Source: peerstore.Config}}})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// tell sends a message and waits until everybody is idle.
func (s *stage) tell(pid *actor.PID, m any) {
	s.System.Root.Send(pid, m)
	synctest.Wait()
}

func count[T any](r *record) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if _, ok := m.(T); ok {
			n++
		}
	}
	return n
}
