package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
)

// Phase is a phase of the run and how it ended.
type Phase struct {
	Name     string
	Result   string
	OK       bool // it reached its goal in time
	Took     time.Duration
	Messages int // of the DHT that nodes received meanwhile
}

// phase runs one phase and returns how it ended.
func (l *Lab) phase(ctx context.Context, name string, run func(context.Context) (result string, ok bool, err error)) (Phase, error) {
	ctx, cancel := context.WithTimeout(ctx, l.config.Limit)
	defer cancel()
	p := Phase{Name: name}
	began, before := time.Now(), l.log.received()
	var err error
	p.Result, p.OK, err = run(ctx)
	p.Took, p.Messages = time.Since(began), l.log.received()-before
	return p, err
}

// lookAgain is the least pause between two looks at the nodes: a look costs more than an
// event. Looks take at most a tenth of the time.
const lookAgain = 50 * time.Millisecond

// until looks again whenever a node has reported something, and returns the last look:
// when done == of, or when ctx ends.
func (l *Lab) until(ctx context.Context, phase string, look func() (done, of int)) (done, of int) {
	for {
		began := time.Now()
		done, of = look()
		pause := max(lookAgain, 9*time.Since(began))
		l.config.Progress(phase, done, of)
		if done == of {
			return done, of
		}
		select {
		case <-l.log.changed:
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		case <-time.After(20 * pause): // not all that counts is an event
		case <-ctx.Done():
			return look()
		}
	}
}

// neighbours returns how many members of a node's neighbour set are connected, and how many
// of them are truly the closest nodes.
func neighbours(m *Member, truly []*Member) (connected, closest int) {
	for _, member := range m.Node.DHT().Network().Neighbour.Members {
		if member.Connected {
			connected++
			if slices.ContainsFunc(truly, func(t *Member) bool { return t.ID.String() == member.NodeID }) {
				closest++
			}
		}
	}
	return connected, closest
}

// joined says whether a node is connected to at least so many neighbours.
func joined(m *Member, least int) bool {
	connected, _ := neighbours(m, nil)
	return connected >= least
}

// knownBy returns how many of the nodes have a member in their peer stores.
func knownBy(nodes []*Member, m *Member) (n int) {
	for _, node := range nodes {
		if _, ok := node.Node.Peers().Get(m.ID); ok && node != m {
			n++
		}
	}
	return n
}

// Start starts the seed and all nodes but the newcomer.
func (l *Lab) Start(ctx context.Context) (Phase, error) {
	return l.phase(ctx, "start", func(ctx context.Context) (string, bool, error) {
		var joining []*Member
		for i := range l.newcomer {
			for l.config.Joining > 0 && len(joining) >= l.config.Joining {
				joining = slices.DeleteFunc(joining, func(m *Member) bool { return joined(m, min(i-1, dht.NeighbouringNodes)) })
				select {
				case <-time.After(lookAgain / 10):
				case <-ctx.Done():
					return "", false, ctx.Err()
				}
			}
			var seeds []string
			if i > 0 {
				seeds = append(seeds, l.Members[0].Node.Seed())
			}
			if err := l.start(ctx, i, seeds...); err != nil {
				return "", false, err
			}
			if i > 0 {
				joining = append(joining, l.Members[i])
			}
			l.config.Progress("start", i+1, l.newcomer)
		}
		return plural(l.newcomer, "node", "nodes") + " running", true, nil
	})
}

// Join waits until the nodes have found each other. Its goal: every node is connected to
// its neighbours, and at least 95 % of these are truly the nodes closest to it.
func (l *Lab) Join(ctx context.Context) (Phase, error) {
	return l.phase(ctx, "join", func(ctx context.Context) (string, bool, error) {
		nodes := l.nodes()
		truly := make([][]*Member, len(nodes))
		for i, m := range nodes {
			truly[i] = l.closest(m, dht.NeighbouringNodes)
		}
		var closest, want int
		done, of := l.until(ctx, "join", func() (done, of int) {
			closest, want = 0, 0
			for i, m := range nodes {
				c, t := neighbours(m, truly[i])
				closest, want = closest+t, want+len(truly[i])
				if c == len(truly[i]) {
					done++
				}
			}
			if done == len(nodes) && closest*100 < want*95 {
				done-- // complete, but of other nodes
			}
			return done, len(nodes)
		})
		known, links := 0, 0
		for _, m := range nodes {
			known += knownBy(nodes, m)
			links += len(m.Node.Connections())
		}
		return fmt.Sprintf("%d of %d nodes are connected to their neighbours, of which %s are truly the closest; a node knows %s of the others and has %.1f connections, the seed %d",
			done, of, percent(closest, want), percent(known, len(nodes)*(len(nodes)-1)),
			float64(links)/float64(len(nodes)), len(l.Members[0].Node.Connections())), done == of, nil
	})
}

// Newcome starts the newcomer, and returns what happened step by step. Its goal: the
// newcomer is connected to its neighbours, and they know it.
func (l *Lab) Newcome(ctx context.Context) (p Phase, steps []Step, err error) {
	m := l.Newcomer()
	p, err = l.phase(ctx, "newcomer", func(ctx context.Context) (string, bool, error) {
		closest := l.closest(m, dht.NeighbouringNodes)
		l.log.trace(l.newcomer)
		if err := l.start(ctx, l.newcomer, l.Members[0].Node.Seed()); err != nil {
			return "", false, err
		}
		done, of := l.until(ctx, "newcomer", func() (done, of int) {
			connected, _ := neighbours(m, closest)
			if m.Node.DHT().Network().Join.Confirmed > 0 {
				done = 1
			}
			return done + connected + knownBy(closest, m), 1 + 2*len(closest)
		})
		steps = l.log.traceEnd(m.Node.Connections())
		connected, _ := neighbours(m, closest)
		told, hops, copies := reach(steps)
		return fmt.Sprintf("connected to %d of %d neighbours, known by %d of the %d closest; its Join reached %s in %s, and %s",
			connected, len(closest), knownBy(closest, m), len(closest), plural(told, "node", "nodes"), plural(hops, "hop", "hops"), plural(copies, "copy", "copies")), done == of, nil
	})
	return p, steps, err
}

// JoinWallets starts the wallets. Each knows one random node. Its goal: each wallet is
// connected to its neighbours, and the nodes closest to it know it.
func (l *Lab) JoinWallets(ctx context.Context) (Phase, error) {
	return l.phase(ctx, "wallets", func(ctx context.Context) (string, bool, error) {
		nodes, wallets := l.nodes(), l.Wallets()
		for i := range wallets {
			known := nodes[l.random.IntN(len(nodes))]
			if err := l.start(ctx, 1+l.config.Nodes+i, known.Node.Seed()); err != nil {
				return "", false, err
			}
		}
		done, of := l.until(ctx, "wallets", func() (done, of int) {
			for _, w := range wallets {
				closest := l.closest(w, dht.NeighbouringNodes)
				connected, _ := neighbours(w, closest)
				if w.Node.DHT().Network().Join.Confirmed > 0 && connected == len(closest) && knownBy(closest, w) == len(closest) {
					done++
				}
			}
			return done, len(wallets)
		})
		known := 0
		for _, w := range wallets {
			known += knownBy(nodes, w)
		}
		return fmt.Sprintf("%d of %d wallets are connected to the nodes closest to them, and known by these; a wallet is known by %s of the nodes",
			done, of, percent(known, len(nodes)*len(wallets))), done == of, nil
	})
}

// Search is a search of one member for the key of another.
type Search struct {
	From, For int  // indexes in Lab.Members
	Known     bool // they are connected, so there was nothing to find
	Took      time.Duration
	Err       error
}

// Discover runs searches, one after another. Before it, a searcher forgets the member that
// it searches for, unless they are connected. Its goal: every search finds the member.
func (l *Lab) Discover(ctx context.Context, pairs [][2]int) (p Phase, searches []Search, err error) {
	p, err = l.phase(ctx, "discovery", func(ctx context.Context) (string, bool, error) {
		found := 0
		for _, pair := range pairs {
			s := l.search(ctx, pair[0], pair[1])
			searches = append(searches, s)
			if s.Err == nil {
				found++
			}
			l.config.Progress("discovery", found, len(pairs))
		}
		return outcome(searches), found == len(pairs), nil
	})
	return p, searches, err
}

func (l *Lab) search(ctx context.Context, from, to int) Search {
	s := Search{From: from, For: to}
	a, b := l.Members[from].Node, l.Members[to]
	if _, s.Known = a.Connection(b.ID); !s.Known {
		if s.Err = a.Peers().Forget(ctx, b.ID); s.Err != nil {
			return s
		}
	}
	began := time.Now()
	peer, err := a.DHT().Discover(ctx, b.Key)
	s.Took, s.Err = time.Since(began), err
	_, connected := a.Connection(b.ID)
	switch {
	case err != nil, peer.Key == b.Key && len(peer.Addresses) > 0:
	case peer.Key == b.Key && connected && !s.Known: // since it was forgotten: its connection is enough
		s.Known = true
	default:
		s.Err = fmt.Errorf("the record of %s has another key or no address", b.Name)
	}
	return s
}

// outcome says how searches ended.
func outcome(searches []Search) string {
	var took []time.Duration
	connected := 0
	var failed []string
	for _, s := range searches {
		switch {
		case s.Err != nil:
			failed = append(failed, s.Err.Error())
		case s.Known:
			connected++
		default:
			took = append(took, s.Took)
		}
	}
	text := fmt.Sprintf("%d of %s found", len(searches)-len(failed), plural(len(searches), "member", "members"))
	if connected > 0 {
		text += fmt.Sprintf(", %d connected already", connected)
	}
	if len(took) > 0 {
		slices.Sort(took)
		text += fmt.Sprintf("; a search took %s ms, the longest %s ms", milliseconds(took[len(took)/2]), milliseconds(took[len(took)-1]))
	}
	if len(failed) > 0 {
		text += "; " + failed[0]
	}
	return text
}

// WalletPairs returns the searches of the first wallet for the last one, and of each wallet
// for the next one.
func (l *Lab) WalletPairs() (pairs [][2]int) {
	first, last := 1+l.config.Nodes, len(l.Members)-1
	if first >= last {
		return nil
	}
	pairs = append(pairs, [2]int{first, last})
	for i := first; i < last; i++ {
		pairs = append(pairs, [2]int{i, i + 1})
	}
	return pairs
}

// RandomPairs returns n pairs of different nodes.
func (l *Lab) RandomPairs(n int) (pairs [][2]int) {
	for len(pairs) < n {
		if a, b := l.random.IntN(1+l.config.Nodes), l.random.IntN(1+l.config.Nodes); a != b {
			pairs = append(pairs, [2]int{a, b})
		}
	}
	return pairs
}

// Propagate has random nodes tell news, one after another. Its goal: each piece of news
// reaches all nodes, or all but as many as may be missed.
func (l *Lab) Propagate(ctx context.Context, times, missed int) (p Phase, all []Gossip, err error) {
	p, err = l.phase(ctx, "propagation", func(ctx context.Context) (string, bool, error) {
		nodes, good, least := l.nodes(), true, 0
		var copies, slowest float64
		for i := range times {
			g, err := l.Gossip(ctx, l.log.index[nodes[l.random.IntN(len(nodes))].ID])
			if err != nil {
				return "", false, err
			}
			all = append(all, g)
			good = good && g.Reached >= len(nodes)-missed
			if i == 0 || g.Reached < least {
				least = g.Reached
			}
			copies += g.Copies() / float64(times)
			slowest = max(slowest, g.Took.Seconds()*1000)
		}
		each := "the news reached"
		if times > 1 {
			each = fmt.Sprintf("each of %d pieces of news reached at least", times)
		}
		return fmt.Sprintf("%s %d of %d nodes, in at most %.1f ms; a node received %.1f copies", each, least, len(nodes), slowest, copies), good, nil
	})
	return p, all, err
}

func percent(n, of int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1))) }
