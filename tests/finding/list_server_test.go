package finding

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// listServer is an actor that answers requests for peers by hand, in place of the node's
// own service.
type listServer func(a *listAnswer)

// listAnswer is one request and the answer to it.
type listAnswer struct {
	ctx     context.Context
	stream  protocol.Stream
	Request wire.GetPeers
	id      uint32
}

// item sends an item. It fails when the client has gone.
func (a *listAnswer) item(b []byte) error { return a.respond(onecall.Response{ID: a.id, Payload: b}) }

// end ends the answer with a status; 0 is a success.
func (a *listAnswer) end(status rpc.Status) {
	a.respond(onecall.Response{ID: a.id, Status: status, Flags: onecall.FIN})
}

func (a *listAnswer) respond(r onecall.Response) error {
	_, err := a.stream.Write(onecall.AppendResponse(nil, r)) // with the header of a frame
	return err
}

func writeFrame(w io.Writer, body []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

func (s listServer) Receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		return
	}
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	supervisor.Go(c, "list", stream, func(ctx context.Context) error {
		if _, err := readFrame(stream); err != nil {
			return err
		}
		if err := writeFrame(stream, onecall.AppendAccepted(nil)); err != nil {
			return err
		}
		body, err := readFrame(stream)
		if err != nil {
			return err
		}
		request, err := onecall.DecodeRequest(body)
		if err != nil {
			return err
		}
		a := &listAnswer{ctx: ctx, stream: stream, id: request.ID}
		if a.Request, err = wire.DecodeGetPeers(request.Payload); err != nil {
			return err
		}
		s(a)
		return nil
	})
}

// startListing starts a node, in a bubble, whose lists of peers answer makes.
func startListing(t *testing.T, net *gamelantest.Network, cfg gamelan.Config, answer listServer) *gamelantest.Node {
	t.Helper()
	n := net.Start(cfg, gamelan.WithActor("lists", func(*gamelan.Node) actor.Actor { return answer }))
	node := nodetest.Trunk(n)
	root := node.System().Root
	root.Send(node.Services(), users.RemoveProtocol{ID: protocol.PeersID})
	root.Send(node.Services(), users.AddProtocol{ID: protocol.PeersID, PID: node.PID("extensions/lists"), Own: true})
	synctest.Wait() // until then the node's own service answers
	return n
}

// listed returns the item for a node that does not run, at an address of the network.
func listed(t *testing.T, number int) []byte {
	t.Helper()
	info := wire.NewPeerInfo(gamelantest.Secret(number).PublicKey(), claimOf(t, number))
	return info.Append(nil)
}

func claimOf(t *testing.T, number int) identity.Claim {
	t.Helper()
	addr := ma.StringCast("/memory/" + itoa(number))
	c, err := identity.SignClaim(gamelantest.Secret(number), identity.FeatureNode, [][]byte{addr.Bytes()}, time.Now().Add(-time.Hour), &fixed{byte(number)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fixed reads one byte for ever.
type fixed struct{ b byte }

func (f *fixed) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = f.b | 1
	}
	return len(b), nil
}
