package hostile

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// heardIs checks what the handler has heard.
func (n *target) heardIs(want ...string) {
	n.t.Helper()
	synctest.Wait()
	if got := n.heard.Bodies(); !slices.Equal(got, want) {
		n.t.Errorf("heard: got %d %.400q, want %d %.400q", len(got), got, len(want), want)
	}
}

// TestAcceptorIsMute sends messages of all sizes, proposed and optimistically,
// and ends the substream: beside the answer to the proposal the node writes
// nothing on it but its own end.
//
// conforms: comms 83, 91, 143
func TestAcceptorIsMute(t *testing.T) {
	for _, c := range []struct{ opening, answer string }{
		{optimistic(messaging), ""},
		{propose(0, messaging), propose(0, messaging)},
	} {
		connected(t, func(t *testing.T, n *target, p *peer) {
			p.open(1, c.opening)
			for i := range 200 {
				p.must(p.Data(0, 1, framed(fmt.Sprintf("message %d", i))))
				synctest.Wait()
			}
			time.Sleep(time.Hour)
			p.must(p.Data(0, 1, framed("")+framed(strings.Repeat("x", 100<<10))))
			time.Sleep(time.Hour)
			if s := p.Stream(1); s.Data != c.answer || s.FIN || s.RST {
				t.Errorf("got %q, FIN %v, RST %v, want %q and no end", s.Data, s.FIN, s.RST, c.answer)
			}
			p.must(p.Data(rawpeer.FIN, 1, ""))
			synctest.Wait()
			if s := p.Stream(1); s.Data != c.answer || !s.FIN || s.RST || s.FINType != rawpeer.TypeData {
				t.Errorf("after our end: got %q, FIN %v in a frame of kind %d, RST %v, want %q and FIN in a data frame", s.Data, s.FIN, s.FINType, s.RST, c.answer)
			}
			if got := n.heard.Len(); got != 202 {
				t.Errorf("got %d messages, want 202", got)
			}
			n.stillConnected(p, 3)
		})
	}
}

// TestTakeover has a second messaging substream take over from the first: all
// whole frames that had arrived on the first come first, the rest of it is
// dropped, and the first is ended.
//
// conforms: comms 84; V 14
func TestTakeover(t *testing.T) {
	for _, c := range []struct {
		name, rest string
	}{
		{"between frames", ""},
		{"inside a length", "\x00\x00"},
		{"inside a body", announced(100) + "half of"},
		{"inside a large body", announced(1<<20) + strings.Repeat("x", 70<<10)},
	} {
		t.Run(c.name, func(t *testing.T) {
			connected(t, func(t *testing.T, n *target, p *peer) {
				p.open(1, optimistic(messaging)+framed("a")+framed("b")+c.rest)
				synctest.Wait()
				began := time.Now()
				p.open(3, optimistic(messaging)+framed("c"))
				synctest.Wait()
				p.Data(0, 1, strings.Repeat("late", 100))
				p.must(p.Data(0, 3, framed("d")))
				n.heardIs("a", "b", "c", "d")
				time.Sleep(time.Second)
				if s := p.Stream(1); !s.RST && !s.FIN || s.End.Sub(began) > 0 {
					t.Errorf("the first substream: got FIN %v, RST %v after %v, want its end at once", s.FIN, s.RST, s.End.Sub(began))
				}
				n.stillConnected(p, 5)
			})
		})
	}
}

// fill has the peer send messages on a stream until the node's handler, which
// is blocked, holds all credit and the reader waits for more. It returns the
// messages.
func (n *target) fill(p *peer, stream uint32) (sent []string) {
	n.t.Helper()
	for i := range 17 { // 16 fill the credit of 1 MiB, the last one waits
		body := fmt.Sprintf("%02d", i) + strings.Repeat(".", 64<<10-credit)
		sent = append(sent, body)
		p.must(p.Data(0, stream, framed(body)))
		synctest.Wait() // and is given credit by the multiplexer
	}
	return sent
}

// credit is what a message costs beside its bytes, and the two of its number.
const credit = 256 + 2

// TestTakeoverWhileBlocked has substreams take over while the handler stands
// still: everything whole is delivered in order when it goes on, at once; more
// than four that wait are refused.
//
// conforms: comms 84; V 14
func TestTakeoverWhileBlocked(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		unblock := n.heard.Block()
		defer unblock()
		p.open(1, optimistic(messaging))
		want := n.fill(p, 1)
		p.must(p.Data(0, 1, framed("whole")+announced(100)+"half of it"))
		want = append(want, "whole")
		for id := uint32(3); id <= 11; id += 2 {
			time.Sleep(time.Second) // not too often in a second
			p.open(id, optimistic(messaging)+framed(fmt.Sprintf("on %d", id))+announced(1000)+"half of it")
			if id <= 9 {
				want = append(want, fmt.Sprintf("on %d", id))
			}
		}
		synctest.Wait()
		if s := p.Stream(11); !s.RST {
			t.Error("the fifth substream that waits was not reset")
		}
		for id := uint32(1); id <= 9; id += 2 {
			if s := p.Stream(id); s.RST {
				t.Errorf("substream %d was reset before it was delivered", id)
			}
		}
		time.Sleep(time.Minute)
		began := time.Now()
		unblock()
		gamelantest.Eventually(t, 10*time.Minute, "all messages", func() bool { return n.heard.Len() >= len(want) })
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("delivered %v after the handler went on, want at once", took)
		}
		n.heardIs(want...)
		p.must(p.Data(0, 9, strings.Repeat(".", 990)+framed("last")))
		synctest.Wait()
		n.stillConnected(p, 13)
	})
}

// TestTakeoversPerSecond opens messaging substreams one after the other.
//
// conforms: V 14
func TestTakeoversPerSecond(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		var want []string
		id := uint32(1)
		open := func(ok bool) {
			p.open(id, optimistic(messaging)+framed(fmt.Sprint(id)))
			if ok {
				want = append(want, fmt.Sprint(id))
			}
			synctest.Wait()
			if s := p.Stream(id); s.RST != !ok {
				t.Errorf("substream %d: got reset %v, want %v", id, s.RST, !ok)
			}
			id += 2
			time.Sleep(time.Millisecond)
		}
		for i := range 15 {
			open(i <= 10) // the first takes over from nobody
		}
		time.Sleep(time.Second)
		for i := range 12 {
			open(i < 10)
		}
		n.heardIs(want...)
		time.Sleep(time.Second)
		n.stillConnected(p, id)
	})
}

// TestOverlongFrame announces a message of a byte too many.
//
// conforms: comms 82, 90
func TestOverlongFrame(t *testing.T) {
	for _, length := range []uint32{8<<20 + 1, 1 << 31, 1<<32 - 1} {
		connected(t, func(t *testing.T, n *target, p *peer) {
			began := time.Now()
			p.open(1, optimistic(messaging)+framed("before")+announced(length)+"after")
			why := n.disconnected(p.id(), actors.CloseBanned, frame.ErrTooLong)
			if !strings.Contains(why.String(), "messaging") {
				t.Errorf("got %v, want the stage in it", why)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the connection ended after %v, want at once", took)
			}
			n.banned(p.id(), 10*time.Minute)
			n.heardIs("before")
		})
	}
	connected(t, func(t *testing.T, n *target, p *peer) {
		p.open(1, optimistic(messaging)+announced(8<<20))
		sent := 0
		for sent < 8<<20 {
			p.must(p.Data(0, 1, strings.Repeat("x", 64<<10)))
			sent += 64 << 10
			synctest.Wait() // for credit
		}
		if got := n.heard.Messages(); len(got) != 1 || len(got[0].Body) != 8<<20 {
			t.Errorf("a message of exactly 8 MiB: got %d messages", len(got))
		}
		n.stillConnected(p, 3)
	})
}

// TestTruncatedFrames ends a substream inside a frame, in each way.
func TestTruncatedFrames(t *testing.T) {
	for _, head := range []string{"\x00\x00\x00", announced(10) + "half", announced(1<<20) + strings.Repeat("x", 100<<10)} {
		for _, flag := range []uint16{rawpeer.FIN, rawpeer.RST} {
			connected(t, func(t *testing.T, n *target, p *peer) {
				p.open(1, optimistic(messaging)+framed("whole")+head)
				p.must(p.Data(flag, 1, ""))
				n.heardIs("whole")
				if used, _, _, _ := nodetest.Trunk(n).Credit(); used != 0 {
					t.Errorf("got %d bytes of credit in use, want none", used)
				}
				n.stillConnected(p, 3)
			})
		}
	}
}

// TestSlowFrames announces 8 MiB on many connections and sends a byte now and
// then: next to nothing is allocated, each substream is given up in the end,
// and nobody is banned.
func TestSlowFrames(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		const peers = 12 // 96 MiB of the node's 128
		var before, after runtime.MemStats
		var all []*peer
		for i := range peers {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i+1))
			all = append(all, p)
			p.open(1, optimistic(messaging))
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, p := range all {
			p.must(p.Data(0, 1, announced(8<<20)))
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
			t.Errorf("%d announced bodies of 8 MiB: got %d bytes allocated, want next to nothing", peers, grown)
		}
		n.serves() // meanwhile
		began := time.Now()
		for range 10 {
			for _, p := range all {
				p.Data(0, 1, "x")
			}
			time.Sleep(10 * time.Second)
		}
		// 20 s, and a second more for each 16 KiB of the first 64. Five have
		// credit at a time.
		const limit = 24 * time.Second
		counts := make(map[time.Duration]int)
		for i, p := range all {
			if s := p.Stream(1); !s.RST {
				t.Errorf("peer %d: got no reset", i)
			} else {
				counts[s.End.Sub(began).Round(time.Second)]++
			}
			n.banned(p.id(), 0)
		}
		if counts[limit] != 5 || counts[2*limit] != 5 || counts[3*limit] != peers-10 {
			t.Errorf("got resets after %v, want 5 after %v, 5 after twice that and the others after three times that", counts, limit)
		}
		if used, _, _, _ := nodetest.Trunk(n).Credit(); used != 0 {
			t.Errorf("got %d bytes of credit in use, want none", used)
		}
		n.stillConnected(all[0], 3)
	})
}

// window sends as much as the node gives credit for, with a deadline.
func (p *peer) window(stream uint32, bytes string, spent *int) (sent int) {
	for len(bytes) > 0 {
		granted := 256 << 10
		for _, f := range p.Frames() {
			if f.Type() == rawpeer.TypeWindow && f.ID() == stream {
				granted += int(f.Length())
			}
		}
		room := min(granted-*spent, len(bytes), 32<<10)
		if room <= 0 {
			return sent
		}
		p.must(p.Data(0, stream, bytes[:room]))
		bytes = bytes[room:]
		*spent += room
		sent += room
		synctest.Wait()
	}
	return sent
}

// TestFlood sends messages as fast as the node lets it to a handler that stands
// still. The node stops reading that substream and nothing else; what it holds
// is bounded; after ten seconds the tree names the stalled handler; and when
// the handler goes on everything arrives in order.
//
// conforms: comms 89; V 13
func TestFlood(t *testing.T) {
	k := new(keeper)
	for _, size := range []int{8, 100, 100 << 10, 3 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			connected(t, func(t *testing.T, n *target, p *peer) {
				unblock := n.heard.Block()
				defer unblock()
				var flood strings.Builder
				var want []string
				for i := 0; flood.Len() < max(3<<20, 4*size); i++ {
					body := fmt.Sprintf("%08d", i) + strings.Repeat(".", size-8)
					want = append(want, body)
					flood.WriteString(framed(body))
				}
				p.open(1, optimistic(messaging))
				spent := len(optimistic(messaging))
				all := flood.String()
				sent := p.window(1, all, &spent)
				if sent == len(all) {
					t.Fatal("the node has taken everything")
				}
				// Credit, the multiplexer's window, the reader's buffer, and
				// one message that is larger than the credit.
				if most := 1<<20 + 1<<20 + 128<<10 + max(0, size-1<<20); sent > most {
					t.Errorf("got %d bytes taken, want at most %d", sent, most)
				}
				if used, _, _, _ := nodetest.Trunk(n).Credit(); used > max(1<<20, int64(size)+256) {
					t.Errorf("got %d bytes of credit in use", used)
				}
				if depth := n.depth(); depth > 4096 {
					t.Errorf("got %d messages in mailboxes, want at most 4096", depth)
				}
				line := "services/messaging/" + p.secret.NodeID().String()
				if got := kit.LineOf(n.t, n.Node, line); strings.Contains(got, "stalled") {
					t.Errorf("at first: got %q", got)
				}
				time.Sleep(11 * time.Second)
				if got := kit.LineOf(n.t, n.Node, line); !strings.Contains(got, "stalled") || !strings.Contains(got, "handler") {
					t.Errorf("after 11 s: got %q, want that the handler stalls it", got)
				}

				// The rest of the connection, and of the node.
				p.flushed()
				p.open(3, optimistic(custom)+"stream")
				p.must(p.Data(rawpeer.FIN, 3, ""))
				synctest.Wait()
				if got := k.streams(); len(got) == 0 || got[len(got)-1].data != "stream" {
					t.Errorf("another protocol: got %v, want its stream", got)
				}
				time.Sleep(time.Hour)
				p.flushed()

				unblock()
				for len(all) > sent {
					synctest.Wait()
					more := p.window(1, all[sent:], &spent)
					if more == 0 {
						t.Fatalf("the handler goes on: got %d of %d bytes taken and no more", sent, len(all))
					}
					sent += more
				}
				n.heardIs(want...)
				n.banned(p.id(), 0)
			}, gamelan.WithProtocol(custom, k.New))
		})
	}
}

// TestPoison sends a message that makes the user's handler panic, again and again,
// and good ones in between: under either policy the connection stays, all good ones
// are heard in order, and others notice nothing.
func TestPoison(t *testing.T) {
	for _, policy := range []gamelan.PanicPolicy{gamelan.PanicRestart, gamelan.PanicContain} {
		heard := gamelantest.NewCollector()
		poisonable := func(*gamelan.Node) actor.Actor {
			inner := heard.New(nil)
			return actor.ReceiveFunc(func(c actor.Context) {
				if m, ok := c.Message().(actors.Received); ok && string(m.Body) == "poison" {
					panic("poisoned")
				}
				inner.Receive(c)
			})
		}
		gamelantest.Bubble(t, func(t *testing.T) {
			n := &target{t: t, net: gamelantest.NewNetwork(t), heard: heard}
			n.Node = n.net.Start(plainly(gamelan.Config{}), quiet, gamelan.WithHandler(poisonable, gamelan.OnPanic(policy)))
			n.watch()
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
			p.open(1, optimistic(messaging))
			var want []string
			for i := range 30 {
				good := fmt.Sprint("good ", i)
				want = append(want, good)
				p.must(p.Data(0, 1, framed("poison")+framed(good)))
			}
			n.heardIs(want...)
			n.stillConnected(p, 3)
			lives, contained := uint64(6), uint64(25)
			if policy == gamelan.PanicContain {
				lives, contained = 1, 30
			}
			for _, info := range n.Inspection().Tree().Snapshot() {
				if strings.HasSuffix(info.Path, "/handler") && (info.Incarnation != lives || info.Contained != contained) {
					t.Errorf("%s: got incarnation %d and %d contained panics, want %d and %d", policy, info.Incarnation, info.Contained, lives, contained)
				}
			}
			if policy == gamelan.PanicContain { // else there were restarts
				n.serves()
			}
		})
	}
}

// TestPoisonOfOwnActors makes an actor of the node's own panic on what the peer
// sends: it keeps its state and goes on; the third within a minute closes the
// connection, without a ban; others notice nothing.
func TestPoisonOfOwnActors(t *testing.T) {
	heard := gamelantest.NewCollector()
	var armed atomic.Bool
	var fell atomic.Int64
	gamelantest.Bubble(t, func(t *testing.T) {
		n := &target{t: t, net: gamelantest.NewNetwork(t), heard: heard}
		n.Node = n.net.Start(plainly(gamelan.Config{}), quiet, gamelan.WithHandler(heard.New), gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/services/messaging") && point == "actors.SubstreamOpened" && armed.Load() {
				fell.Add(1)
				panic("poisoned")
			}
		}))
		n.watch()
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		stream := uint32(1)
		poison := func(p *peer) {
			armed.Store(true)
			p.open(stream, optimistic(messaging))
			stream += 2
			p.flushed()
			synctest.Wait()
			armed.Store(false)
		}
		for range 10 { // seldom enough
			poison(p)
			time.Sleep(time.Minute)
		}
		p.open(stream, optimistic(messaging)+framed("first"))
		n.heardIs("first")
		n.stillConnected(p, stream+2)
		p.raw.Close()
		n.disconnected(p.id(), actors.CloseEnded, nil)
		for round := range 5 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(2+round))
			stream = 1
			poison(p)
			poison(p)
			if p.Err() != nil {
				t.Fatalf("round %d: the connection has ended after two panics", round)
			}
			armed.Store(true)
			p.open(stream, optimistic(messaging))
			n.disconnected(p.id(), actors.ClosePanics, nil)
			armed.Store(false)
			n.banned(p.id(), 0)
		}
		for _, info := range n.Inspection().Tree().Snapshot() {
			if strings.HasSuffix(info.Path, "/services/messaging") && (int64(info.Contained) != fell.Load() || fell.Load() != 25 || info.Incarnation != 1) {
				t.Errorf("got %d contained panics of %d in incarnation %d, want 25 in the first", info.Contained, fell.Load(), info.Incarnation)
			}
		}
		n.serves()
	})
}

// TestEndOfConnection sends messages and substreams and leaves at once, in
// every way: all that had arrived reaches its handler.
//
// conforms: comms 67, 151, 152
func TestEndOfConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *peer)
	}{
		{"closes", func(p *peer) { p.hangUp() }},
		{"goodbye", func(p *peer) { p.Send(rawpeer.TypeGoAway, 0, 0, 0) }},
		{"resets its streams", func(p *peer) { p.Data(rawpeer.RST, 1, ""); p.hangUp() }},
		{"ends its streams", func(p *peer) { p.Data(rawpeer.FIN, 1, ""); p.hangUp() }},
	} {
		for _, blocked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, handler blocked %v", c.name, blocked), func(t *testing.T) {
				k := new(keeper)
				connected(t, func(t *testing.T, n *target, p *peer) {
					unblock := func() {}
					var want []string
					p.open(1, optimistic(messaging))
					if blocked {
						unblock = n.heard.Block()
						defer unblock()
						want = n.fill(p, 1) // the rest stays in the multiplexer
					}
					for i := range 300 {
						body := fmt.Sprintf("message %d ", i) + strings.Repeat(".", 600)
						want = append(want, body)
						p.must(p.Data(0, 1, framed(body)))
					}
					const streams = 20
					for i := range uint32(streams) {
						p.open(3+2*i, optimistic(custom)+fmt.Sprintf("stream %02d", i))
					}
					c.end(p)
					n.wentAway(p)
					if blocked {
						time.Sleep(10 * time.Second)
						unblock()
					}
					n.heardIs(want...)
					var got []string
					for _, s := range k.streams() {
						got = append(got, s.data)
						if s.err == nil {
							t.Errorf("%s: got EOF, want an error: the peer did not end it", s.data)
						}
					}
					slices.Sort(got)
					if len(got) != streams || got[0] != "stream 00" || got[streams-1] != "stream 19" {
						t.Errorf("got %d streams %q, want %d with their bytes", len(got), got, streams)
					}
				}, gamelan.WithProtocol(custom, k.New))
			})
		}
	}
}

// hangUp ends the connection behind all that was sent.
func (p *peer) hangUp() { p.raw.(interface{ CloseWrite() error }).CloseWrite() }

// wentAway waits for the end of a peer's connection for whatever reason.
func (n *target) wentAway(p *peer) {
	n.t.Helper()
	gamelantest.Eventually(n.t, time.Minute, "the end of the connection", func() bool {
		_, ok := n.Connection(p.id())
		return !ok
	})
	synctest.Wait()
}

// TestManyFloods has many peers fill the node's credit with a handler that
// stands still: the sum stays below the node's limit.
//
// conforms: V 15
func TestManyFloods(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{NodeCredit: 8 << 20, PeerCredit: 1 << 20})
		unblock := n.heard.Block()
		defer unblock()
		const peers, each = 10, 60
		flood := strings.Repeat(framed(strings.Repeat(".", 16<<10)), each)
		var all []*peer
		sent, spent := make([]int, peers), make([]int, peers)
		for i := range peers {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1+i))
			p.open(1, optimistic(messaging))
			spent[i] = len(optimistic(messaging))
			sent[i] = p.window(1, flood, &spent[i])
			all = append(all, p)
		}
		time.Sleep(time.Minute)
		synctest.Wait() // what happens each minute has happened
		used, limit, _, _ := nodetest.Trunk(n).Credit()
		if plain := limit / 16 * 7; limit != 4<<20 || used > plain || used < plain-128<<10 {
			t.Errorf("got %d bytes of credit in use, limit %d, want what plain messages may have of half of 8 MiB", used, limit)
		}
		if most := int(limit)/(16<<10) + 1; n.depth() > most {
			t.Errorf("got %d messages in mailboxes, want at most %d", n.depth(), most)
		}
		unblock()
		synctest.Wait()
		for i, p := range all {
			sent[i] += p.window(1, flood[sent[i]:], &spent[i])
			if sent[i] != len(flood) {
				t.Errorf("peer %d: the handler goes on: got %d of %d bytes taken", i, sent[i], len(flood))
			}
		}
		synctest.Wait()
		if got := n.heard.Len(); got != peers*each {
			t.Errorf("got %d messages, want %d", got, peers*each)
		}
		n.serves()
	})
}
