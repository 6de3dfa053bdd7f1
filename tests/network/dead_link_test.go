package network

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// likeTCP is a transport in memory whose connections know what is in flight, as those of a kernel
// do, from a cut of all of them on.
type likeTCP struct {
	*memory.Transport
	cut  *atomic.Pointer[time.Time]
	told bool // the system tells it
}

type likeTCPConn struct {
	transport.Conn
	of likeTCP
}

func (t likeTCP) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	c, err := t.Transport.Dial(ctx, a)
	if err != nil {
		return nil, err
	}
	return likeTCPConn{c, t}, nil
}

// Flight says that something is sent again each second from the cut on.
func (c likeTCPConn) Flight() (f transport.Flight, ok bool) {
	if at := c.of.cut.Load(); at != nil {
		f = transport.Flight{Unacknowledged: true, Acknowledged: time.Since(*at), Received: time.Since(*at), Sent: time.Second}
	}
	return f, c.of.told
}

// TestBubbleDeadLink: the end that knows what is in flight ends a dead connection 15 s after the
// last acknowledgement, one that does not 30 s after the last byte, and each says so meanwhile.
//
// conforms: V 36
func TestBubbleDeadLink(t *testing.T) {
	for _, c := range []struct {
		name  string
		told  bool
		after time.Duration
		want  error
	}{
		{"with acknowledgements", true, keepalive.Unacknowledged, actors.ErrUnacknowledged},
		{"without", false, keepalive.Silent, actors.ErrSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				b := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
				mine := likeTCP{net.Transport(), new(atomic.Pointer[time.Time]), c.told}
				a, err := gamelan.Start(t.Context(), gamelan.Config{
					Listen: []string{"/memory/9"}, NoDHT: true, Floor: gamelan.NoFloor, Seeds: []string{gamelantest.Secret(1).PublicKey().String() + "::" + b.Addr.String()},
				}, gamelan.WithSystem(net.System), gamelan.WithTransport(mine), kit.Quiet)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close(context.Background())
				conn, err := a.Dial(t.Context(), b.ID())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute) // it is idle, and pinged
				if _, ok := a.Connection(b.ID()); !ok {
					t.Fatal("an idle connection has ended")
				}

				mine.Partition(b.Transport)
				now := time.Now()
				mine.cut.Store(&now)
				pinged := make(chan error, 1)
				go func() {
					_, err := a.Ping(t.Context(), b.ID())
					pinged <- err
				}()
				time.Sleep(7 * time.Second)
				d, err := a.Inspection().Tree().Inspect(t.Context(), conn.PID.Id)
				if stats, ok := d.Value.(connections.ConnStats); err != nil || !ok || stats.Silent < 7*time.Second {
					t.Errorf("7 s after the cut: got %+v, %v, want it silent for 7s", d.Value, err)
				}
				gamelantest.Eventually(t, time.Minute, "the end of the connection", func() bool { return len(a.Connections()) == 0 })
				if took := time.Since(now); took < c.after-keepalive.DirectInterval || took > c.after+time.Second {
					t.Errorf("got its end %v after the cut, want %v", took, c.after)
				}
				if err := <-pinged; !errors.Is(err, actors.ErrConnectionClosed) {
					t.Errorf("the ping: got %v, want %v", err, actors.ErrConnectionClosed)
				}
				if ended := a.Inspection().Peer(b.ID()).Ended; ended == nil || !errors.Is(ended.Reason.Err, c.want) {
					t.Errorf("got %+v, want %v", ended, c.want)
				}
			})
		})
	}
}
