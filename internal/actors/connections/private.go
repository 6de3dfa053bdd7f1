package connections

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// secrets are those of the private network, which may change while the node runs: each set-up
// uses those of its begin.
type secrets struct {
	now  atomic.Pointer[secretPair] // nil: those of the profile
	late atomic.Pointer[Latecomer]
}

type secretPair struct{ secret, accept protocol.NetworkSecret }

// Latecomer is the last peer that has connected with the second secret of the private network. It has
// to change to the first one before the second is given up.
type Latecomer struct {
	Peer identity.NodeID
	At   time.Time // of the node's clock
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
// that there are stay. The error says why the node cannot have them.
func (r *Room) SetSecrets(secret, accept protocol.NetworkSecret) error {
	if r.Profile.Private == "" {
		return ErrNotPrivate
	}
	if err := protocol.CheckPrivate(r.Profile.Private, secret, accept); err != nil {
		return err
	}
	r.secrets.now.Store(&secretPair{secret, accept})
	return nil
}

// Latecomer returns the last peer that has connected with the second secret; ok is false if none has.
func (r *Room) Latecomer() (Latecomer, bool) {
	if l := r.secrets.late.Load(); l != nil {
		return *l, true
	}
	return Latecomer{}, false
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
		supervisor.Log(c).Warn(k.what+": more within a minute", "n", n, "most", SourceText(most.Source))
	}
}

// SourceText returns a source in words.
func SourceText(p netip.Prefix) string {
	if p.IsValid() {
		return p.String()
	}
	return "this machine"
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
