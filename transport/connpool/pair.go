package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// pair is what one peer has: at most one connection in each direction, and one
// of them is live. Of two that cross, the live one is the one that the node
// with the smaller id dialled, from the moment it arrives. The other one is
// retired when the live one has been proven to work, and not before: a peer may
// drop a dial of its own that we have seen succeed, because ours arrived there
// first. Had each side closed the other one, none would be left. From then on
// the pair knows nothing of it: the peer has the live one as well, so neither
// side begins anything more on the other, and it ends when what had begun is
// through.
//
// A pair is a value; a copy lives a life of its own.
//
// spec: comms 10.3.
type pair[C comparable] struct {
	links    [2]link[C]         // by direction
	favoured protocol.Direction // of the one that is live when there are two
	leaving  bool               // the live one is being closed, because somebody here wants that
	leaver   protocol.Direction // its direction
	mark     uint64             // of the proof that was asked for last
}

type link[C comparable] struct {
	conn  C
	here  bool
	began time.Time // its set-up
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
	if older.here && began.Before(older.began) { // it was overtaken
		older, p.links[d] = p.links[d], older
	} else if older.here && p.leaving && p.leaver == d {
		p.leaving = false
	}
	if live, _ := p.live(); !p.leaving { // else it waits for the end of the other one
		chosen := p.links[live].conn
		acts = append(acts, Act[C]{Verb: Announce, Conn: chosen})
		if p.links[live.Opposite()].here {
			p.mark++
			acts = append(acts, Act[C]{Verb: Prove, Conn: chosen, Mark: p.mark})
		}
	}
	if older.here { // of two in the same direction the newer stays: who dials again has lost the older
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
	d, ok := p.live()
	if !ok || p.leaving {
		return nil
	}
	p.leaving, p.leaver = true, d
	if other := &p.links[d.Opposite()]; other.here {
		acts = append(acts, Act[C]{Verb: CloseSilently, Conn: other.conn})
		*other = link[C]{}
	}
	return acts
}
