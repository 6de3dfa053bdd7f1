package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/signals"
)

// damage is done to the bytes of one direction when the one at offset passes.
type damage struct {
	name string
	do   func(w io.Writer, before, rest []byte) error // splits at the offset
}

var damages = []damage{
	{"flipped", func(w io.Writer, before, rest []byte) error {
		bad := append([]byte{}, before...)
		bad = append(bad, rest[0]^1)
		_, err := w.Write(append(bad, rest[1:]...))
		return err
	}},
	{"twice", func(w io.Writer, before, rest []byte) error {
		bad := append(append([]byte{}, before...), rest[0])
		_, err := w.Write(append(bad, rest...))
		return err
	}},
	{"missing", func(w io.Writer, before, rest []byte) error {
		_, err := w.Write(append(append([]byte{}, before...), rest[1:]...))
		return err
	}},
	{"cut", func(w io.Writer, before, _ []byte) error {
		_, _ = w.Write(before)
		return io.ErrClosedPipe
	}},
	{"late", func(w io.Writer, before, rest []byte) error {
		if _, err := w.Write(before); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		_, err := w.Write(rest)
		return err
	}},
}

// damaged copies until the byte at offset has passed, to which damage is done.
func damaged(dst, src net.Conn, offset int, d damage) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 4096)
	for seen := 0; ; {
		n, err := src.Read(buf)
		b := buf[:n]
		if n > 0 && offset >= seen && offset < seen+n {
			err = errors.Join(err, d.do(dst, b[:offset-seen], b[offset-seen:]))
		} else if n > 0 {
			_, werr := dst.Write(b)
			err = errors.Join(err, werr)
		}
		if seen += n; err != nil {
			return
		}
	}
}

// between returns our end of a connection to a target on which damage is done
// in one direction.
func between(t *testing.T, target string, toThem bool, offset int, d damage) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	const never = -1
	if toThem {
		go damaged(far, near, offset, d)
		go damaged(near, far, never, d)
	} else {
		go damaged(far, near, never, d)
		go damaged(near, far, offset, d)
	}
	t.Cleanup(func() { ours.Close() })
	return ours
}

// A byte of the set-up is damaged on its way, in either direction: our side
// gets a typed error with its stage, within the limits of the set-up, and
// nobody is banned, except for the 2 min that both give who says nothing in the
// identity exchange. A byte that is merely late does no harm.
//
// feature: while connecting: a byte is flipped, repeated, dropped, late, or the last
func TestDamagedSetUp(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		p := startTari(t, release)
		// In each frame of the set-up the length and the content; the last lie
		// in the identity frames.
		offsets := map[bool][]int{
			true:  {0, 1, 2, 20, 36, 80, 101, 200},
			false: {0, 50, 98, 99, 100, 200},
		}
		var all sync.WaitGroup
		atOnce := make(chan struct{}, 90) // a node sets up 100 connections side by side
		var mu sync.Mutex
		stages := make(map[upgrade.Stage]int)
		for _, d := range damages {
			for toThem, list := range offsets {
				for _, offset := range list {
					all.Go(func() {
						atOnce <- struct{}{}
						defer func() { <-atOnce }()
						where := fmt.Sprintf("byte %d %s, to them %v", offset, d.name, toThem)
						secret := newSecret(t)
						stage, err := setUp(t, between(t, p.tcp(), toThem, offset, d), secret, p.key, d.name != "late")
						switch {
						case d.name == "late" && err != nil:
							t.Errorf("%s: got %v, want a connection", where, err)
						case d.name != "late" && err == nil:
							t.Errorf("%s: got a connection, want an error", where)
						}
						if r := p.record(secret.PublicKey()); r.Banned && (r.BannedFor > 120 || d.name == "late") {
							t.Errorf("%s: they banned for %d s: %s", where, r.BannedFor, r.BanReason)
						}
						mu.Lock()
						defer mu.Unlock()
						stages[stage]++
					})
				}
			}
		}
		all.Wait()
		t.Logf("set-ups by the stage at which they failed: %v", stages)
		if stages[upgrade.StageNoise] == 0 || stages[upgrade.StageIdentity] == 0 {
			t.Errorf("got failures at %v, want some at Noise and at identity", stages)
		}
		// The node is as well as before.
		n := startOurs(t, gamelan.Config{})
		connect(t, n, p, weDial)
	})
}

// setUp sets up a connection, and if patient gives the peer the time to refuse
// what it was sent last. The stage is that of the error.
func setUp(t *testing.T, c net.Conn, secret *identity.Secret, want identity.PublicKey, patient bool) (upgrade.Stage, error) {
	o := offender{t: t, secret: secret}
	result, err := upgrade.Outbound(t.Context(), c, upgrade.Config{
		Profile: protocol.Tari(protocol.LocalNet), Secret: secret,
		Local: func() identify.Message { return o.message(time.Now()) },
	}, want)
	if err != nil {
		e, ok := errors.AsType[*upgrade.Error](err)
		if !ok {
			t.Errorf("got %T %v, want an *upgrade.Error", err, err)
			return "", err
		}
		if v := e.Violation(); v != nil && v.Ban > protocol.BanShort {
			t.Errorf("got %v, want no ban of more than 2 min", err)
		}
		return e.Stage, err
	}
	defer result.Session.Close()
	// They judge our identity after they have sent theirs, for which they wait
	// 10 s.
	if patient {
		over := make(chan struct{})
		result.Session.Handle(func(*mux.Stream) {}, func(error) { close(over) })
		select {
		case <-over:
			return upgrade.StageMux, result.Session.Err()
		case <-time.After(12 * time.Second):
		}
	}
	_, err = result.Session.Ping()
	return upgrade.StageMux, err
}

// Their process stands still while we dial: the dial fails in time and in the
// right place, and succeeds when the process goes on. It stands still again
// while we send: nothing is lost.
//
// feature: their process is stopped and continued
func TestTheirProcessIsStopped(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
		p.stop()
		err := dialError(t, n, seedOf(t, p))
		if e, ok := errors.AsType[*upgrade.Error](err); !ok || e.Stage != upgrade.StageNoise || !errors.Is(err, upgrade.ErrSilent) {
			t.Errorf("dial: got %v, want ErrSilent at the Noise handshake", err)
		}
		p.signal(signals.Resume)
		connect(t, n, p, weDial)

		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		defer cancel()
		var stops sync.WaitGroup
		stops.Go(func() {
			for range 5 {
				time.Sleep(100 * time.Millisecond)
				p.signal(signals.Stop)
				time.Sleep(500 * time.Millisecond)
				p.signal(signals.Resume)
			}
		})
		got, err := n.sendAll(ctx, p.id, lossy)
		if err != nil || got.count[protocol.Confirmed] != lossy.count {
			t.Errorf("our outcomes: got %v, %v, want all confirmed", got, err)
		}
		stops.Wait()
		settled(func() uint64 { return p.received(n.PublicKey()).Count })
		there := p.received(n.PublicKey())
		there.wantAll(t, "there", 0, lossy.count)
		noBan(t, n, p)
	})
}
