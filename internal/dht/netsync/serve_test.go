package netsync_test

import (
	"bytes"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// nobody is a caller that is not among the candidates.
var nobody identity.NodeID

func keys(claims []*identity.Claim) (list []identity.PublicKey) {
	for _, c := range claims {
		list = append(list, c.Key)
	}
	return list
}

// asks are the requests of both methods for up to n peers.
func asks(n uint32, clients bool) map[string]func(netsync.Rules, identity.NodeID, iter.Seq[netsync.Candidate]) ([]*identity.Claim, error) {
	return map[string]func(netsync.Rules, identity.NodeID, iter.Seq[netsync.Candidate]) ([]*identity.Claim, error){
		"GetPeers": func(r netsync.Rules, caller identity.NodeID, known iter.Seq[netsync.Candidate]) ([]*identity.Claim, error) {
			return r.Peers(wall, caller, wire.GetPeers{N: n, IncludeClients: clients, MaxClaims: 5, MaxAddressesPerClaim: 5}, known, seeded())
		},
		"GetCloserPeers": func(r netsync.Rules, caller identity.NodeID, known iter.Seq[netsync.Candidate]) ([]*identity.Claim, error) {
			return r.CloserPeers(wall, caller, wire.GetCloserPeers{N: n, IncludeClients: clients, MaxClaims: 5, MaxAddressesPerClaim: 5}, known)
		},
	}
}

// TestWhoIsPassedOn changes one thing at a time in a peer that both methods pass on.
//
// conforms: dht 113, 116; V 23
func TestWhoIsPassedOn(t *testing.T) {
	at := func(age time.Duration) func(*netsync.Candidate) {
		return func(c *netsync.Candidate) { c.Reached = wall.Add(-age) }
	}
	with := func(list ...string) func(*netsync.Candidate) {
		return func(c *netsync.Candidate) { *c = candidate(t, 1, list...) }
	}
	as := func(f identity.Features) func(*netsync.Candidate) {
		return func(c *netsync.Candidate) { c.Features = f }
	}
	const loopback, private, memory = "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/memory/1"
	for name, test := range map[string]struct {
		change func(*netsync.Candidate)
		rules  netsync.Rules
		all    bool // clients too
		want   bool
	}{
		"node":                           {change: func(*netsync.Candidate) {}, want: true},
		"node, clients asked for":        {change: func(*netsync.Candidate) {}, all: true, want: true},
		"banned":                         {change: func(c *netsync.Candidate) { c.Banned = true }},
		"banned and connected":           {change: func(c *netsync.Candidate) { c.Banned, c.Connected = true, true }},
		"failed":                         {change: func(c *netsync.Candidate) { c.Failed = true }},
		"failed, now connected":          {change: func(c *netsync.Candidate) { c.Failed, c.Connected = true, true }, want: true},
		"never reached":                  {change: func(c *netsync.Candidate) { c.Reached = time.Time{} }},
		"never reached, connected":       {change: func(c *netsync.Candidate) { c.Reached, c.Connected = time.Time{}, true }, want: true},
		"reached 60 h ago":               {change: at(60 * time.Hour), want: true},
		"reached a second more ago":      {change: at(60*time.Hour + time.Second)},
		"… and connected":                {change: func(c *netsync.Candidate) { at(100 * time.Hour)(c); c.Connected = true }, want: true},
		"within a limit of 2 h":          {change: at(2 * time.Hour), rules: netsync.Rules{ReachedWithin: 2 * time.Hour}, want: true},
		"beyond a limit of 2 h":          {change: at(3 * time.Hour), rules: netsync.Rules{ReachedWithin: 2 * time.Hour}},
		"reached in the future":          {change: at(-time.Hour), want: true},
		"client":                         {change: as(identity.FeatureNone)},
		"client, clients asked for":      {change: as(identity.FeatureNone), all: true, want: true},
		"half a node":                    {change: as(1)},
		"half a node, clients asked for": {change: as(1), all: true, want: true},
		"no claim":                       {change: func(c *netsync.Candidate) { c.Claim = nil }},
		"claim without address":          {change: func(c *netsync.Candidate) { c.Claim.Addresses = nil }},
		"five addresses":                 {change: with(public, public, public, public, public), want: true},
		"six addresses":                  {change: with(public, public, public, public, public, public)},
		"loopback":                       {change: with(loopback)},
		"private":                        {change: with(private)},
		"one of two private":             {change: with(public, private)},
		"host name":                      {change: with("/dns4/example.org/tcp/1"), want: true},
		"no host name":                   {change: with("/dns4/a_b.org/tcp/1")},
		"memory":                         {change: with(memory)},
		"test addresses":                 {change: with(loopback, private, memory), rules: netsync.Rules{TestAddresses: true}, want: true},
		"malformed":                      {change: with("/ip4/8.8.8.8/tcp/0"), rules: netsync.Rules{TestAddresses: true}},
		"undecodable":                    {change: func(c *netsync.Candidate) { c.Claim.Addresses = [][]byte{{0xff}} }, rules: netsync.Rules{TestAddresses: true}},
	} {
		for method, ask := range asks(10, test.all) {
			c := candidate(t, 1)
			test.change(&c)
			got, err := ask(test.rules, nobody, slices.Values([]netsync.Candidate{c}))
			if err != nil || len(got) == 1 != test.want {
				t.Errorf("%s, %s: got %d peers, %v, want it passed on: %v", name, method, len(got), err, test.want)
			}
			if got, err := ask(test.rules, c.ID, slices.Values([]netsync.Candidate{c})); err != nil || len(got) != 0 {
				t.Errorf("%s, %s: got %d peers, %v, want none: it is the caller", name, method, len(got), err)
			}
		}
	}
}

// TestFewerAddresses asks for claims with fewer addresses than the limit.
//
// conforms: dht 116
func TestFewerAddresses(t *testing.T) {
	for most, want := range map[uint32]int{1: 0, 2: 1, 3: 1, 1<<32 - 1: 1} {
		known := slices.Values([]netsync.Candidate{candidate(t, 1, public, public)})
		got, err := netsync.Rules{}.Peers(wall, nobody, wire.GetPeers{MaxClaims: 1, MaxAddressesPerClaim: most}, known, seeded())
		if err != nil || len(got) != want {
			t.Errorf("at most %d: got %d peers, %v, want %d", most, len(got), err, want)
		}
		got, err = netsync.Rules{}.CloserPeers(wall, nobody, wire.GetCloserPeers{N: 1, MaxClaims: 1, MaxAddressesPerClaim: most}, known)
		if err != nil || len(got) != want {
			t.Errorf("at most %d: got %d closer peers, %v, want %d", most, len(got), err, want)
		}
	}
}

// conforms: dht 112
func TestBadArguments(t *testing.T) {
	id := bytes.Repeat([]byte{7}, 13)
	many := func(n int, b []byte) (list [][]byte) {
		for range n {
			list = append(list, b)
		}
		return list
	}
	for name, test := range map[string]struct {
		q   wire.GetCloserPeers
		bad bool
	}{
		"least":              {wire.GetCloserPeers{N: 1, MaxClaims: 1, MaxAddressesPerClaim: 1}, false},
		"most":               {wire.GetCloserPeers{N: 100, MaxClaims: 1 << 31, MaxAddressesPerClaim: 1 << 31, CloserTo: id, Excluded: many(1000, id)}, false},
		"no peers":           {wire.GetCloserPeers{N: 0, MaxClaims: 5, MaxAddressesPerClaim: 5}, true},
		"too many peers":     {wire.GetCloserPeers{N: 101, MaxClaims: 5, MaxAddressesPerClaim: 5}, true},
		"no claims":          {wire.GetCloserPeers{N: 1, MaxClaims: 0, MaxAddressesPerClaim: 5}, true},
		"no addresses":       {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 0}, true},
		"short target":       {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 5, CloserTo: id[:12]}, true},
		"long target":        {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 5, CloserTo: append(id[:13:13], 7)}, true},
		"too many excluded":  {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 5, Excluded: many(1001, id)}, true},
		"short excluded":     {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 5, Excluded: append(many(3, id), id[:12])}, true},
		"an empty excluded":  {wire.GetCloserPeers{N: 1, MaxClaims: 5, MaxAddressesPerClaim: 5, Excluded: [][]byte{{}}}, true},
		"limits come second": {wire.GetCloserPeers{N: 0}, true},
	} {
		_, err := netsync.Rules{}.CloserPeers(wall, nobody, test.q, slices.Values([]netsync.Candidate(nil)))
		if errors.Is(err, rpc.BadRequest) != test.bad || (err != nil) != test.bad {
			t.Errorf("%s: got %v, want a bad request: %v", name, err, test.bad)
		}
	}
	for _, q := range []wire.GetPeers{{N: 1, MaxAddressesPerClaim: 5}, {N: 1, MaxClaims: 5}} {
		_, err := netsync.Rules{}.Peers(wall, nobody, q, slices.Values([]netsync.Candidate(nil)), seeded())
		if !errors.Is(err, rpc.BadRequest) {
			t.Errorf("%+v: got %v, want a bad request", q, err)
		}
	}
}

// conforms: dht 115; V 23
func TestNumberOfPeers(t *testing.T) {
	known := crowd(t, 700)
	for n, want := range map[uint32]int{0: 500, 1: 1, 100: 100, 499: 499, 500: 500, 501: 500, 1<<32 - 1: 500} {
		got, err := netsync.Rules{}.Peers(wall, nobody, wire.GetPeers{N: n, MaxClaims: 1, MaxAddressesPerClaim: 1}, known, seeded())
		if err != nil || len(got) != want {
			t.Errorf("%d: got %d peers, %v, want %d", n, len(got), err, want)
		}
		seen := make(map[identity.PublicKey]bool)
		for _, k := range keys(got) {
			if seen[k] {
				t.Fatalf("%d: %v twice", n, k)
			}
			seen[k] = true
		}
	}
}

// conforms: dht 114
func TestCloserPeers(t *testing.T) {
	known := crowd(t, 700)
	var ids []identity.NodeID
	for c := range known {
		ids = append(ids, c.ID)
	}
	caller, other := ids[3], secretOf(t, 5).NodeID()
	excluded := [][]byte{ids[20][:], ids[21][:]}
	for _, test := range []struct {
		n      uint32
		closer []byte
		target identity.NodeID
	}{
		{1, nil, caller}, {100, nil, caller}, {100, []byte{}, caller}, {100, other[:], other}, {37, other[:], other},
	} {
		want := slices.DeleteFunc(slices.Clone(ids), func(id identity.NodeID) bool {
			return id == caller || id == ids[20] || id == ids[21]
		})
		slices.SortFunc(want, func(a, b identity.NodeID) int {
			return test.target.Distance(a).Cmp(test.target.Distance(b))
		})
		q := wire.GetCloserPeers{N: test.n, CloserTo: test.closer, Excluded: excluded, MaxClaims: 1, MaxAddressesPerClaim: 1}
		got, err := netsync.Rules{}.CloserPeers(wall, caller, q, known)
		if err != nil || len(got) != int(test.n) {
			t.Fatalf("got %d peers, %v, want %d", len(got), err, test.n)
		}
		for i, k := range keys(got) {
			if k.NodeID() != want[i] {
				t.Fatalf("%d closest to %v: place %d is %v, want %v", test.n, test.target, i, k.NodeID(), want[i])
			}
		}
	}
}

// TestFreshPeersComeFirst draws often from peers of two ages.
//
// conforms: V 23
func TestFreshPeersComeFirst(t *testing.T) {
	ages := []time.Duration{0, 12 * time.Hour, 48 * time.Hour}
	fresh, first := make([]int, 3), make([]int, 3)
	known := func(yield func(netsync.Candidate) bool) {
		i := 0
		for c := range crowd(t, 300) {
			c.Reached = wall.Add(-ages[i%3])
			c.Claim.Signature.UpdatedAt = int64(i % 3)
			if i++; !yield(c) {
				return
			}
		}
	}
	random := seeded()
	var last []identity.PublicKey
	for range 200 {
		got, err := netsync.Rules{}.Peers(wall, nobody, wire.GetPeers{N: 30, MaxClaims: 1, MaxAddressesPerClaim: 1}, known, random)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range got {
			fresh[c.Signature.UpdatedAt]++
			if i < 10 {
				first[c.Signature.UpdatedAt]++
			}
		}
		if list := keys(got); slices.Equal(list, last) {
			t.Error("the same answer twice")
		} else {
			last = list
		}
	}
	// The weights are 1, 1/2 and 1/16.
	if !(fresh[0] > 3*fresh[1]/2 && fresh[1] > 3*fresh[2] && fresh[2] > 0 && first[0] > 3*first[1]/2) {
		t.Errorf("got %v of the ages %v, %v among the first ten", fresh, ages, first)
	}
	ask := asks(50, false)["GetPeers"]
	a, _ := ask(netsync.Rules{}, nobody, known)
	b, _ := ask(netsync.Rules{}, nobody, known)
	if !slices.Equal(keys(a), keys(b)) {
		t.Error("the same random numbers: got two answers")
	}
}

// TestOnePass counts how often the peers are looked at, and the claims among 50,000 whose
// addresses are parsed.
func TestOnePass(t *testing.T) {
	const peers = 50_000
	looked := 0
	template := candidate(t, 1)
	known := func(yield func(netsync.Candidate) bool) {
		for i := range peers {
			looked++
			c := template
			c.ID[0], c.ID[1] = byte(i), byte(i>>8)
			if !yield(c) {
				return
			}
		}
	}
	for method, ask := range asks(100, false) {
		looked = 0
		var err error
		allocs := testing.AllocsPerRun(1, func() { _, err = ask(netsync.Rules{}, nobody, known) })
		if err != nil || looked != 2*peers { // AllocsPerRun runs it twice
			t.Errorf("%s: looked at %d peers in two calls, %v, want %d", method, looked, err, 2*peers)
		}
		if allocs > peers/2 {
			t.Errorf("%s: %.0f allocations for %d peers, want few", method, allocs, peers)
		}
	}
}
