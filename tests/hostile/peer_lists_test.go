package hostile

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// lists attacks a node with the DHT that knows one peer, by an attacker of another
// implementation.
func lists(t *testing.T, attack func(n *target, p *peer)) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{DHT: &gamelan.DHTConfig{}})
		n.net.Connect(n.net.Start(gamelan.Config{}), n.Node)
		attack(n, connect(t, n.net.Transport(), n.Addr, secretOf(1)))
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// hello opens a session with the node's own service and returns the node's answer.
func (p *peer) hello(id uint32) (answer string) { return p.session(id, protocol.PeersID) }

// session opens a session with a service and returns the node's answer.
func (p *peer) session(id uint32, service protocol.ID) (answer string) {
	p.t.Helper()
	p.open(id, optimistic(string(service))+framed(string(onecall.AppendHello(nil))))
	synctest.Wait()
	if all := replies(p.Stream(id).Data); len(all) > 0 {
		return all[0]
	}
	return ""
}

// replies returns the frames of a stream, whose negotiation has no answer.
func replies(data string) (frames []string) {
	for len(data) >= 4 {
		n := 4 + int(binary.BigEndian.Uint32([]byte(data)))
		frames = append(frames, data[4:n])
		data = data[n:]
	}
	return frames
}

// TestIdleListSessions has a peer hold sessions with the service and ask nothing. It gets a
// few, and not for long.
func TestIdleListSessions(t *testing.T) {
	lists(t, func(n *target, p *peer) {
		accepted, refused := string(onecall.AppendAccepted(nil)), string(onecall.AppendRejected(nil, rpc.NoServerSessions))
		for i, want := range []string{accepted, accepted, accepted, refused, refused} {
			if got := p.hello(uint32(2*i + 1)); got != want {
				t.Errorf("session %d: got %x, want %x", i, got, want)
			}
		}
		began := time.Now()
		time.Sleep(time.Minute)
		for i := range 3 {
			if s := p.Stream(uint32(2*i + 1)); s.End.Sub(began) != 30*time.Second {
				t.Errorf("session %d: ended %v after %v, want 30s", i, !s.End.IsZero(), s.End.Sub(began))
			}
		}
		if got := p.hello(99); got != accepted {
			t.Errorf("a later session: got %x, want %x", got, accepted)
		}
	})
}

// TestListFlood has a peer of another implementation ask for peers without end. Some releases
// ban for every status, so it gets an empty list.
func TestListFlood(t *testing.T) {
	lists(t, func(n *target, p *peer) {
		p.hello(1)
		request := wire.GetPeers{MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)
		for i := range 1000 {
			p.must(p.Data(0, 1, framed(string(onecall.AppendRequest(nil, onecall.Request{ID: uint32(i + 1), Method: netsync.MethodGetPeers, Deadline: 60, Payload: request})[4:]))))
			synctest.Wait()
		}
		frames := replies(p.Stream(1).Data)
		items, ends := 0, 0
		for _, f := range frames[1:] {
			r, err := onecall.DecodeResponse([]byte(f))
			if err != nil || r.Status != rpc.OK {
				t.Fatalf("got response %+v, %v", r, err)
			}
			if r.Flags&onecall.FIN != 0 {
				ends++
			} else {
				items++
			}
		}
		if items != netsync.CallerRequests || ends != 1000 {
			t.Errorf("got %d items and %d ends of a list, want %d and 1000", items, ends, netsync.CallerRequests)
		}
		if v := n.DHT().Network().Service; v.Served != netsync.CallerRequests || v.Refused != 1000-netsync.CallerRequests {
			t.Errorf("got the counts %+v", v)
		}
	})
}
