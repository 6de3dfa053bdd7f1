package reachpart

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// serving is the trunk of a node that serves.
type serving struct{ clocked }

func (t *serving) Services() *actor.PID { return t.PID("part/services") }

// piped is the node's end of a substream.
type piped struct{ net.Conn }

func (p piped) CloseWrite() error { return p.Close() }

// TestSilentAskersOfOneSource: the keys of one address ask nothing on as many substreams as they can open. A peer
// of another address is told where it is seen, and so is a peer that this node has dialled.
func TestSilentAskersOfOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		tr := &serving{clocked{sys: sys}}
		r := New(tr, Settings{Clock: true})
		group := supervisor.Group(
			supervisor.Spec{Name: "services", New: func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }},
			supervisor.Spec{Name: "server", New: func() actor.Actor { return &server{r: r} }},
		)
		root, err := supervisor.Start(sys, "test", supervisor.Spec{Name: "part", New: group}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		opens := func(ref *actors.ConnRef) net.Conn {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { theirs.Close() })
			sys.Root.Send(tr.PID("part/server"), actors.SubstreamOpened{Peer: ref.Peer, Conn: ref, Stream: supervisor.Hand[protocol.Stream](piped{ours}, nil)})
			synctest.Wait()
			return theirs
		}
		from := func(n byte, ip string) *actors.ConnRef {
			ref := peerAt(n, "/ip4/"+ip+"/tcp/1")
			ref.Direction, ref.Link().Origin = protocol.Inbound, peerstore.Origin(share.Of(netip.MustParseAddr(ip)))
			return ref
		}
		for i := range byte(17) {
			ref := from(1+i, "6.6.6.6")
			for range 4 {
				opens(ref)
			}
		}
		for _, ref := range []*actors.ConnRef{from(100, "8.8.8.8"), peerAt(101, "/ip4/9.9.9.9/tcp/1")} {
			s := opens(ref)
			if _, err := s.Write(reach.AppendAsk(nil, reach.Ask{Observe: true})); err != nil {
				t.Errorf("%s: got %v, want its request read", ref.Link().Remote, err)
				continue
			}
			if a, err := reach.ReadAnswer(s); err != nil || a.Code != reach.OK || !a.Seen.IsValid() {
				t.Errorf("%s: got %+v, %v, want where it is seen", ref.Link().Remote, a, err)
			}
		}
	})
}
