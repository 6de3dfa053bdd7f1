package gamelan_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// traced collects the lines of a trace until it ends by itself.
type traced struct {
	lines []models.Traced
	err   error
	over  bool
}

// trace begins a trace, and returns when it looks.
func trace(t *testing.T, n *gamelantest.Node, kind string, v url.Values) *traced {
	t.Helper()
	x := new(traced)
	go func() {
		for line, err := range n.Inspection().Verbs()["trace"][kind].Stream(t.Context(), v) {
			if err != nil {
				x.err = err
				break
			}
			x.lines = append(x.lines, line.(models.Traced))
		}
		x.over = true
	}()
	synctest.Wait()
	return x
}

// say returns what the lines say, those of a kind once.
func (x *traced) say() (all []string) {
	for _, l := range x.lines {
		if !slices.Contains(all, l.What) {
			all = append(all, l.What)
		}
	}
	return all
}

// TestTraces follows a peer, a message and an actor, each on the nodes that it passes.
func TestTraces(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		time.Sleep(time.Minute)
		long := func(k, v string) url.Values { return url.Values{k: {v}, "for": {"5m"}, "limit": {"1000"}} }
		peer := trace(t, a, "peer", long("peer", b.PublicKey().String()))
		sent, received := trace(t, a, "message", long("tag", "c0ffee")), trace(t, b, "message", long("tag", "0xC0FFEE"))
		conns := trace(t, b, "actor", long("path", "conns"))
		short := trace(t, b, "actor", url.Values{"path": {"node/peers"}, "limit": {"1"}})

		if _, err := a.DHT().Send(t.Context(), dht.Message{To: dht.DirectKey{Key: b.PublicKey()}, Type: 1225, Body: []byte("hello"), Tag: 0xc0ffee}); err != nil {
			t.Error(err)
		}
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		for name, x := range map[string]*traced{"peer": peer, "sent": sent, "received": received, "conns": conns, "short": short} {
			if !x.over || x.err != nil || len(x.lines) == 0 || x.lines[len(x.lines)-1].What != models.TraceEnded {
				t.Errorf("%s: got over %v, %v, %+v; want that it ended by itself", name, x.over, x.err, x.lines)
			}
		}
		for name, want := range map[*traced][]string{
			peer: {"queued", "sent", "ended", "disconnected"}, sent: {"selected", "sent", "ended", "send ended"}, received: {"judged"}, conns: {"handled"},
		} {
			for _, what := range want {
				if !slices.Contains(name.say(), what) {
					t.Errorf("got %v, want %q among them", name.say(), what)
				}
			}
		}
		if l := received.lines[0]; l.Peer != a.ID().String() || l.Tag != "0000000000c0ffee" || l.Note == "" {
			t.Errorf("got %+v, want the peer, the tag and the verdict", l)
		}
		if l := conns.lines[0]; l.Actor != "node/conns" || l.Type == "" {
			t.Errorf("got %+v, want the actor and the type", l)
		}
		if got := inspect.Escape(short.lines[len(short.lines)-1].Note); len(short.lines) > 2 {
			t.Errorf("got %d lines, %q; want one", len(short.lines), got)
		}
	})
}

// TestTraceRefuses: bad requests, and more traces than there are places.
func TestTraceRefuses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		for name, test := range map[string]struct {
			kind string
			v    url.Values
			code string
		}{
			"no actor":         {"actor", url.Values{"path": {"nobody"}}, inspect.CodeNotFound},
			"no path":          {"actor", nil, inspect.CodeBadQuery},
			"no tag":           {"message", url.Values{"tag": {"xyz"}}, inspect.CodeBadQuery},
			"an unknown peer":  {"peer", url.Values{"peer": {strings.Repeat("ab", 32)}}, inspect.CodeUnknownPeer},
			"a huge limit":     {"actor", url.Values{"path": {"conns"}, "limit": {"1000000"}}, inspect.CodeBadQuery},
			"a negative limit": {"actor", url.Values{"path": {"conns"}, "limit": {"-1"}}, inspect.CodeBadQuery},
			"a long time":      {"actor", url.Values{"path": {"conns"}, "for": {"11m"}}, inspect.CodeBadQuery},
			"no time":          {"actor", url.Values{"path": {"conns"}, "for": {"5"}}, inspect.CodeBadQuery},
		} {
			x := trace(t, a, test.kind, test.v)
			if e, ok := errors.AsType[*inspect.Error](x.err); !ok || e.Code != test.code || e.Hint == "" {
				t.Errorf("%s: got %v, want %s with a hint", name, x.err, test.code)
			}
		}
		var all []*traced
		for range 8 {
			all = append(all, trace(t, a, "message", url.Values{"tag": {"1"}}))
		}
		one := trace(t, a, "message", url.Values{"tag": {"1"}})
		if e, ok := errors.AsType[*inspect.Error](one.err); !ok || e.Code != inspect.CodeBusy {
			t.Errorf("got %v, want that it is busy", one.err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		for _, x := range all {
			if !x.over || x.err != nil {
				t.Errorf("got over %v, %v", x.over, x.err)
			}
		}
		twice := trace(t, a, "actor", url.Values{"path": {"conns"}})
		again := trace(t, a, "actor", url.Values{"path": {"conns"}})
		if e, ok := errors.AsType[*inspect.Error](again.err); !ok || e.Code != inspect.CodeBusy || twice.err != nil {
			t.Errorf("got %v and %v, want that the actor is traced already", twice.err, again.err)
		}
		time.Sleep(11 * time.Second)
		if last := trace(t, a, "actor", url.Values{"path": {"conns"}}); last.err != nil {
			t.Errorf("got %v, want that the places are free", last.err)
		}
		time.Sleep(11 * time.Second)
	})
}
