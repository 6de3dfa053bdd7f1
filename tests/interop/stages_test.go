package interop

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/signals"
)

// A point of the set-up is when a number of bytes has passed in one direction.
type point struct {
	name     string
	fromThem bool
	bytes    int
	stage    upgrade.Stage // where our side then fails
}

// The first bytes are those of the wire byte (1), Noise message 1 (34), 2 (98)
// and 3 (66), and the identity frames, of some hundred bytes.
var points = map[dialer][]point{
	weDial: {
		{"before the wire byte", false, 0, upgrade.StageNoise},
		{"before Noise message 1", false, 1, upgrade.StageNoise},
		{"before Noise message 2", true, 0, upgrade.StageNoise},
		{"in Noise message 2", true, 50, upgrade.StageNoise},
		{"before Noise message 3", false, 35, upgrade.StageIdentity},
		{"before their identity", true, 98, upgrade.StageIdentity},
		{"in their identity", true, 150, upgrade.StageIdentity},
	},
	theyDial: {
		{"before the wire byte", true, 0, upgrade.StageWire},
		{"before Noise message 1", true, 1, upgrade.StageNoise},
		{"in Noise message 1", true, 20, upgrade.StageNoise},
		{"before Noise message 2", false, 0, upgrade.StageNoise},
		{"before Noise message 3", true, 35, upgrade.StageNoise},
		{"in Noise message 3", true, 60, upgrade.StageNoise},
		{"before their identity", true, 101, upgrade.StageIdentity},
		{"in their identity", true, 150, upgrade.StageIdentity},
	},
}

// checkpoint passes one connection on to a target. When so many bytes have gone
// one way and the next one comes, it calls reached; if that one is theirs,
// nothing more of them gets through: they have not got further.
type checkpoint struct {
	point
	listener net.Listener
	target   string
	who      dialer
	reached  func()
}

func newCheckpoint(t *testing.T, at point, who dialer, target string, reached func()) *checkpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &checkpoint{at, l, target, who, sync.OnceFunc(reached)}
	go func() {
		from, err := l.Accept()
		l.Close()
		if err != nil {
			return
		}
		t.Cleanup(func() { from.Close() })
		to, err := net.Dial("tcp", target)
		if err != nil {
			from.Close()
			return
		}
		t.Cleanup(func() { to.Close() })
		theyDial := who == theyDial
		go c.pass(to, from, theyDial)
		go c.pass(from, to, !theyDial)
	}()
	return c
}

func (c *checkpoint) multiaddr() string {
	_, port, _ := net.SplitHostPort(c.listener.Addr().String())
	return "/ip4/127.0.0.1/tcp/" + port
}

// pass copies one direction. The end of either socket ends both.
func (c *checkpoint) pass(dst, src net.Conn, fromThem bool) {
	defer dst.Close()
	defer src.Close()
	left := -1
	if fromThem == c.fromThem {
		left = c.bytes
	}
	buf := make([]byte, 4096)
	for {
		b := buf
		if left > 0 {
			b = buf[:min(left, len(buf))]
		}
		n, err := src.Read(b)
		if n > 0 && left == 0 {
			c.reached()
			for fromThem && err == nil { // nothing more comes of them
				_, err = src.Read(buf)
			}
			left = -1
		} else if left > 0 {
			left -= n
		}
		if err == nil {
			_, err = dst.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// Their process is killed, or stopped, at each point of the set-up, whoever
// dials: our side fails with the stage and the cause, in time. Nobody is banned
// for more than the 2 min that both sides give for silence in the identity
// exchange, and when the process goes on the two connect.
//
// feature: their process is killed or stopped at each stage of connecting
func TestTheirProcessEndsAtEachStage(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, release string, who dialer) {
		for _, at := range points[who] {
			for name, s := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": signals.Stop} {
				t.Run(at.name+" "+name, func(t *testing.T) {
					t.Parallel()
					endAtStage(t, release, who, at, s)
				})
			}
		}
	})
}

func endAtStage(t *testing.T, release string, who dialer, at point, s syscall.Signal) {
	// A dial of the node's own accord, begun while the process was down, would be
	// shared by the one that is asked for when it is up again.
	n, p := startOurs(t, gamelan.Config{Floor: gamelan.NoFloor}), startTari(t, release)
	target := p.tcp()
	if who == theyDial {
		target = tcpOf(n.Listening()[0].String())
	}
	ended := p.ended
	c := newCheckpoint(t, at, who, target, func() {
		if s == syscall.SIGKILL {
			p.signal(s)
			<-ended
		} else {
			p.stop()
		}
	})
	var asking sync.WaitGroup
	var stage upgrade.Stage
	var err error
	if who == weDial {
		peer, perr := peerstore.ParseSeed(p.key.String() + "::" + c.multiaddr())
		if perr != nil {
			t.Fatal(perr)
		}
		err = dialError(t, n, peer)
		if e, ok := errors.AsType[*upgrade.Error](err); ok {
			stage = e.Stage
		}
	} else {
		p.knows(n.PublicKey(), c.multiaddr())
		r := refused(t, n, func() {
			asking.Go(func() { _ = p.ask("dial", args{"peer": n.PublicKey().String()}, nil) })
		})
		stage, err = upgrade.Stage(r.Stage), r.Err
	}
	want := map[syscall.Signal]error{syscall.SIGKILL: upgrade.ErrHungUp, signals.Stop: upgrade.ErrSilent}[s]
	if stage != at.stage || !errors.Is(err, want) {
		t.Errorf("got stage %q: %v, want %v at %q", stage, err, want, at.stage)
	}
	silent := s == signals.Stop && at.stage == upgrade.StageIdentity
	ban := func() (time.Duration, string, bool) {
		until, reason, ok := n.Peers().Banned(p.id)
		return time.Until(until), reason, ok
	}
	if silent {
		gamelantest.Eventually(t, connectLimit, "a ban for silence", func() bool { _, _, ok := ban(); return ok })
	}
	if left, reason, ok := ban(); ok && (!silent || left > protocol.BanShort) {
		t.Errorf("we banned for %v: %s, want no more than 2 min, and for silence in the identity exchange only", left, reason)
	}
	if s == syscall.SIGKILL {
		p.kill()
		asking.Wait()
		p.start()
	} else {
		p.signal(signals.Resume)
	}
	r := p.record(n.PublicKey())
	if r.Banned && r.BannedFor > 120 {
		t.Errorf("they banned for %d s: %s, want no more than 2 min", r.BannedFor, r.BanReason)
	}
	if silent || r.Banned {
		return
	}
	connect(t, n, p, who)
}

// Their process has a twentieth of the time, from before the set-up on: the two
// connect, whoever dials, and all messages arrive both ways.
//
// feature: their process is starved of CPU while connecting and later
func TestTheirProcessIsStarved(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, release string, who dialer) {
		t.Parallel()
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
		defer p.starve(10*time.Millisecond, 190*time.Millisecond)()
		connect(t, n, p, who)
		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		defer cancel()
		const count = 1000
		got, err := n.sendAll(ctx, p.id, batch{count: count, size: 1000})
		if err != nil || got.count[protocol.Confirmed] != count {
			t.Errorf("our outcomes: got %v, %v, want all confirmed", got, err)
		}
		if r, err := p.send(n.PublicKey(), batch{count: count, size: 1000}); err != nil || r.Sent != count {
			t.Errorf("their replies: got %v, %v, want %d sent", errFailed(r), err, count)
		}
		gamelantest.Eventually(t, connectLimit, "all messages at both sides", func() bool {
			return n.heard(p.id).Count >= count && p.received(n.PublicKey()).Count >= count
		})
		here, there := n.heard(p.id), p.received(n.PublicKey())
		here.wantAll(t, "here", 0, count)
		there.wantAll(t, "there", 0, count)
		noBan(t, n, p)
	})
}
