package storypart

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// stage is a node of which this part alone runs.
type stage struct {
	Trunk // nil: the rest is not used
	t     *testing.T
	sys   *actor.ActorSystem
	conns view.Map[identity.NodeID, *actors.ConnRef]
	store *peerstore.Store
	story *Story
	root  *supervisor.Root

	mu    sync.Mutex
	log   bytes.Buffer
	wrong models.Notices
	whole bool
}

func (s *stage) System() *actor.ActorSystem { return s.sys }
func (s *stage) PID(path string) *actor.PID {
	return s.sys.NewLocalPID("test/" + strings.TrimPrefix(path, name+"/"))
}
func (s *stage) Connectivity() *actor.PID                                 { return s.sys.NewLocalPID("nobody") }
func (s *stage) Connections() *view.Map[identity.NodeID, *actors.ConnRef] { return &s.conns }
func (s *stage) Store() peerstore.View                                    { return s.store.View() }
func (s *stage) Sent() messengers.Ended                                   { return messengers.Ended{} }

func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// begin starts the part with this record. It must run in a bubble.
func begin(t *testing.T, record *Record) *stage {
	t.Helper()
	s := &stage{t: t, sys: actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))), whole: true}
	s.story = New(s, Settings{
		Heartbeat: time.Hour, Record: record, Version: "1",
		Node: func(context.Context) models.Node { return models.Node{} },
		Wrong: func(context.Context) (models.Notices, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.wrong, s.whole
		},
	})
	var err error
	if s.store, err = peerstore.Open(kv.Memory(), peerstore.Options{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if s.root, err = supervisor.Start(s.sys, "test", s.story.Part().Actors[0], supervisor.Options{Logger: slog.New(slog.NewTextHandler(s, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.root.Stop(context.Background(), nil) })
	return s
}

// is says what is wrong with the node, and waits for the next look.
func (s *stage) is(whole bool, wrong ...models.Notice) {
	s.mu.Lock()
	s.wrong, s.whole = wrong, whole
	s.mu.Unlock()
	time.Sleep(checkEvery)
	synctest.Wait()
}

// events returns the types and codes of the events of these types.
func (s *stage) events(types ...string) string {
	s.t.Helper()
	var all []string
	for _, e := range selected(s.t, s.story.Record, inspect.EventQuery{Types: types}).Events {
		all = append(all, strings.TrimSpace(e.Type+" "+e.Code))
	}
	return strings.Join(all, ", ")
}

// TestTroublesOfAFailedNode: a trouble goes on while the node has failed. It ends at a look that could see all, and
// not while the node stops.
func TestTroublesOfAFailedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, nil))
		full, silent := codes.DiskFull.Notice("full"), codes.ConnectivitySilent.Notice("silent")
		s.is(true, full, codes.Offline.Notice("offline"))
		s.is(false, silent, full)
		want := "trouble.began disk_full, trouble.began offline, trouble.began connectivity_silent"
		if got := s.events("trouble"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		s.is(true, full)
		want += ", trouble.over connectivity_silent, trouble.over offline"
		if got := s.events("trouble"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		s.story.Stops()
		s.is(true)
		if got := s.events("trouble"); got != want {
			t.Errorf("while it stops: got %s, want %s", got, want)
		}
	})
}
