package connections

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// secrets are those of the private network, which may change while the node runs: each set-up
// uses those of its begin.
type secrets struct {
	now atomic.Pointer[secretPair] // nil: those of the profile
	// The last that came with the second secret. Written by conns.
	late view.Map[identity.NodeID, Latecomer]
}

type secretPair struct {
	secret, accept *protocol.NetworkSecret
	since          time.Time // of the node's clock; zero: since the start
}

// lateKept is how many peers are remembered that came with the second secret.
const lateKept = 16

// Latecomer is a peer that has connected with the second secret of the private network, or is connected by
// it. It has to use the first one before the second is given up.
type Latecomer struct {
	Peer      identity.NodeID
	At        time.Time // when it connected, of the node's clock
	Connected bool
	Earlier   bool // it connected before this node has changed its secrets, and may have the first one by now

	secret *protocol.NetworkSecret
}

// Wire returns the profile with the present secrets.
func (r *Room) Wire() protocol.Profile {
	p := r.Profile
	if s := r.secrets.now.Load(); s != nil {
		p.Secret, p.Accept = s.secret, s.accept
	}
	return p
}

// ErrNotPrivate reports that the node is in no private network.
var ErrNotPrivate = errors.New("actors: the node is in no private network, so it has no secret")

// SetSecrets changes the secrets of the private network, for connections that begin from now on. Those
// that were set up with another secret are closed. The error says why the node cannot have them.
func (r *Room) SetSecrets(secret, accept *protocol.NetworkSecret) error {
	if r.Profile.Private == "" {
		return ErrNotPrivate
	}
	if err := protocol.CheckPrivate(r.Profile.Private, secret, accept); err != nil {
		return err
	}
	r.secrets.now.Store(&secretPair{secret, accept, r.Now()})
	r.System.Root.Send(r.Conns, secretsChanged{})
	return nil
}

// secretsChanged tells conns that the secrets of the private network are others.
type secretsChanged struct{}

// inForce reports whether connections may have been set up with that secret, nil in a network without one.
func (r *Room) inForce(s *protocol.NetworkSecret) bool {
	if s == nil {
		return true
	}
	p := r.Wire()
	return s.Equal(p.Secret) || s.Equal(p.Accept)
}

// secretsChanged closes the connections that were set up with a secret that is given up.
func (a *conns) secretsChanged(c actor.Context) {
	var gone []*actors.ConnRef
	for _, ch := range a.children {
		if !a.room.inForce(ch.ref.Link().Secret) {
			gone = append(gone, ch.ref)
		}
	}
	slices.SortFunc(gone, func(x, y *actors.ConnRef) int { return cmp.Compare(x.ID, y.ID) })
	for _, ref := range gone {
		a.closeConn(c, CloseConn{ref.Peer, ref.ID, actors.CloseReason{Code: actors.CloseSecret, By: "us"}})
	}
	if len(gone) > 0 {
		supervisor.Log(c).Info("closing connections whose secret of the network is given up", "n", len(gone))
	}
	for peer, l := range a.room.secrets.late.All() {
		if !l.secret.Equal(a.room.Wire().Accept) {
			a.room.secrets.late.Delete(peer)
		}
	}
}

// came notes a peer that has dialled with the second secret, or does so with the first one by now. A dial of
// this node says nothing about that: the peer may accept the first one, and use the other. Only conns calls it.
func (r *Room) came(ref *actors.ConnRef) {
	s, late := ref.Link().Secret, &r.secrets.late
	switch {
	case s == nil || ref.Direction != protocol.Inbound:
		return
	case !s.Equal(r.Wire().Accept):
		late.Delete(ref.Peer)
		return
	}
	if _, ok := late.Get(ref.Peer); !ok && late.Len() >= lateKept {
		var oldest Latecomer
		for _, l := range late.All() {
			if oldest.secret == nil || l.At.Before(oldest.At) {
				oldest = l
			}
		}
		late.Delete(oldest.Peer)
	}
	late.Set(ref.Peer, Latecomer{Peer: ref.Peer, At: ref.Since, secret: s})
}

// Latecomers returns the connected peers whose connection was set up with the second secret, and the last
// ones that came by it before, the newest first.
func (r *Room) Latecomers() (all []Latecomer) {
	p := r.Wire()
	if p.Accept == nil {
		return nil
	}
	var changed time.Time
	if s := r.secrets.now.Load(); s != nil {
		changed = s.since
	}
	told := make(map[identity.NodeID]bool)
	for peer, ref := range r.Connections.All() {
		if told[peer] = ref.Link().Secret.Equal(p.Accept); told[peer] {
			all = append(all, Latecomer{Peer: peer, At: ref.Since, Connected: true, Earlier: ref.Since.Before(changed)})
		}
	}
	for peer, l := range r.secrets.late.All() {
		if !told[peer] && l.secret.Equal(p.Accept) {
			_, l.Connected = r.Connections.Get(peer)
			l.Earlier = l.At.Before(changed)
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(x, y Latecomer) int { return cmp.Or(y.At.Compare(x.At), bytes.Compare(x.Peer[:], y.Peer[:])) })
	return all
}

// knock is one kind of refusal that the listeners log by source.
type knock struct {
	what string // log message
	of   func(*inboundGate) *connpool.Knocks
}

var (
	noSecret = knock{"refused a connection: it has not the secret of the network", func(g *inboundGate) *connpool.Knocks { return &g.noSecret }}
	unlisted = knock{"refused a connection: the peer is not admitted", func(g *inboundGate) *connpool.Knocks { return &g.notAdmitted }}
)

// knocksDue makes a listener log the refusals that it has not logged one by one.
type knocksDue struct{ of *knock }

// knocked notes a refusal, and logs it if it is the first of its source for a while.
func (l *listener) knocked(c actor.Context, k *knock, addr ma.Multiaddr, key identity.PublicKey, err error) {
	now, g := supervisor.Now(c), &l.room.inbound
	source, _ := transport.Source(addr)
	g.mu.Lock()
	say, n := k.of(g).Add(now, source, key)
	g.mu.Unlock()
	switch {
	case say && n > 0:
		supervisor.Log(c).Warn(k.what, "err", err, "addr", addr, "n", n+1)
	case say:
		supervisor.Log(c).Warn(k.what, "err", err, "addr", addr)
	case !l.knocks[k]:
		l.knocks[k] = true
		supervisor.After(c, knocksWait, knocksDue{k})
	}
}

// knocksWait is how long refusals wait for their place in the log.
const knocksWait = time.Minute

func (l *listener) sayKnocks(c actor.Context, k *knock) {
	g := &l.room.inbound
	delete(l.knocks, k)
	g.mu.Lock()
	n, most := k.of(g).Unsaid(supervisor.Now(c))
	g.mu.Unlock()
	if n > 0 {
		supervisor.Log(c).Warn(k.what+": more within a minute", "n", n, "most", SourceText(most))
	}
}

// SourceText returns a source in words.
func SourceText(p netip.Prefix) string {
	if p.IsValid() {
		return p.String()
	}
	return "this machine or Tor"
}

// Knocks are the refusals of inbound connections of one kind.
type Knocks struct {
	Total uint64           // since the start
	Last  []connpool.Knock // by source, of the last minutes, the newest first
}

// NoSecret returns the dialers without the secret of the private network since a time, and
// NotAdmitted the peers that were not admitted.
func (r *Room) NoSecret(since time.Time) Knocks { return r.knocks(&noSecret, since) }

// NotAdmitted returns the peers that were not admitted: see NoSecret.
func (r *Room) NotAdmitted(since time.Time) Knocks { return r.knocks(&unlisted, since) }

func (r *Room) knocks(k *knock, since time.Time) Knocks {
	r.inbound.mu.Lock()
	defer r.inbound.mu.Unlock()
	all := k.of(&r.inbound)
	return Knocks{all.Total(), all.All(since)}
}
