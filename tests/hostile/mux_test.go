package hostile

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestBadFrames sends frames that no multiplexer sends: the connection ends at
// once with the cause, and the peer is banned for ten minutes.
func TestBadFrames(t *testing.T) {
	for _, c := range []struct {
		name  string
		say   func(p *peer)
		cause error
	}{
		{"random bytes", func(p *peer) { p.conn.Write(noisy(2000)) }, mux.ErrBadFrame},
		{"wrong version", func(p *peer) { p.conn.Write([]byte{1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}) }, mux.ErrBadFrame},
		{"unknown type", func(p *peer) { p.Send(4, 0, 0, 0) }, mux.ErrBadFrame},
		{"an id of ours", func(p *peer) { p.Data(rawpeer.SYN, 2, "") }, mux.ErrBadStreamID},
		{"id zero", func(p *peer) { p.Data(rawpeer.SYN, 0, "") }, mux.ErrBadStreamID},
		{"opened twice", func(p *peer) { p.Data(rawpeer.SYN, 1, ""); p.Data(rawpeer.SYN, 1, "") }, mux.ErrDuplicate},
		{"more than the window", func(p *peer) {
			p.open(1, optimistic(custom))
			for range 5 {
				p.Data(0, 1, string(make([]byte, 1<<20)))
			}
		}, mux.ErrWindowExceeded},
		{"an announced body above the window", func(p *peer) {
			p.open(1, optimistic(custom))
			p.Send(rawpeer.TypeData, 0, 1, 1<<30, []byte("x")...)
		}, mux.ErrWindowExceeded},
		{"pings whose answers it does not take", func(p *peer) {
			p.Pause()
			for i := range 100_000 {
				if p.Send(rawpeer.TypePing, rawpeer.SYN, 0, uint32(i)) != nil {
					break
				}
			}
		}, mux.ErrTooManyPings},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := new(keeper)
			k.slow(time.Second)
			connected(t, func(t *testing.T, n *target, p *peer) {
				began := time.Now()
				c.say(p)
				why := n.disconnected(p.id(), actors.CloseViolation, c.cause)
				if !errors.Is(why.Err, protocol.ErrViolation) {
					t.Errorf("got %v, want a violation", why)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the connection ended after %v, want at once", took)
				}
				n.banned(p.id(), protocol.BanMedium)
			}, gamelan.WithProtocol(custom, k.New))
		})
	}
}

// TestHarmlessEnds has the connection end in ways that need not be the peer's
// fault: no ban, and the cause is named.
func TestHarmlessEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		say   func(p *peer)
		cause error
	}{
		{"hangs up", func(p *peer) { p.raw.Close() }, mux.ErrHungUp},
		{"hangs up inside a frame", func(p *peer) { p.conn.Write(make([]byte, 5)); p.raw.Close() }, nil},
		{"bytes that do not decrypt", func(p *peer) { p.raw.Write(noiseFrame(noisy(100))) }, noise.ErrDecrypt},
		{"a frame too short to be encrypted", func(p *peer) { p.raw.Write(noiseFrame([]byte("x"))) }, noise.ErrDecrypt},
		{"goodbye", func(p *peer) { p.Send(rawpeer.TypeGoAway, 0, 0, 0) }, nil},
		{"goodbye with an error", func(p *peer) { p.Send(rawpeer.TypeGoAway, 0, 0, 1) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			connected(t, func(t *testing.T, n *target, p *peer) {
				c.say(p)
				why := n.disconnected(p.id(), actors.CloseEnded, c.cause)
				if why.Err == nil {
					t.Error("got no cause")
				}
				n.banned(p.id(), 0)
			})
		})
	}
}

// TestTenThousandSubstreams opens substreams and does nothing with them. More
// than 80 of the peer's are never alive, the node can still open its own, and
// after a hundred too many in a minute the connection ends.
//
// conforms: V 12
func TestTenThousandSubstreams(t *testing.T) {
	k := new(keeper)
	connected(t, func(t *testing.T, n *target, p *peer) {
		id := uint32(1)
		open := func() error {
			err := p.Data(rawpeer.SYN, id, optimistic(custom))
			id += 2
			return err
		}
		for range 80 {
			p.must(open())
		}
		synctest.Wait()
		for range 99 {
			p.must(open())
		}
		synctest.Wait()
		if got := n.opened(p); got != 80 {
			t.Errorf("got %d live substreams of the peer, want 80", got)
		}
		refused := 0
		for i := uint32(1); i < id; i += 2 {
			if p.Stream(i).RST {
				refused++
			}
		}
		if refused != 99 {
			t.Errorf("got %d substreams reset, want the 99 beyond 80", refused)
		}

		// The rest of the hundred is ours.
		opening := make(chan error, 40)
		for range 40 {
			go func() {
				_, err := n.OpenStream(t.Context(), p.id(), custom)
				opening <- err
			}()
		}
		time.Sleep(time.Second)
		if got := len(p.Opened()); got != 19 {
			t.Errorf("got %d substreams of ours beside 80 of the peer's, want 19", got)
		}
		if s := n.connStats(p); s.Substreams != 99 || s.Waiting != 21 {
			t.Errorf("got %d live substreams and %d waiting, want 99 and 21", s.Substreams, s.Waiting)
		}
		p.must(p.Data(rawpeer.RST, p.Opened()[0], ""))
		time.Sleep(time.Second)
		if got := len(p.Opened()); got != 20 {
			t.Errorf("after one has ended: got %d substreams of ours, want 20", got)
		}

		for open() == nil && id < 20_000 {
		}
		n.disconnected(p.id(), actors.CloseViolation, mux.ErrTooManyRefused)
		n.banned(p.id(), protocol.BanMedium)
		for range 40 {
			if err := <-opening; err == nil {
				t.Error("got a substream of a peer that accepts none")
			}
		}
		if taken, late := k.counts(); taken > 80 || late > 0 {
			t.Errorf("the actor was offered %d and %d substreams, want at most 80", taken, late)
		}
	}, gamelan.WithProtocol(custom, k.New))
}

// TestSubstreamsInAMinute keeps under a hundred refusals a minute: that is no
// offence, for hours.
func TestSubstreamsInAMinute(t *testing.T) {
	k := new(keeper)
	connected(t, func(t *testing.T, n *target, p *peer) {
		id := uint32(1)
		for range 80 {
			p.open(id, optimistic(custom))
			id += 2
		}
		for range 120 {
			for range 90 {
				p.open(id, optimistic(custom))
				id += 2
			}
			time.Sleep(time.Minute)
		}
		p.must(p.Data(rawpeer.RST, 1, ""))
		n.stillConnected(p, id)
	}, gamelan.WithProtocol(custom, k.New))
}

// TestDroppedSubstreams opens and drops substreams, 10,000 times: nothing is
// left of them, in the session or in a mailbox.
func TestDroppedSubstreams(t *testing.T) {
	k := new(keeper)
	connected(t, func(t *testing.T, n *target, p *peer) {
		id := uint32(1)
		for i := range 10_000 {
			p.must(p.Data(rawpeer.SYN, id, optimistic(custom)))
			p.must(p.Data(rawpeer.RST, id, ""))
			id += 2
			if i%40 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if got := n.opened(p); got != 0 {
			t.Errorf("got %d live substreams of the peer, want none", got)
		}
		for _, info := range n.Inspection().Tree().Snapshot() {
			if info.Depth > 0 || len(info.Tasks) > 10 {
				t.Errorf("%s: got %d messages and %d tasks left", info.Path, info.Depth, len(info.Tasks))
			}
		}
		n.stillConnected(p, id)
	}, gamelan.WithProtocol(custom, k.New))
}

// churn opens substreams and resets them before a protocol is agreed on, as fast as
// they are read, until the connection ends.
func (p *peer) churn() {
	for id := uint32(1); p.Data(rawpeer.SYN, id, "") == nil && p.Data(rawpeer.RST, id, "") == nil; id += 2 {
	}
}

// TestChurn opens substreams and resets them as fast as it can: 520 are read at once
// and 101 a second from then on; after 6,000 in a minute the peer hears GoAway and the
// connection ends, without a ban; it may come again. It is held back there as well,
// and others are not.
func TestChurn(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		begin := time.Now()
		go p.churn()
		synctest.Wait()
		if s := n.connStats(p); s.Unagreed < 520 || s.Unagreed > 521 || !s.HeldBack {
			t.Errorf("got %+v, want 520 substreams read, and the peer held back", s)
		}
		other := connect(t, n.net.Transport(), n.Addr, secretOf(2))
		n.stillConnected(other, 1)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("got another peer served after %v, want at once", took)
		}
		why := n.disconnected(p.id(), actors.CloseChurn, mux.ErrTooMuchChurn)
		if took := time.Since(begin); took < 50*time.Second || took > time.Minute {
			t.Errorf("got the connection ended after %v, want 6,000 substreams at 101 a second", took)
		}
		if why.By != "us" {
			t.Errorf("got ended by %s, want by us", why.By)
		}
		said := false
		for _, f := range p.Frames() {
			said = said || f.Type() == rawpeer.TypeGoAway && f.Length() == 0
		}
		if !said {
			t.Error("got no GoAway")
		}
		n.banned(p.id(), 0)
		p = connect(t, n.net.Transport(), n.Addr, p.secret)
		go p.churn()
		synctest.Wait()
		if s := n.connStats(p); s.Unagreed > 200 || !s.HeldBack {
			t.Errorf("got %+v, want the peer held back sooner: its source has used up what it had", s)
		}
	})
}

// TestChurnOfNewIdentities comes again as another identity as soon as it is held
// back: together they get as far as one does, and 20 substreams more each, and few
// of them keep a connection. A new peer from there is heard at once, also when a few of
// its substreams end without an agreed protocol.
func TestChurnOfNewIdentities(t *testing.T) {
	const identities = 60
	bubble(t, func(t *testing.T, n *target) {
		begin := time.Now()
		var read uint64
		for i := range identities {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(100+i))
			go p.churn()
			synctest.Wait()
			if _, ok := n.Connection(p.id()); ok {
				read += n.connStats(p).Unagreed
			} else {
				read += 21 // it ended
			}
			p.raw.Close()
			synctest.Wait()
		}
		if took := time.Since(begin); took > 0 {
			t.Fatalf("got it done after %v, want no time passed", took)
		}
		if got := len(n.Connections()); got > 26 {
			t.Errorf("got %d connections left of those that hung up, want the 25 that wait at most, and the first", got)
		}
		if want := uint64(500 + 21*identities); read > want {
			t.Errorf("got %d substreams read, want %d at most", read, want)
		}
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		for id := uint32(1); id < 20; id += 2 {
			p.must(p.Data(rawpeer.SYN, id, ""))
			p.must(p.Data(rawpeer.RST, id, ""))
		}
		n.stillConnected(p, 21)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("got the message of an honest peer after %v, want at once", took)
		}
	})
}

// TestPeerThatNeverReads has the node send to a peer that takes nothing: the
// node accepts what the peer's credit allows and no more, ends the connection,
// tells every sender, and has all credit back.
func TestPeerThatNeverReads(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		resume := p.Pause()
		defer resume()
		var pending []*gamelan.Pending[gamelan.Outcome]
		var accepted atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 { // 12.5 MiB
				m, err := n.Submit(t.Context(), p.id(), make([]byte, 64<<10))
				if err != nil {
					t.Errorf("enqueue: %v", err)
					return
				}
				pending = append(pending, m)
				accepted.Add(1)
			}
		}()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := accepted.Load(); got == 0 || got > 16 {
			t.Errorf("got %d messages of 64 KiB accepted, want some that fit into 1 MiB", got)
		}
		if _, _, used, _ := nodetest.Trunk(n).Credit(); used > 1<<20 {
			t.Errorf("got %d bytes held for the peer, want at most 1 MiB", used)
		}
		if end := n.disconnected(p.id(), actors.CloseEnded, mux.ErrWriteTimeout); end.By != "network" {
			t.Errorf("got the end by %s, want the network, as nobody has ended it", end.By)
		}
		n.banned(p.id(), 0)
		<-done // the rest waits for a dial, which fails
		for i, m := range pending {
			if out := m.Wait(t.Context()); out.Kind == protocol.Confirmed || out.Err == nil {
				t.Errorf("message %d: got %v, want in doubt or failed, and why", i, out)
			}
		}
		if _, _, used, _ := nodetest.Trunk(n).Credit(); used != 0 {
			t.Errorf("got %d bytes of credit in use at the end, want none", used)
		}
	})
}

// TestPeerThatGivesNoCredit reads the connection, answers pings, and
// gives no credit on the node's messaging substream: after two minutes without
// progress the connection ends.
//
// conforms: V 13
func TestPeerThatGivesNoCredit(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		began := time.Now()
		m, err := n.Submit(t.Context(), p.id(), make([]byte, 512<<10)) // twice the window
		if err != nil {
			t.Fatal(err)
		}
		why := n.disconnected(p.id(), actors.CloseStalled, mux.ErrStalled)
		if took := time.Since(began).Round(time.Second); took < 120*time.Second || took > 123*time.Second {
			t.Errorf("%v after %v, want 120s", why, took)
		}
		if out := m.Wait(t.Context()); out.Kind != protocol.InDoubt {
			t.Errorf("got %v, want in doubt", out)
		}
		n.banned(p.id(), 0)
	})
}

// TestPeerThatNeverAnswersPings is alive in no other way.
func TestPeerThatNeverAnswersPings(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		p.Mute(true)
		m, err := n.Submit(t.Context(), p.id(), []byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		n.disconnected(p.id(), actors.CloseNoAnswer, mux.ErrPingTimeout)
		if out := m.Wait(t.Context()); out.Kind != protocol.InDoubt {
			t.Errorf("got %v, want in doubt", out)
		}
		n.banned(p.id(), 0)
	})
}

// TestUnaskedFrames sends pongs, data, ends and credit that belong to nothing:
// they are swallowed.
func TestUnaskedFrames(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		for i := range uint32(2000) {
			p.must(p.Send(rawpeer.TypePing, rawpeer.ACK, 0, i))
			p.must(p.Send(rawpeer.TypeWindow, 0, 1000+i, 1<<31))
			p.must(p.Data(0, 5000+i, "for nobody"))
			p.must(p.Data(rawpeer.RST, 9000+i, ""))
			p.must(p.Data(rawpeer.FIN, 13000+i, ""))
		}
		n.stillConnected(p, 1)
	})
}

// TestManyConnections connects and leaves, in every stage, many times: nothing
// is left.
func TestManyConnections(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		for i := range 100 {
			c := rawDial(t, n.net.Transport(), n.Addr)
			switch i % 4 {
			case 0:
			case 1:
				c.Write([]byte{wireByte})
			case 2:
				shake(t, c, secretOf(1000+i))
			case 3:
				p := &peer{t: t, secret: secretOf(1000 + i), raw: c, conn: shake(t, c, secretOf(1000+i))}
				p.exchange(nil)
				p.open(1, optimistic(messaging)+framed("message"))
				p.flushed()
			}
			c.Close()
		}
		time.Sleep(20 * time.Second)
		if got := len(n.Connections()); got != 0 {
			t.Errorf("got %d connections, want none", got)
		}
		if got := n.heard.Len(); got != 25 {
			t.Errorf("got %d messages, want 25", got)
		}
		if rejected := len(happened[actors.InboundRejected](n)); rejected != 75 {
			t.Errorf("got %d set-ups rejected, want 75", rejected)
		}
		time.Sleep(time.Minute) // sessions without traffic retire
		for _, info := range n.Inspection().Tree().Snapshot() {
			if info.Kind == "conn" || info.Kind == "messagingSession" {
				t.Errorf("%s is left", info.Path)
			}
		}
	})
}
