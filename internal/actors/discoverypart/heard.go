package discoverypart

import (
	"cmp"
	"errors"
	"maps"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ErrNothingToAnnounce reports that this node has no signed claim about itself yet.
var ErrNothingToAnnounce = errors.New("dht: this node does not know its own addresses yet")

// receiver returns what decides on received messages. asked may be nil if there are no
// responses among them.
func (d *Discovery) receiver(asked func(nonce uint64) (identity.PublicKey, bool)) discovery.Receiver {
	return discovery.Receiver{
		Rules:  d.rules(),
		Key:    d.trunk.Secret().PublicKey(),
		Banned: func(key identity.PublicKey) bool { return d.trunk.Banned(key.NodeID()) != nil },
		Asked:  asked,
	}
}

// rules returns which claims about other peers this node accepts.
func (d *Discovery) rules() discovery.Rules {
	p := d.trunk.Profile()
	return discovery.Rules{Limits: p.Limits, TestAddresses: p.TestAddresses}
}

// report reports the offence that a verdict names. An author that did not send the message
// to us itself is reported only if the peer store has it, and no connection counts for its
// offence (spec: dht 7.4).
func (d *Discovery) report(c actor.Context, h dht.Heard, v discovery.Verdict) {
	key, conn, offence := h.Key, h.Conn, v.Source
	if offence == nil {
		offence = v.Origin
	}
	switch {
	case offence == nil:
		return
	case v.Origin != nil && h.Origin != h.Key:
		if _, known := d.trunk.Store().Get(h.Origin.NodeID()); !known {
			return
		}
		key, conn = h.Origin, 0
	}
	c.Send(d.trunk.Connectivity(), base.PeerViolated{Peer: key.NodeID(), Key: key, Conn: conn, Err: offence})
}

// store asks for the claim of a verdict to be stored. The reply is PeerAdded, with token 1
// if the peer was not known, else 0.
func (d *Discovery) store(c actor.Context, h dht.Heard, v discovery.Verdict, source peerstore.Source) {
	p := peerstore.FromClaim(*v.Store, source).HeardOver(d.over(h.Incoming.Source))
	p.Origin = peerstore.Origin(d.from(h))
	var unknown uint64
	if old, ok := d.trunk.Store().Get(p.ID); !ok || len(old.Addresses) == 0 {
		unknown = 1
	}
	d.trunk.AddPeer(unknown, p, c.Self())
}

// reached returns how many peers have the message or may have it, and why there are none.
func reached(r *dht.Report) (n int, err error) {
	if r.Reason != 0 {
		return 0, cmp.Or(r.Err, errors.New("dht: "+r.Reason.String()))
	}
	n = r.Count(protocol.Confirmed) + r.Count(protocol.InDoubt)
	if n == 0 {
		return 0, errors.New("dht: " + r.String())
	}
	return n, nil
}

// over returns where a connected peer is, or nil.
func (d *Discovery) over(peer identity.NodeID) ma.Multiaddr {
	ref, ok := d.trunk.Connection(peer)
	if !ok {
		return nil
	}
	return ref.Remote()
}

// learned publishes PeersLearned for unknown peers that were stored, at most once in
// learnedPause, so that a wave of Joins is one event.
type learned struct {
	n   int
	due *supervisor.Timer
}

const learnedPause = time.Second

// learnedDue is the actor's own timer of learned.
type learnedDue struct{}

// added notes the reply to a store.
func (l *learned) added(c actor.Context, m peerbook.PeerAdded) {
	if m.Err != nil || m.Token == 0 {
		return
	}
	l.n++
	if l.due == nil {
		l.due = supervisor.After(c, learnedPause, learnedDue{})
	}
}

// publish publishes what was learned since the last time.
func (l *learned) publish(c actor.Context) {
	supervisor.Publish(c, dht.PeersLearned{New: l.n})
	l.n, l.due = 0, nil
}

// refusals counts messages by why they were refused. Its map is replaced and never
// changed, so that states may hold it.
type refusals map[string]uint64

func (r *refusals) add(o discovery.Outcome) {
	next := make(refusals, len(*r)+1)
	maps.Copy(next, *r)
	next[o.String()]++
	*r = next
}

// from returns the source of the connection that a message came over. If it is over, nobody knows
// any more, and the source counts as exempt: who hangs up at once must not get around limits.
func (d *Discovery) from(h dht.Heard) share.Source {
	if ref, ok := d.trunk.Connection(h.Incoming.Source); ok && ref.ID == h.Conn {
		return share.Source(ref.Origin())
	}
	return share.Exempt
}
