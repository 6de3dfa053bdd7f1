package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// nobodys is a protocol that nobody speaks, late one that we speak without
// having listed it when we connected.
const (
	nobodys protocol.ID = "t/nobody/1"
	late    protocol.ID = "t/late/1"
)

// echoed writes size bytes to a stream, ends it, and wants the same back.
func echoed(t *testing.T, s protocol.Stream, size int) {
	t.Helper()
	defer s.Close()
	sent := numbered(7, size)
	written := make(chan struct{})
	go func() {
		defer close(written)
		if _, err := s.Write(sent); err != nil {
			t.Errorf("write: %v", err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Errorf("close for writing: %v", err)
		}
	}()
	got, err := io.ReadAll(s)
	<-written
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("echo of %d bytes: got %d bytes, %v, want the same", size, len(got), err)
	}
}

// Substreams of a protocol of one's own, opened by both sides: one that the
// other side has listed, which takes no answer, and one that is proposed. What
// is written comes back whole, with its end.
//
// conforms: comms 71-73, 143
// feature: custom protocols, optimistic and proposed, with half-close
func TestSubstreams(t *testing.T) {
	bothWays(t, func(t *testing.T, release string, who dialer) {
		n, p := pair(t, release, who)
		if err := n.Register(t.Context(), late, func(n *gamelan.Node) actor.Actor { return newEcho(n) }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		for _, size := range []int{0, 1, 100, 1 << 20} {
			// The first is listed: optimistic. After one that nobody speaks the
			// second is proposed.
			for _, ids := range [][]protocol.ID{{echoID}, {nobodys, echoID}} {
				s, err := n.OpenStream(ctx, p.id, ids...)
				if err != nil {
					t.Fatalf("open %q: %v", ids, err)
				}
				echoed(t, s, size)
			}
			for _, id := range []protocol.ID{echoID, late} {
				var r struct{ Read, Damaged int }
				p.must("open", args{"peer": n.PublicKey().String(), "protocol": string(id), "size": size}, &r)
				if r.Read != size || r.Damaged != 0 {
					t.Errorf("their %s: got %+v, want %d bytes", id, r, size)
				}
			}
		}
		if _, err := n.OpenStream(ctx, p.id, nobodys); !errors.Is(err, negotiate.ErrUnsupported) {
			t.Errorf("we open %s: got %v, want ErrUnsupported", nobodys, err)
		}
		if err := p.ask("open", args{"peer": n.PublicKey().String(), "protocol": string(nobodys), "size": 1}, nil); err == nil {
			t.Errorf("they open %s: got a substream, want an error", nobodys)
		}
		noBan(t, n, p)
		// Nothing is left open on either side.
		var stats struct{ Echo struct{ Streams, Ended int } }
		p.must("stats", nil, &stats)
		if stats.Echo.Streams != 8 || stats.Echo.Ended != 8 {
			t.Errorf("their echo: got %+v, want 8 streams that ended", stats.Echo)
		}
		gamelantest.Eventually(t, connectLimit, "no substream left", func() bool { return p.links()[0].Substreams == 0 })
	})
}

// Many substreams at once: of ours more than may be open, so that the rest
// waits, and then theirs. Not both at the same time: a node of 1.0.0-rc.5 that
// opens substreams while a hundred of ours arrive waits for itself for ever,
// and one of 6.2.0 opens none while there are 112.
//
// conforms: comms 70; V 12
// feature: many substreams at once
// note: 1.0.0-rc.5: waits for itself for ever when it opens substreams while about a hundred arrive from us
// note: 6.2.0: opens none while 112 are open
func TestManySubstreamsAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, release string, who dialer) {
		n, p := pair(t, release, who)
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		atOnce(t, "ours", 300, func() error {
			s, err := n.OpenStream(ctx, p.id, echoID)
			if err == nil {
				echoed(t, s, 10_000)
			}
			return err
		})
		atOnce(t, "theirs", 60, func() error {
			return p.ask("open", args{"peer": n.PublicKey().String(), "protocol": string(echoID), "size": 10_000}, nil)
		})
		noBan(t, n, p)
	})
}

func atOnce(t *testing.T, whose string, n int, open func() error) {
	t.Helper()
	done := make(chan error, n)
	for range n {
		go func() { done <- open() }()
	}
	failed := 0
	var last error
	for range n {
		if err := <-done; err != nil {
			failed++
			last = err
		}
	}
	if failed > 0 {
		t.Errorf("%s: got %d of %d substreams that failed, such as %v; want none", whose, failed, n, last)
	}
}
