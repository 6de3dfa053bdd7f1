package connectivity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// away is how long the node has had its state, and what it has tried while it is connected to nobody.
type away struct {
	since time.Time                  // of the state
	lacks time.Time                  // since when the node is not online, but for moments in which it was; zero: it never was not
	back  time.Time                  // since when it is online; zero: it is not
	tried map[identity.NodeID]*tried // peers that could not be dialled while the node is offline
	more  bool                       // there were others, for which there is no room
}

// tried is a peer that could not be dialled.
type tried struct {
	n    int // attempts
	addr string
	why  error
}

// maxTried is how many peers are remembered: the text names one.
const maxTried = 64

// settled is how long a node must be online for its being so to count: a connection that ends at once is none.
const settled = 10 * time.Second

// becomes notes a new state.
func (a *away) becomes(now time.Time, s connpool.State) {
	a.since, a.tried, a.more = now, nil, false
	if s == connpool.Online {
		a.back = now
		return
	}
	if a.lacks.IsZero() || !a.back.IsZero() && now.Sub(a.back) >= settled {
		a.lacks = now
	}
	a.back = time.Time{}
}

// failed notes a dial that has failed while the node is offline. One that this node has cancelled
// says nothing.
func (a *away) failed(m actors.DialFailed) {
	if errors.Is(m.Err, context.Canceled) || errors.Is(m.Err, actors.ErrDialCancelled) || errors.Is(m.Err, actors.ErrClosing) {
		return
	}
	t := a.tried[m.Peer]
	if t == nil {
		if len(a.tried) >= maxTried {
			a.more = true
			return
		}
		if a.tried == nil {
			a.tried = make(map[identity.NodeID]*tried)
		}
		t = new(tried)
		a.tried[m.Peer] = t
	}
	t.n += max(1, len(m.Attempts))
	t.addr, t.why = "", m.Err
	if n := len(m.Attempts); n > 0 {
		t.addr, t.why = address.Short(m.Attempts[n-1].Addr), m.Attempts[n-1].Err
	}
}

// text says what was tried: one peer, and how many others there are, and returns the code of why that peer was
// not reached. kind returns what a peer is in a word, and ranks it.
func (a *away) text(kind func(identity.NodeID) (word string, rank int)) (text string, code *codes.Code) {
	if len(a.tried) == 0 {
		return "", nil
	}
	rank := func(peer identity.NodeID) int { _, n := kind(peer); return n }
	peer := slices.MinFunc(slices.Collect(maps.Keys(a.tried)), func(x, y identity.NodeID) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(a.tried[y].n, a.tried[x].n), x.Compare(y))
	})
	t := a.tried[peer]
	word, _ := kind(peer)
	who := t.addr
	switch {
	case who == "":
		who = word
	case word != "":
		who += " (" + word + ")"
	}
	code, text, _ = dialling.Because(t.why, who)
	text += ", tried " + times(t.n)
	switch others := len(a.tried) - 1; {
	case a.more:
		text += fmt.Sprintf(", and more than %d other peers", others)
	case others == 1:
		for other := range a.tried {
			if other != peer {
				word, _ := kind(other)
				text += ", and " + word + " " + other.String()
			}
		}
	case others > 1:
		text += fmt.Sprintf(", and %d other peers", others)
	}
	return text, code
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// kind returns what a peer is to this node.
func (a *connectivity) kind(peer identity.NodeID) (word string, rank int) {
	p, _ := a.room.needs.Records().Get(peer)
	switch {
	case p.Flags&peerstore.FlagSeed != 0:
		return "seed", 0
	case len(a.room.memory.tags[peer]) > 0:
		return "protected", 1
	case p.Features.IsNode():
		return "node", 2
	}
	return "peer", 3
}

// maxLooked is how many known peers are looked at to find one that could be dialled.
const maxLooked = 1000

// knowsNobody reports whether the node knows no peer that it could dial. Clients do not count.
func (a *connectivity) knowsNobody() bool {
	if a.room.SeedNames || len(a.room.memory.away.tried) > 0 {
		return false
	}
	n := 0
	for p := range a.room.needs.Records().All() {
		if n++; n > maxLooked {
			return false
		}
		client := p.Claim != nil && !p.Features.IsNode() && p.Flags&peerstore.FlagSeed == 0
		if p.ID == a.room.Self || client || a.room.needs.Banned(p.ID) != nil {
			continue
		}
		if _, err := a.room.needs.FirstAddress(p); err == nil {
			return false
		}
	}
	return true
}
