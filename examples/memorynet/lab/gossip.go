package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// newsType is the message type of news. Once all nodes have it and no copy has come for
// newsQuiet, no more are awaited: the report on a copy whose connection ended may take its
// sender a minute.
const (
	newsType  = 1001
	newsQuiet = 500 * time.Millisecond
)

// news returns a message for all connected nodes except those given. It has the same
// bytes from each node, so that each node drops the copies.
func news(body []byte, except ...identity.NodeID) dht.Message {
	return dht.Message{To: dht.Propagate{Exclude: except}, Type: newsType, Body: body}
}

// teller is the actor of a member that passes news on.
type teller struct {
	node   *gamelan.Node
	log    *journal
	member int
}

func (t *teller) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case dht.Received:
		t.log.learned(t.member, m.Body)
		t.node.DHT().SendFrom(c, numberOf(m.Body), news(m.Body, m.Peer))
	case dht.Sent:
		t.log.relayed(m.ID, m.Report.Count(protocol.Confirmed))
	}
}

// numberOf returns the number of news; 0: it is none of the lab's.
func numberOf(body []byte) uint64 {
	if len(body) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(body)
}

// Gossip is one piece of news and how it spread.
type Gossip struct {
	Origin   int
	Reached  int           // nodes that have it, the origin among them
	Took     time.Duration // until the last of them had it
	Received int           // copies that arrived, the first ones included

	number   uint64 // not 0
	began    time.Time
	last     time.Time // when the last copy came
	has      []bool    // by member
	due      []bool    // members whose tellers get it: they have it soon
	received []int     // copies, by member
	relayed  int       // members that have relayed it
	sent     int       // copies that they have sent
}

// Copies returns how many copies a node received on average.
func (g *Gossip) Copies() float64 { return float64(g.Received) / float64(max(g.Reached, 1)) }

// learned records that a member has received news for the first time.
func (j *journal) learned(member int, body []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.gossip
	if g == nil || g.has[member] || numberOf(body) != g.number {
		return
	}
	g.has[member] = true
	g.Reached++
	g.Took = time.Since(g.began)
	j.notify()
}

// came records a copy of news. With delivered the member's teller gets it.
func (j *journal) came(member int, e *wire.Envelope, delivered bool) {
	g := j.gossip
	if g == nil {
		return
	}
	if parts, err := wire.DecodeBody(e.Body); err != nil || len(parts) != 2 || numberOf(parts[1]) != g.number {
		return
	}
	g.received[member]++
	g.due[member] = g.due[member] || delivered
	g.last = time.Now()
	j.notify()
}

// relayed records that a member has sent the news of this number on, as so many copies.
func (j *journal) relayed(number uint64, copies int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if g := j.gossip; g != nil && g.number == number {
		g.relayed++
		g.sent += copies
		j.notify()
	}
}

// Gossip has a member tell news to the nodes, and waits until the news has stopped
// spreading, for Config.Limit at most.
func (l *Lab) Gossip(ctx context.Context, origin int) (Gossip, error) {
	g := &Gossip{
		Origin: origin, Reached: 1, number: l.random.Uint64() | 1, began: time.Now(),
		has: make([]bool, len(l.Members)), due: make([]bool, len(l.Members)), received: make([]int, len(l.Members)),
	}
	g.has[origin] = true
	l.log.mu.Lock()
	l.log.gossip = g
	l.log.mu.Unlock()
	sent, err := l.Members[origin].Node.DHT().Submit(ctx, news(binary.BigEndian.AppendUint64(nil, g.number)))
	if err != nil {
		return *g, fmt.Errorf("news of %s: %w", l.Members[origin].Name, err)
	}
	l.readers.Go(func() {
		report := sent.Wait(l.events)
		l.log.relayed(g.number, report.Count(protocol.Confirmed))
	})
	nodes := len(l.nodes())
	ctx, cancel := context.WithTimeout(ctx, l.config.Limit)
	defer cancel()
	l.until(ctx, "propagation", func() (done, of int) {
		l.log.mu.Lock()
		defer l.log.mu.Unlock()
		done, of = g.Reached, nodes
		g.Received = 0
		told := true // all whose tellers get it
		for i, n := range g.received {
			g.Received += n
			told = told && (g.has[i] || !g.due[i])
		}
		switch {
		case told && g.relayed >= g.Reached && g.Received >= g.sent:
			return of, of // whoever has not heard it will not
		case done == of && time.Since(g.last) < newsQuiet:
			done-- // copies are under way
		}
		return done, of
	})
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	l.log.gossip = nil
	return *g, nil
}
