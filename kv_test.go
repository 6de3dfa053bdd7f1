package gamelan_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/kad"
)

// A client of the key-value DHT runs below its node, is shown by its inspector, and ends with
// it.
func TestKV(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, hub := gamelantest.NewNetwork(t), kad.NewHub(kad.HubOptions{Delay: time.Millisecond})
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		open := func(n *gamelantest.Node, name string, bootstrap ...kad.Address) *kad.Client {
			c, err := n.KV().Open(t.Context(), kad.Config{Name: name, Networks: []kad.Network{hub.Network()}, Bootstrap: bootstrap})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := open(a, "main")
		second := open(b, "main", first.Addresses()...)
		time.Sleep(time.Minute)
		report, err := first.Put(t.Context(), []byte("hello"))
		if err != nil || report.Accepted != 1 {
			t.Fatalf("got %+v, %v, want one holder", report, err)
		}
		if r, err := second.Get(t.Context(), report.Key); err != nil || !bytes.Equal(r.Value, []byte("hello")) {
			t.Errorf("got %v, %v, want the value", r, err)
		}
		if _, err := a.KV().Open(t.Context(), kad.Config{Name: "main", Networks: []kad.Network{hub.Network()}}); !errors.Is(err, kad.ErrNameTaken) {
			t.Errorf("got %v, want %v", err, kad.ErrNameTaken)
		}
		if got, ok := a.KV().Client("main"); !ok || got != first || len(a.KV().Clients()) != 1 {
			t.Errorf("got %v, %v, want the client", got, ok)
		}
		synctest.Wait() // until the actor of the put has ended
		v, err := a.Inspection().Sections.Value(t.Context(), "kad")
		if err != nil {
			t.Fatal(err)
		}
		s, ok := v.(models.Kad)
		if !ok || len(s.Clients) != 1 || s.Clients[0].State != "ready" || s.Clients[0].Own == nil || *s.Clients[0].Own != 1 || s.Summary != "1 client, 1 contact" {
			t.Errorf("got %+v", v)
		}
		var paths []string
		for _, i := range a.Inspection().Tree().Snapshot() {
			if _, path, ok := strings.Cut(i.Path, "/node/kad/"); ok {
				paths = append(paths, path)
			}
		}
		want := "main main/gateways main/gateways/0 main/lookups main/store main/table main/upkeep"
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("got the actors %s, want %s", got, want)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if _, err := first.Get(t.Context(), kad.Key{}); !errors.Is(err, kad.ErrClosed) {
			t.Errorf("after the node has ended: got %v, want %v", err, kad.ErrClosed)
		}
		if err := first.Close(t.Context()); err != nil {
			t.Errorf("close a client of a closed node: %v", err)
		}
		if _, err := a.KV().Open(t.Context(), kad.Config{Name: "late", Networks: []kad.Network{hub.Network()}}); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("got %v, want %v", err, gamelan.ErrClosed)
		}
	})
}

// fullDisk is a disk that takes nothing.
type fullDisk struct{ kad.Keeper }

var errFull = errors.New("no space left")

func (fullDisk) Load(context.Context) (*kad.Kept, error) { return new(kad.Kept), nil }

func (fullDisk) Commit(context.Context, kad.Batch) error { return errFull }

func (fullDisk) Close() error { return nil }

func (fullDisk) SaveContacts(context.Context, []kad.KeptContact, []kad.KeptFormer) error { return nil }

// A node whose client of the key-value DHT cannot write records down is degraded, and says
// which one and why.
func TestKVDegraded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{NoDHT: true})
		hub := kad.NewHub(kad.HubOptions{})
		c, err := n.KV().Open(t.Context(), kad.Config{Name: "main", Networks: []kad.Network{hub.Network()}, Keeper: fullDisk{}})
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Inspection().Degraded(t.Context()).Texts(); len(got) != 0 {
			t.Errorf("got %q before anything was written", got)
		}
		if _, err := c.Put(t.Context(), []byte("hello")); !errors.Is(err, errFull) {
			t.Fatalf("got %v, want %v", err, errFull)
		}
		got := n.Inspection().Degraded(t.Context()).Texts()
		if len(got) != 1 || !strings.Contains(got[0], "client main of the key-value DHT") || !strings.Contains(got[0], "no space left") {
			t.Errorf("got %q, want the client and the cause", got)
		}
		v, err := n.Inspection().Sections.Value(t.Context(), "kad")
		if s, ok := v.(models.Kad); err != nil || !ok || s.Clients[0].Trouble != "no space left" {
			t.Errorf("got %+v, %v, want the cause", v, err)
		}
	})
}
