package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// manyProtocols has a node accept more than its identity message holds.
func manyProtocols() (opts []gamelan.Option) {
	for i := range 30 {
		opts = append(opts, gamelan.WithProtocol(protocol.ID(fmt.Sprint("/p/", i)), func(*gamelan.Node) actor.Actor {
			return actor.ReceiveFunc(func(actor.Context) {})
		}))
	}
	return opts
}

// lists opens a substream with a list and returns what happened to it.
func (p *peer) lists(id uint32, list string) rawpeer.Stream {
	p.t.Helper()
	p.open(id, optimistic(string(more.ID))+list)
	p.must(p.Data(rawpeer.FIN, id, ""))
	synctest.Wait()
	return p.Stream(id)
}

// TestListsOfProtocols has peers tell their protocols again and again, wrongly, and not at all. A
// peer of another implementation is told nothing, and what it tells does not count.
//
// conforms: V 41
func TestListsOfProtocols(t *testing.T) {
	list := func(ids ...protocol.ID) string { return string(more.Append(nil, ids)) }
	bubble(t, func(t *testing.T, n *target) {
		tari := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		synctest.Wait()
		if got := tari.Opened(); len(got) > 0 {
			t.Errorf("a peer of another implementation: got substreams %v, want none", got)
		}
		tari.lists(1, list("/late/1"))
		if with, ok := n.Connection(tari.id()); !ok || with.Accepts("/late/1") {
			t.Error("a peer of another implementation: got its list taken, or no connection")
		}

		ours := connect(t, n.net.Transport(), n.Addr, secretOf(2), protocol.TakenMarker)
		synctest.Wait()
		id, proposal := ours.Opened()[0], propose(0, string(more.ID))
		ours.must(ours.Data(rawpeer.ACK, id, proposal))
		synctest.Wait()
		told, err := more.Read(strings.NewReader(strings.TrimPrefix(ours.Stream(id).Data, proposal)))
		if err != nil || !slices.Contains(told, "/p/29") || slices.Contains(ours.says.Protocols, "/p/29") {
			t.Errorf("got the list %q, %v, want what the identity message has no room for", told, err)
		}
		const once = 10
		taken := 0
		for i := range 3 * once {
			ours.lists(uint32(2*i+1), list(protocol.ID(fmt.Sprint("/q/", i))))
			if with, _ := n.Connection(ours.id()); with.Accepts(protocol.ID(fmt.Sprint("/q/", i))) {
				taken++
			}
		}
		if taken != once {
			t.Errorf("got %d lists taken at once, want %d", taken, once)
		}
		time.Sleep(5 * time.Second)
		if ours.lists(201, list("/r/1")); !accepts(n, ours, "/r/1") {
			t.Error("a list after a while: got it refused")
		}

		ours.open(203, optimistic(string(more.ID))) // and says nothing
		began := time.Now()
		time.Sleep(time.Minute)
		if s := ours.Stream(203); s.End.Sub(began) > 11*time.Second || s.End.IsZero() {
			t.Errorf("a silent one: got it open for %v", s.End.Sub(began))
		}
		n.banned(ours.id(), 0)

		ours.lists(205, string(frame.Append(nil, []byte("\xff"))))
		n.disconnected(ours.id(), "", nil)
		n.banned(ours.id(), protocol.BanShort)
	}, manyProtocols()...)
}

func accepts(n *target, p *peer, id protocol.ID) bool {
	with, ok := n.Connection(p.id())
	return ok && with.Accepts(id)
}
