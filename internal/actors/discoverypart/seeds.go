package discoverypart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Limits of what is read from DNS.
const (
	maxNamed   = 32  // seeds
	maxRecords = 256 // TXT records of all names
)

// namedSeeds are the seeds that TXT records name.
type namedSeeds struct {
	seeds []peerstore.Peer
	bad   int // records that name no seed
}

// lookUp looks up the names of seeds, in a task. Without names the seeds are those that
// are known.
func (a *netsyncActor) lookUp(c actor.Context) {
	if a.looking {
		return
	}
	a.looking = true
	names, resolver, test := a.d.SeedNames, a.d.Resolver, a.d.trunk.Profile().TestAddresses
	if resolver == nil {
		resolver = noResolver{}
	}
	supervisor.Do(c, "seed names", func(ctx context.Context) (namedSeeds, error) {
		ctx, cancel := context.WithTimeout(ctx, netsync.ResolveLimit)
		defer cancel()
		return lookUpSeeds(ctx, resolver, names, test)
	})
}

// noResolver is the resolver of a node whose transports all lead through a proxy, which
// looks up names itself.
type noResolver struct{}

var errNoResolver = errors.New("discovery: no transport of this node looks up names; name the seeds under node.seeds")

func (noResolver) LookupTXT(context.Context, string) ([]string, error) { return nil, errNoResolver }

// lookUpSeeds returns the seeds that the TXT records of the names describe. A name that
// cannot be looked up does not keep the others from being used.
//
// spec: dht 10.6.
func lookUpSeeds(ctx context.Context, r Resolver, names []string, testAddresses bool) (found namedSeeds, err error) {
	records := 0
	for _, name := range names {
		list, failed := r.LookupTXT(ctx, name)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("look up %s: %w", name, failed))
		}
		for _, text := range list {
			if records++; records > maxRecords {
				return found, err
			}
			p, ok := seedOf(text, testAddresses)
			switch {
			case !ok:
				found.bad++
			case len(found.seeds) < maxNamed:
				found.seeds = append(found.seeds, p)
			}
		}
	}
	return found, err
}

// seedOf returns the seed of a TXT record. The answer of a name server is not the user's
// word, so only external addresses count.
func seedOf(text string, testAddresses bool) (peerstore.Peer, bool) {
	p, err := peerstore.ParseSeed(strings.TrimSpace(text))
	if err != nil {
		return p, false
	}
	for i := range p.Addresses {
		p.Addresses[i].Source = peerstore.AnotherPeer // not the user's, so it is dialled and kept as one that a peer has told of
	}
	p.Addresses = slices.DeleteFunc(p.Addresses, func(x peerstore.Address) bool { return !address.Usable(x.Addr, testAddresses) })
	return p, len(p.Addresses) > 0
}

// resolved stores the seeds that DNS has named. Those of an earlier lookup that are not
// named any more are ordinary peers from now on.
func (a *netsyncActor) resolved(c actor.Context, m supervisor.Done[namedSeeds]) {
	a.badRecords, a.namesErr = m.Value.bad, m.Err
	if m.Err != nil {
		supervisor.Log(c).Warn("names of seeds not looked up", "err", m.Err)
	}
	a.seedTrouble = a.whyUnnamed(len(m.Value.seeds))
	a.d.trunk.SetSeedTrouble(a.seedTrouble)
	a.naming = a.d.trunk.NewID()
	add := func(p peerstore.Peer) {
		a.unnamed++
		a.d.trunk.AddPeer(a.naming, p, c.Self())
	}
	if !a.begun {
		for _, p := range a.d.Seeds {
			if p.ID != a.self() {
				add(p)
			}
		}
	}
	var named []identity.NodeID
	for _, p := range m.Value.seeds {
		if p.ID == a.self() {
			continue
		}
		old, ok := a.d.trunk.Store().Get(p.ID)
		if !ok || old.Flags&peerstore.FlagSeed == 0 || slices.Contains(a.named, p.ID) {
			named = append(named, p.ID)
		}
		add(p)
	}
	if len(m.Value.seeds) > 0 {
		for _, id := range a.named {
			if old, ok := a.d.trunk.Store().Get(id); ok && !slices.Contains(named, id) {
				add(peerstore.Peer{Key: old.Key, ID: id, Features: old.Features})
			}
		}
		a.named = named
	}
	if a.unnamed == 0 {
		a.lookedUp(c)
		return
	}
	supervisor.After(c, storeLimit, namingLate{a.naming})
}

// whyUnnamed says why the names of seeds have given none, and what to check; empty: they have given
// some, or there are no names.
func (a *netsyncActor) whyUnnamed(named int) string {
	names := strings.Join(a.d.SeedNames, ", ")
	switch {
	case named > 0 || len(a.d.SeedNames) == 0:
		return ""
	case errors.Is(a.namesErr, errNoResolver):
		return strings.TrimPrefix(a.namesErr.Error(), "discovery: ")
	case a.namesErr != nil:
		return "the name of seeds " + names + " is not resolved: " + words.Cause(a.namesErr) + "; " + codes.SeedNames.Step
	case a.badRecords > 0:
		return fmt.Sprintf("none of the %d records of %s names a seed; %s", a.badRecords, names, codes.SeedNames.Step)
	}
	return names + " has no records that name seeds; " + codes.SeedNames.Step
}

// namingLate says that the seeds of a lookup should be in the store by now.
type namingLate struct{ token uint64 }

// seedAgain is how long a seed rests that has not answered, while no other one has.
const seedAgain = time.Hour

// askSeed asks a seed again whose last answer is longest ago, of those that it may ask, if none answers: it may run again, and
// nobody else asks it while the node is connected to others.
func (a *netsyncActor) askSeed(c actor.Context) {
	now := supervisor.Now(c)
	var peer identity.NodeID
	var first, last time.Time
	found := false
	for _, id := range a.seedIDs {
		s := a.seeds[id]
		if s.Answered || a.Connected(id) || a.asking[id] > 0 {
			return
		}
		last = latest(last, s.At)
		if p, ok := a.d.trunk.Store().Get(id); !ok || !a.mayAskSeed(p) {
			continue
		}
		if !found || s.At.Before(first) {
			found, peer, first = true, id, s.At
		}
	}
	if !found || last.IsZero() || now.Sub(last) < seedAgain {
		return
	}
	a.sync(c, netsync.Sync{For: netsync.ForSearch, Peer: peer, N: netsync.MaxPeers, Clients: true, Until: now.Add(2 * netsync.DialLimit)})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// seedAdded counts a seed that was stored.
func (a *netsyncActor) seedAdded(c actor.Context) {
	if a.unnamed--; a.unnamed == 0 {
		a.lookedUp(c)
	}
}

// lookedUp begins the bootstrap, or tells Recovery that the seeds are known.
func (a *netsyncActor) lookedUp(c actor.Context) {
	a.looking, a.naming, a.unnamed = false, 0, 0
	a.listSeeds()
	if !a.begun {
		a.begun = true
		supervisor.After(c, netsync.DialLimit, gateOpens{})
		a.step(c, a.bootstrap, netsync.Begin{Usable: a.usable(netsync.Enough), Seeds: ids(a.seedPeers())})
	}
	a.step(c, a.recovery, netsync.Resolved{})
}
