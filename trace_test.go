package gamelan_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
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
	mu       sync.Mutex
	lines    []models.Traced
	err      error
	accepted bool
	over     bool
}

// trace begins a trace, and returns when it looks.
func trace(t *testing.T, n *gamelantest.Node, kind string, v url.Values) *traced {
	t.Helper()
	x := new(traced)
	go func() {
		for line, err := range n.Inspection().Verbs()["trace"][kind].Stream(t.Context(), v) {
			x.mu.Lock()
			switch {
			case err != nil:
				x.err = err
			case line == nil:
				x.accepted = true
			default:
				x.lines = append(x.lines, line.(models.Traced))
			}
			x.mu.Unlock()
		}
		x.mu.Lock()
		defer x.mu.Unlock()
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

// end returns why a trace has ended, and how many lines it had before.
func (x *traced) end() (why string, lines int) {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.lines) == 0 || !x.over || x.err != nil {
		return "it has not ended", len(x.lines)
	}
	last := x.lines[len(x.lines)-1]
	if last.What != models.TraceEnded {
		return "it has no end", len(x.lines)
	}
	return last.Note, len(x.lines) - 1
}

// TestTraceOfAnActorByItsPath: an actor is named as everywhere else: by its path, with ids as the tree shortens them, or by the end of its path.
func TestTraceOfAnActorByItsPath(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		time.Sleep(time.Minute)
		ref, _ := a.Connection(b.ID())
		name := ref.PID.Id[strings.LastIndexByte(ref.PID.Id, '/')+1:]
		for _, path := range []string{ref.PID.Id, "node/conns/" + name, "node/conns/" + inspect.ShortName(name), name, "conns", "/node/conns/", "dht/pinger", "peers"} {
			x := trace(t, a, "actor", url.Values{"path": {path}, "for": {"100ms"}})
			time.Sleep(time.Second)
			why, _ := x.end()
			if x.err != nil || !x.accepted {
				t.Errorf("%s: got %v, accepted %v", path, x.err, x.accepted)
			}
			if why != "100ms are over" {
				t.Errorf("%s: it has ended because %q", path, why)
			}
		}
	})
}

// TestTraceEnds says why: its actor has ended, or whoever looks is gone.
func TestTraceEnds(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		long := func(path string) url.Values { return url.Values{"path": {path}, "for": {"5m"}} }
		below, self := trace(t, a, "actor", long("dht/pinger")), trace(t, a, "actor", long("node/dht"))
		if err := a.Inspection().Restart(t.Context(), "node/dht"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if why, _ := below.end(); why != "the actor has ended" {
			t.Errorf("below an actor that was restarted: got %q", why)
		}
		if why, _ := self.end(); why != "it has not ended" {
			t.Errorf("an actor that was restarted: got %q, want that its trace goes on", why)
		}
		time.Sleep(5 * time.Minute)
		if why, _ := self.end(); why != "5m0s are over" {
			t.Errorf("got %q", why)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		var last models.Traced
		for line, err := range a.Inspection().Verbs()["trace"]["actor"].Stream(ctx, long("dht/pinger")) {
			if line != nil && err == nil {
				last = line.(models.Traced)
			}
		}
		if last.What != models.TraceEnded || last.Note != "it was cancelled" {
			t.Errorf("got %+v, want that it was cancelled", last)
		}
	})
}

// TestTraceThatIsReadSlowly ends at its time all the same, and says how much was not shown.
func TestTraceThatIsReadSlowly(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		began, lines := time.Now(), 0
		var last models.Traced
		for line, err := range a.Inspection().Verbs()["trace"]["peer"].Stream(t.Context(), url.Values{"peer": {b.PublicKey().String()}, "for": {"10s"}, "limit": {"1000"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if line == nil {
				for i := range 100 {
					if _, err := a.Send(t.Context(), b.ID(), []byte{byte(i)}); err != nil {
						t.Fatal(err)
					}
				}
				continue
			}
			last = line.(models.Traced)
			lines++
			time.Sleep(3 * time.Second)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("a trace of 10 s has ended after %s", took)
		}
		if last.What != models.TraceEnded || last.Note != "10s are over" || last.Lost == 0 {
			t.Errorf("got %d lines and %+v, want the end with lines that were lost", lines, last)
		}
	})
}
