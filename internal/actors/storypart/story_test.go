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
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
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
	slept time.Duration
}

func (s *stage) System() *actor.ActorSystem { return s.sys }
func (s *stage) PID(path string) *actor.PID {
	return s.sys.NewLocalPID("test/" + strings.TrimPrefix(path, name+"/"))
}

func (s *stage) Connectivity() *actor.PID                                 { return s.sys.NewLocalPID("nobody") }
func (s *stage) Connections() *view.Map[identity.NodeID, *actors.ConnRef] { return &s.conns }
func (s *stage) Store() peerstore.View                                    { return s.store.View() }
func (s *stage) Now() time.Time                                           { return time.Now() }
func (s *stage) Protected(identity.NodeID) bool                           { return false }
func (s *stage) Slept() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slept
}
func (s *stage) Sent() messengers.Ended { return messengers.Ended{} }

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
	s.run()
	return s
}

// run starts the actor, once more after a stop.
func (s *stage) run() {
	var err error
	if s.root, err = supervisor.Start(s.sys, "test", s.story.Part().Actors[0], supervisor.Options{Logger: slog.New(slog.NewTextHandler(s, nil))}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
	synctest.Wait()
}

func (s *stage) stop() { s.root.Stop(context.Background(), nil) }

// tell sends the actor a message.
func (s *stage) tell(m any) {
	s.sys.Root.Send(s.PID("story/log"), m)
	synctest.Wait()
}

// last returns what the last event of a type says.
func (s *stage) last(of string) (what string) {
	s.t.Helper()
	for _, e := range selected(s.t, s.story.Record, inspect.EventQuery{Types: []string{of}}).Events {
		what = e.What
	}
	return what
}

func peerOf(n byte) *actors.ConnRef {
	return &actors.ConnRef{ID: uint64(n), Peer: identity.NodeID{n}, Direction: protocol.Outbound, Addr: ma.StringCast("/ip4/192.0.2.1/tcp/1"), Since: time.Now()}
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

// TestTroublesOverStarts: a trouble that a start has left open ends in the record with the next one.
func TestTroublesOverStarts(t *testing.T) {
	db := kv.Memory()
	defer db.Close()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, db))
		s.is(true, codes.Offline.Notice("offline"), codes.ClockOff.Notice("off"))
		s.is(true, codes.ClockOff.Notice("off"))
		addMany(s.story.Record, 0, 2*inMemory)
		s.stop()
		if err := s.story.Record.Close(); err != nil {
			t.Fatal(err)
		}
		s = begin(t, openRecord(t, db))
		s.is(true)
		want := "trouble.began offline, trouble.began clock_off, trouble.over offline, trouble.over clock_off"
		if got := s.events("trouble"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := s.last(models.TroubleOver); got != "over with a start of the node: off" {
			t.Errorf("got %q", got)
		}
		s.stop()
		if err := s.story.Record.Close(); err != nil {
			t.Fatal(err)
		}
		if again := openRecord(t, db); len(again.open) != 0 {
			t.Errorf("got %+v open, want nothing", again.open)
		}
	})
}

// TestTroublesOfPrograms: an event about a trouble says whose words it has, also when it is over, and over a start.
func TestTroublesOfPrograms(t *testing.T) {
	db := kv.Memory()
	defer db.Close()
	mine := codes.ClockOff.Notice("mine")
	mine.Program = true
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, db))
		s.is(true, codes.Offline.Notice("ours"), mine)
		s.is(true)
		s.is(true, mine)
		s.stop()
		if err := s.story.Record.Close(); err != nil {
			t.Fatal(err)
		}
		s = begin(t, openRecord(t, db))
		s.is(true)
		n := 0
		for _, e := range selected(t, s.story.Record, inspect.EventQuery{Types: []string{"trouble"}}).Events {
			if of := e.Code == mine.Code; of != (e.Data["by"] == "program") {
				t.Errorf("got %+v", e)
			} else if of {
				n++
			}
		}
		if n != 4 {
			t.Errorf("got %d events of the program, want 4", n)
		}
		s.stop()
		if err := s.story.Record.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSleepInTheStory: what lasts goes on while the machine sleeps, and the node is not online then.
func TestSleepInTheStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, nil))
		p := peerOf(1)
		s.conns.Set(p.Peer, p)
		s.tell(actors.PeerConnected{Peer: p.Peer, Conn: p})
		s.tell(actors.StatusChanged{Status: actors.Status{State: "online", Cause: "connected"}})
		time.Sleep(10*time.Minute - time.Second)
		s.mu.Lock()
		s.slept = 8 * time.Hour
		s.mu.Unlock()
		s.tell(actors.MachineSlept{For: 8 * time.Hour})
		s.conns.Delete(p.Peer)
		s.tell(actors.PeerDisconnected{Peer: p.Peer, Conn: p, Reason: actors.CloseReason{Code: "lost", By: "network"}})
		s.tell(actors.StatusChanged{Status: actors.Status{State: "offline", Cause: "connected to nobody", NotOnline: time.Now()}})
		if got := s.last(models.NodeSlept); got != "the machine slept for 8h0m0s" {
			t.Errorf("got %q", got)
		}
		if got := s.last(models.ConnClosed); !strings.HasPrefix(got, "disconnected after 8h9m59s, ") {
			t.Errorf("got %q, want the sleep in it", got)
		}
		time.Sleep(51 * time.Minute)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if log := s.log.String(); !strings.Contains(log, "was=online for=8h9m59s") || !strings.Contains(log, " not_online=8h50m1s") {
			t.Errorf("got the log\n%s", log)
		}
	})
}

// TestNotOnline: a node that is degraded and connected is online, whatever makes it degraded.
func TestNotOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, nil))
		s.tell(actors.StatusChanged{Status: actors.Status{State: "online"}})
		time.Sleep(10 * time.Minute)
		s.tell(actors.StatusChanged{Status: actors.Status{State: "degraded"}}) // its peer store cannot be written
		time.Sleep(10 * time.Minute)
		s.tell(actors.StatusChanged{Status: actors.Status{State: "degraded", NotOnline: time.Now()}})
		time.Sleep(10 * time.Minute)
		s.tell(actors.StatusChanged{Status: actors.Status{State: "degraded"}})
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if log := s.log.String(); !strings.Contains(log, " not_online=10m0s") {
			t.Errorf("got the log\n%s", log)
		}
	})
}

// TestEndsAcrossARestart: the end of a connection that the actor has missed is told when it starts again.
func TestEndsAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, openRecord(t, nil))
		for n := range byte(3) {
			p := peerOf(n)
			s.conns.Set(p.Peer, p)
			s.tell(actors.PeerConnected{Peer: p.Peer, Conn: p})
		}
		s.stop()
		s.conns.Delete(identity.NodeID{1})
		time.Sleep(time.Minute)
		s.run()
		if got := s.last(models.ConnClosed); !strings.HasPrefix(got, "disconnected after at most 1m0s; it is not known why") || s.story.told.story.Open() != 2 {
			t.Errorf("got %q, and %d connections, want the end, and 2", got, s.story.told.story.Open())
		}
	})
}
