package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Crossing is the most by which the beginnings of two connections of opposite directions differ
// when the ends have dialled each other at about the same time.
const Crossing = 3 * time.Second

// pair holds the connections of one peer: at most one in each direction, of which one is
// live. Of two that cross, the one dialled by the node with the smaller id is live as soon as
// it arrives. The other is retired only when the live one has been proven to work: a peer may
// drop its own dial, which has succeeded here, because this node's dial arrived there first.
// If each side closed another connection, none would be left. After that the pair forgets the
// retired one: the peer has the live one as well, so neither side begins anything on the
// other, which ends when everything on it is finished.
//
// A pair is a value; copies are independent.
//
// spec: comms 10.3.
type pair[C comparable] struct {
	links    [2]link[C]         // by direction
	favoured protocol.Direction // of the one that is live when there are two
	leaving  bool               // this node is closing the live one
	leaver   protocol.Direction // direction of the one that is being closed
	mark     uint64             // mark of the last proof that was requested
}

type link[C comparable] struct {
	conn  C
	here  bool
	began time.Time // begin of its set-up
}

func (l link[C]) is(conn C) bool { return l.here && l.conn == conn }

// live returns the direction of the live connection.
func (p *pair[C]) live() (d protocol.Direction, ok bool) {
	d = p.favoured
	if p.leaving {
		d = p.leaver
	}
	if !p.links[d].here {
		d = d.Opposite()
	}
	return d, p.links[d].here
}

func (p *pair[C]) arrive(conn C, d protocol.Direction, began time.Time) (acts []Act[C]) {
	older := p.links[d]
	p.links[d] = link[C]{conn, true, began}
	if older.here && began.Before(older.began) { // the newer one arrived first
		older, p.links[d] = p.links[d], older
	} else if older.here && p.leaving && p.leaver == d {
		p.leaving = false
	}
	if live, _ := p.live(); !p.leaving { // otherwise conn waits for the end of the other one
		chosen := p.links[live].conn
		acts = append(acts, Act[C]{Verb: Announce, Conn: chosen})
		if p.links[live.Opposite()].here {
			p.mark++
			acts = append(acts, Act[C]{Verb: Prove, Conn: chosen, Mark: p.mark})
		}
	}
	if older.here { // the newer one in the same direction stays: a peer that dials again has lost the older
		acts = append(acts, Act[C]{Verb: CloseSilently, Conn: older.conn})
	}
	return acts
}

func (p *pair[C]) proven(conn C, mark uint64) []Act[C] {
	d, _ := p.live()
	other := &p.links[d.Opposite()]
	if p.leaving || !p.links[d].is(conn) || mark != p.mark || !other.here {
		return nil
	}
	loser := other.conn
	*other = link[C]{}
	return []Act[C]{{Verb: Retire, Conn: loser}}
}

func (p *pair[C]) end(conn C) (acts []Act[C]) {
	d, ok := p.live()
	switch {
	case !ok:
		return nil
	case p.links[d.Opposite()].is(conn):
		p.links[d.Opposite()] = link[C]{}
		return nil
	case !p.links[d].is(conn):
		return nil
	}
	p.links[d] = link[C]{}
	other := p.links[d.Opposite()]
	if p.leaving || !other.here {
		acts = append(acts, Act[C]{Verb: Withdraw, Conn: conn})
	}
	p.leaving = false
	if other.here {
		acts = append(acts, Act[C]{Verb: Announce, Conn: other.conn})
	}
	return acts
}

func (p *pair[C]) leave() (acts []Act[C]) {
	if p.leaving {
		return nil
	}
	return p.leaveAll()
}

func (p *pair[C]) leaveAll() (acts []Act[C]) {
	d, ok := p.live()
	if !ok {
		return nil
	}
	p.leaving, p.leaver = true, d
	if other := &p.links[d.Opposite()]; other.here {
		acts = append(acts, Act[C]{Verb: CloseSilently, Conn: other.conn})
		*other = link[C]{}
	}
	return acts
}
