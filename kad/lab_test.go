package kad_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lab is a host with clients on one hub.
type lab struct {
	t       *testing.T
	hub     *kad.Hub
	host    *kad.Standalone
	clients []*kad.Client
}

func newLab(t *testing.T, o kad.HubOptions, so kad.StandaloneOptions) *lab {
	so.Logger = slog.New(slog.DiscardHandler)
	host, err := kad.NewStandalone(so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return &lab{t: t, hub: kad.NewHub(o), host: host}
}

// add starts a client that enters the network by the first one.
func (l *lab) add(change func(*kad.Config)) *kad.Client {
	l.t.Helper()
	n := len(l.clients)
	c := kad.Config{Name: fmt.Sprintf("c%d", n), PublicKey: kad.MemoryKey(uint64(n + 1)), Networks: []kad.Network{l.hub.Network()}}
	if n > 0 {
		c.Bootstrap = l.clients[0].Addresses()
	}
	if change != nil {
		change(&c)
	}
	client, err := kad.Start(l.t.Context(), l.host, c)
	if err != nil {
		l.t.Fatal(err)
	}
	l.clients = append(l.clients, client)
	return client
}

// network starts n clients and waits until they know each other.
func network(t *testing.T, n int, so kad.StandaloneOptions, change func(*kad.Config)) *lab {
	t.Helper()
	l := newLab(t, kad.HubOptions{Delay: 10 * time.Millisecond}, so)
	for range n {
		l.add(change)
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	return l
}

// kill makes the actor that receives it panic: see faults.
type kill struct{}

// faults is a Fault that makes actors panic that receive kill.
func faults(_, point string) {
	if point == "kad_test.kill" {
		panic("killed by the test")
	}
}

// kill kills an actor below a client; "" stands for its own.
func (l *lab) kill(c *kad.Client, path string) {
	sys := l.host.System()
	sys.Root.Send(sys.NewLocalPID(c.PID().Id+path), kill{})
}

// info returns what the registry knows of an actor below a client.
func (l *lab) info(c *kad.Client, path string) supervisor.Info {
	for _, i := range l.host.Root().Snapshot() {
		if i.Path == c.PID().Id+path {
			return i
		}
	}
	return supervisor.Info{}
}

// get reads a value or fails the test.
func (l *lab) get(c *kad.Client, key kad.Key, want string) {
	l.t.Helper()
	if r, err := c.Get(l.t.Context(), key); err != nil || string(r.Value) != want {
		l.t.Errorf("%s: got %v, %v, want %q", c.Name(), r, err, want)
	}
}

// A value that one client puts is found by another; one that nobody put is not.
func TestValueIsFound(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{Delay: 10 * time.Millisecond}, kad.StandaloneOptions{})
		for range 10 {
			l.add(nil)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		report, err := l.clients[3].Put(t.Context(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if report.Accepted != 9 {
			t.Errorf("got %d holders, want 9: %+v", report.Accepted, report)
		}
		r, err := l.clients[7].Get(t.Context(), report.Key)
		if err != nil || !bytes.Equal(r.Value, []byte("hello")) {
			t.Fatalf("got %v, %v", r, err)
		}
		if r, err := l.clients[7].Get(t.Context(), kad.Key{1}); !errors.Is(err, kad.ErrNotFound) {
			t.Errorf("got %v, %v, want %v", r, err, kad.ErrNotFound)
		}
	})
}
