package hostile

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
)

// standsStill has the peer stop reading, until resume, and the node write more than the connection
// takes.
func (n *target) standsStill(p *peer) (sent []*gamelan.Pending[gamelan.Outcome], resume func()) {
	resume = p.Pause()
	for range 4 {
		sent = append(sent, n.enqueue(p, string(make([]byte, 60<<10))))
	}
	time.Sleep(time.Second)
	return sent, resume
}

// TestHeardWhileOurWritesStandStill has a peer stop reading while the node has
// much to send, and open substreams meanwhile, each with its protocol and a
// message at once: the message reaches the handler, and a stream its protocol's
// actor, before the peer reads a byte. A substream that waits for the node's
// answer gets it when the peer reads again.
//
// conforms: V 13
func TestHeardWhileOurWritesStandStill(t *testing.T) {
	k := new(keeper)
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
		synctest.Wait()
		sent, resume := n.standsStill(p)
		defer resume()
		p.open(1, optimistic(messaging)+framed("from the peer"))
		p.open(3, optimistic(custom)+"stream")
		p.must(p.Data(rawpeer.FIN, 3, ""))
		p.open(5, propose(0, custom))
		synctest.Wait()
		if got := n.heard.Bodies(); !slices.Contains(got, "from the peer") {
			t.Errorf("got the messages %q while our writes stand still, want the peer's", got)
		}
		if got := k.streams(); len(got) != 1 || got[0].data != "stream" || got[0].err != nil {
			t.Errorf("got the streams %v while our writes stand still, want the peer's", got)
		}
		for i, m := range sent {
			select {
			case <-m.Done():
				t.Errorf("message %d: got %v, want it still under way: the peer has read nothing", i, m.Result())
			default:
			}
		}
		time.Sleep(time.Second)
		resume()
		for i, m := range sent {
			if out := m.Wait(t.Context()); out.Kind.String() != "confirmed" {
				t.Errorf("message %d: got %v, want confirmed", i, out)
			}
		}
		synctest.Wait()
		if got := p.Stream(5).Data; got != propose(0, custom) {
			t.Errorf("got the answer %q, want the protocol accepted", got)
		}
	}, gamelan.WithProtocol(custom, k.New))
}
