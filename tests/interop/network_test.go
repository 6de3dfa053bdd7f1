package interop

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// networkFor is how long there is traffic in the mixed network.
func networkFor() time.Duration {
	if os.Getenv("GAMELAN_INTEROP_LONG") != "" {
		return 10 * time.Minute
	}
	return 45 * time.Second
}

// Sizes of the mixed network, with the seed.
const (
	ofEachRelease = 5
	ofOurs        = 10
)

// Five nodes of 6.2.0, five of 1.0.0-rc.5 and ten of ours, which know nothing but one
// seed, find each other. Ours have all others in their stores before there is any traffic,
// with the addresses that they announce. Tari nodes may need the traffic: they ask each node
// that they know for its peers once, and rest for half an hour then (spec: dht 10.1), and a
// seed of 6.2.0 has only those in its list that it has dialled itself (spec: dht 9). Then
// each kind finds a node, of each kind, that has not joined and is connected to few. Messages
// and gossip go between all pairs, both ways, for 45 s or, asked for, ten minutes. At the
// end everybody has everybody in its store, and nobody is banned. The seed is of each kind in
// turn.
//
// conforms: V 22, 32
// feature: DHT: a network of nodes of all kinds, with a seed of each: everybody finds everybody
func TestNetwork(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run("the seed is "+kind, func(t *testing.T) {
			t.Parallel()
			net := &network{T: t, system: quietSystem()}
			net.grow(kind)
			net.strangers, net.formed = meetAll(t, net.all, func(node netNode) bool { return node.kind() == "gamelan" })
			net.explain()
			net.searches()
			net.traffic(networkFor())
			net.wantAllKnown()
			net.wantNoBans()
			t.Log("\n" + net.table())
		})
	}
}

// quietSystem is an actor system for many nodes.
func quietSystem() *actor.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
}

// network is a mixed network under test; the seed is its first node.
type network struct {
	*testing.T
	system    *actor.ActorSystem
	all       []netNode
	silent    []netNode     // that the others have looked for
	formed    time.Duration // how long it took until everybody knew everybody, or who had to
	strangers [][2]int      // who did not know whom then, as indexes

	tries map[[2]string]int // searches until success, by the kinds of who looks and who is found

	mu   sync.Mutex
	sent map[[2]int]*sentTo
}

// sentTo is what one node has sent to another.
type sentTo struct {
	sent, certain []string // bodies; certain are those whose sender has been told that they were read
	failed        int
	lastErr       error
}

// grow starts the seed and the others, which know only the seed.
func (n *network) grow(seedKind string) {
	n.Helper()
	left := map[string]int{"gamelan": ofOurs, "6.2.0": ofEachRelease, "1.0.0-rc.5": ofEachRelease}
	n.all = []netNode{n.start(seedKind)}
	left[seedKind]--
	for len(n.all) < ofOurs+2*ofEachRelease {
		for _, kind := range kinds { // one of each kind after the other
			if left[kind] > 0 {
				left[kind]--
				n.all = append(n.all, n.start(kind))
			}
		}
	}
}

// start starts a node that knows the seed, if there is one already.
func (n *network) start(kind string) netNode {
	n.Helper()
	if kind == "gamelan" {
		cfg := gamelan.Config{Discovery: gamelan.DiscoveryConfig{Update: 5 * time.Second}}
		if len(n.all) > 0 {
			cfg.Seeds = []string{asSeed(n.all[0])}
		}
		return startOurNode(n.T, n.system, cfg)
	}
	node := startTariNode(n.T, kind)
	if len(n.all) > 0 {
		node.enter(n.all[0])
	}
	return node
}

// startSilent starts a node that neither joins nor asks. It is connected to the seed and to the
// nodes closest to it, but not to those that will look for it.
func (n *network) startSilent(kind string, lookers []netNode) netNode {
	n.Helper()
	var dial func(netNode)
	var silent netNode
	if kind == "gamelan" {
		node := startOurNode(n.T, n.system, gamelan.Config{Floor: gamelan.NoFloor})
		silent, dial = node, func(to netNode) {
			if _, err := node.Peers().AddSeed(n.Context(), asSeed(to)); err != nil {
				n.Fatal(err)
			}
			if _, err := node.Dial(n.Context(), to.pub().NodeID()); err != nil {
				n.Fatal(err)
			}
		}
	} else {
		node := startTariNode(n.T, kind, "--dht-join", "false", "--dht-discovery", "false")
		silent, dial = node, node.enter
	}
	others := slices.DeleteFunc(slices.Clone(n.all[1:]), func(node netNode) bool { return slices.Contains(lookers, node) })
	self := silent.pub().NodeID()
	slices.SortFunc(others, func(a, b netNode) int {
		return a.pub().NodeID().Distance(self).Cmp(b.pub().NodeID().Distance(self))
	})
	for _, to := range append(others[:4], n.all[0]) {
		dial(to)
	}
	return silent
}

// searches lets a node of each kind look for a silent node of each kind.
func (n *network) searches() {
	n.Helper()
	n.tries = make(map[[2]string]int)
	var lookers []netNode
	for _, kind := range kinds {
		lookers = append(lookers, n.all[1+slices.IndexFunc(n.all[1:], func(node netNode) bool { return node.kind() == kind })])
	}
	for _, to := range kinds {
		for _, by := range lookers {
			silent := n.startSilent(to, lookers)
			n.silent = append(n.silent, silent)
			tries, err := n.search(by, silent)
			if err != nil {
				n.Errorf("a node of %s looks for one of %s %d times: %v", by.kind(), to, tries, err)
				continue
			}
			if !by.knows(silent) {
				n.Errorf("a node of %s does not know one of %s that it has found", by.kind(), to)
			}
			n.tries[[2]string{by.kind(), to}] = tries
		}
	}
}

// maxTries is how often a node looks for another one. A Discovery goes to eight nodes at
// random, and from each to some of its neighbours, by chance with 6.2.0 (spec: dht 5.2, 7.3).
const maxTries = 5

func (n *network) search(by, silent netNode) (tries int, err error) {
	for tries = range maxTries {
		if err = by.search(silent.pub()); err == nil {
			return tries + 1, nil
		}
	}
	return maxTries, err
}

// traffic sends messages from everybody to everybody, in random order, until the time is
// over and every pair has had one that arrived.
func (n *network) traffic(lasts time.Duration) {
	n.Helper()
	n.sent = make(map[[2]int]*sentTo)
	pairs := make([][2]int, 0, len(n.all)*len(n.all))
	for i := range n.all {
		for j := range n.all {
			if i != j {
				pairs = append(pairs, [2]int{i, j})
				n.sent[[2]int{i, j}] = new(sentTo)
			}
		}
	}
	over := time.Now().Add(lasts)
	for round := 0; round == 0 || time.Now().Before(over); round++ {
		rand.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		n.round(round, pairs, over)
	}
	limit := time.Now().Add(connectLimit)
	for round := 1000; ; round++ {
		deaf := n.unheard()
		if len(deaf) == 0 {
			break
		}
		if time.Now().After(limit) {
			for _, pair := range deaf {
				s := n.sent[pair]
				n.Errorf("%d (%s) has sent %d messages to %d (%s), and none arrived: %v",
					pair[0], n.all[pair[0]].kind(), len(s.sent), pair[1], n.all[pair[1]].kind(), s.lastErr)
			}
			return
		}
		time.Sleep(time.Second)
		n.round(round, deaf, limit)
	}
	n.wantDelivered()
}

// divided reports whether one of two Tari nodes has banned the other for what concerns no
// node of ours.
func (n *network) divided(pair [2]int) bool {
	a, b := n.all[pair[0]], n.all[pair[1]]
	one, ok := a.(tariNode)
	other, too := b.(tariNode)
	return ok && too && (one.bansForTheirOwn(b) || other.bansForTheirOwn(a))
}

// senders is how many messages are under way at once, and pause how long each sender rests
// after one: about as much as nodes of the network do.
const (
	senders = 8
	pause   = 200 * time.Millisecond
)

// round sends one message for each pair and one piece of gossip for each kind.
func (n *network) round(round int, pairs [][2]int, until time.Time) {
	work := make(chan [2]int)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for pair := range work {
				n.write(pair, round)
				time.Sleep(pause)
			}
		})
	}
	for i, pair := range pairs {
		if round > 0 && time.Now().After(until) {
			break
		}
		work <- pair
		if i%50 == 0 {
			from := n.all[pair[0]]
			if err := from.gossip(fmt.Sprintf("gossip %d.%d of %d", round, i, pair[0])); err != nil {
				n.Errorf("gossip of %d (%s): %v", pair[0], from.kind(), err)
			}
		}
	}
	close(work)
	sending.Wait()
}

func (n *network) write(pair [2]int, round int) {
	body := fmt.Sprintf("%d>%d #%d", pair[0], pair[1], round)
	certain, err := n.all[pair[0]].write(n.all[pair[1]], body)
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sent[pair]
	s.sent = append(s.sent, body)
	if certain {
		s.certain = append(s.certain, body)
	}
	if err != nil {
		s.failed, s.lastErr = s.failed+1, err
	}
}

// arrivals counts the bodies at each node.
func (n *network) arrivals() []map[string]int {
	came := make([]map[string]int, len(n.all))
	for i, node := range n.all {
		came[i] = make(map[string]int)
		for _, body := range node.read() {
			came[i][body]++
		}
	}
	return came
}

// unheard lists the pairs of which nothing has arrived.
func (n *network) unheard() (list [][2]int) {
	came := n.arrivals()
	for pair, s := range n.sent {
		if !slices.ContainsFunc(s.sent, func(body string) bool { return came[pair[1]][body] > 0 }) && !n.divided(pair) {
			list = append(list, pair)
		}
	}
	return list
}

// wantDelivered checks that what was confirmed has arrived, and nothing twice.
func (n *network) wantDelivered() {
	n.Helper()
	lost := func() (list []string) {
		came := n.arrivals()
		for pair, s := range n.sent {
			for _, body := range s.certain {
				if came[pair[1]][body] == 0 {
					list = append(list, body)
				}
			}
		}
		return list
	}
	gamelantest.Eventually(n.T, connectLimit, "everything confirmed delivered", func() bool { return len(lost()) == 0 })
	for i, bodies := range n.arrivals() {
		for body, times := range bodies {
			if times > 1 {
				n.Errorf("at %d (%s): got %q %d times, want once", i, n.all[i].kind(), body, times)
			}
		}
	}
}

// wantAllKnown checks that everybody knows everybody.
func (n *network) wantAllKnown() {
	n.Helper()
	for _, pair := range strangers(n.all) {
		n.Errorf("at the end %d (%s) does not know %d (%s)", pair[0], n.all[pair[0]].kind(), pair[1], n.all[pair[1]].kind())
	}
}

// wantNoBans checks that nobody has banned anybody.
func (n *network) wantNoBans() {
	n.Helper()
	for i, node := range n.all {
		if list := node.banned(slices.Concat(n.all, n.silent)); len(list) > 0 {
			n.Errorf("%d (%s) has banned %s, want nobody", i, node.kind(), strings.Join(list, "; "))
		}
	}
}

// explain writes what our nodes say of the network, if something is wrong.
func (n *network) explain() {
	if !n.Failed() {
		return
	}
	for i, node := range n.all {
		if o, ok := node.(*ourNode); ok {
			s := o.DHT().Network()
			n.Logf("%d: %s; sync %+v, service %+v, join %+v", i, s.Summary, s.Sync, s.Service, s.Join)
		}
	}
}

// table says of every node whom it knows, and what it has sent and heard.
func (n *network) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "before the traffic, after %.1f s: ", n.formed.Seconds())
	if len(n.strangers) == 0 {
		b.WriteString("everybody knew everybody\n")
	} else {
		fmt.Fprintf(&b, "everybody knew everybody, but Tari nodes did not in %d cases: %v\n", len(n.strangers), n.strangers)
	}
	fmt.Fprintf(&b, "%-4s%-12s%6s%6s%6s%10s%8s%10s%8s%6s\n", "", "kind", "knows", "conns", "sent", "confirmed", "failed", "arrived", "gossip", "bans")
	came := n.arrivals()
	for i, node := range n.all {
		known, sent, certain, failed, arrived, gossip := 0, 0, 0, 0, 0, 0
		for j, other := range n.all {
			if i == j {
				continue
			}
			if node.knows(other) {
				known++
			}
			to, from := n.sent[[2]int{i, j}], n.sent[[2]int{j, i}]
			sent, certain, failed = sent+len(to.sent), certain+len(to.certain), failed+to.failed
			for _, body := range from.sent {
				arrived += came[i][body]
			}
		}
		for body, times := range came[i] {
			if strings.HasPrefix(body, "gossip") {
				gossip += times
			}
		}
		fmt.Fprintf(&b, "%-4d%-12s%6d%6d%6d%10d%8d%10d%8d%6d\n",
			i, node.kind(), known, node.connected(), sent, certain, failed, arrived, gossip, len(node.banned(n.all)))
	}
	fmt.Fprintf(&b, "searches until found:  %12s%12s%12s\n", kinds[0], kinds[1], kinds[2])
	for _, by := range kinds {
		fmt.Fprintf(&b, "%-23s", by)
		for _, to := range kinds {
			fmt.Fprintf(&b, "%12d", n.tries[[2]string{by, to}])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
