package kad_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// lab is a host with clients on one hub.
type lab struct {
	t       *testing.T
	hub     *kad.Hub
	host    *kad.Standalone
	clients []*kad.Client
}

func newLab(t *testing.T, o kad.HubOptions, so kad.StandaloneOptions) *lab {
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
		for _, c := range l.clients {
			t.Log(c.Name(), c.State(), c.View().Len())
		}
	})
}
