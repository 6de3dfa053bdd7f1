package reach

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The times and numbers of the judge.
const (
	// AgainReachable and AgainUnreachable are how long a verdict stands before others are asked again.
	AgainReachable   = 30 * time.Minute
	AgainUnreachable = 10 * time.Minute
	// AgainFirst is how soon others are asked again after the first round in which nobody has
	// reached an address: somebody may be mending it. The pause doubles up to AgainUnreachable.
	AgainFirst = time.Minute
	// AskPause is the least time between two dial-backs that one peer is asked for. A peer serves
	// each source once in [BackPause].
	AskPause = BackPause + time.Second
	// AskLimit is how long an answer to a dial-back may take. It has failed after [BackLimit].
	AskLimit = BackLimit + 4*time.Second
	// FirstPort is the least port that nodes dial for others.
	FirstPort = 1024

	failedNetworks = 3 // of so many, or of all there are twice: nobody can reach the address
	provenFor      = AgainReachable + AgainUnreachable
	refusedPause   = time.Minute // after a refusal, until the peer is asked again
	maxObservers   = 16          // peers that are asked
	maxOfNetwork   = 2           // of these in one network
	dialledPlaces  = 4           // of these are for nodes that this one has dialled
	maxKept        = 16          // addresses that nobody sees any more and others are not told
	maxRests       = 1024        // networks whose rest is remembered
)

// Observer is a connected node that can tell where this node is, and dial it.
type Observer struct {
	ID      identity.NodeID
	Conn    uint64       // id of the connection
	Network netip.Prefix // where it is: see [NetworkOf]
	Dialled bool         // this node made the connection
	Trusted bool         // the user has named it
}

// NetworkOf returns the network of an address, for which the word of one counts: a /16 of IPv4, a
// /32 of IPv6.
func NetworkOf(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is4() {
		bits = 16
	}
	p, _ := ip.Prefix(bits) // ip is valid
	return p
}

// Request is a request of a dial-back.
type Request struct {
	Peer  identity.NodeID
	Conn  uint64
	Port  uint16
	Token [TokenLen]byte
}

// Asks are the requests after an event.
type Asks struct {
	Observe []identity.NodeID // ask these where this node is
	Dial    []Request
}

// Judge finds out at which addresses others can reach this node. It is not safe for concurrent use.
type Judge struct {
	random     io.Reader
	interfaces map[netip.Addr]bool
	claimed    []netip.AddrPort // what others are told
	ports      []uint16         // where the node can be
	peers      map[identity.NodeID]*observer
	asked      []*observer // of these, those that are asked
	targets    map[netip.AddrPort]*target
	pending    map[[TokenLen]byte]pending
	rests      map[netip.Prefix]time.Time  // until when those of a network rest that have left
	inbound    map[identity.NodeID]inbound // connections that others have made
}

// inbound is a connection that another machine has made.
type inbound struct {
	conn     uint64
	from, to netip.Addr
}

type observer struct {
	Observer
	asking   bool       // it is being asked where it sees this node
	told     bool       // it has answered that
	retry    time.Time  // it has not, and is not asked that before
	sees     netip.Addr // not valid: not known
	askAfter time.Time  // not asked before
	declines bool       // it has declined the last dial-back
}

// target is an address whose reachability is judged.
type target struct {
	verdict protocol.Reach
	since   time.Time
	reached map[identity.NodeID]time.Time // who has reached it, and when
	failed  map[identity.NodeID]failures  // in this round
	last    time.Time                     // a token came
	came    time.Time                     // a connection from outside was there, whatever others say
	tried   time.Time                     // the last result of any kind
	again   time.Time                     // of the next round
	rounds  int                           // in a row in which nobody has reached it
	at      time.Time                     // of the last result that gave the verdict
	by      int                           // nodes that could not, in the last such round
	ours    bool                          // see Judge.ours; holds as long as the verdict
	seers   int                           // networks that saw this node there at a time
}

type failures struct {
	network netip.Prefix
	n       int
	chosen  bool // of a node that this one has dialled, or that the user has named
}

type pending struct {
	peer      identity.NodeID
	addr      netip.AddrPort
	until     time.Time
	confirmed bool // the peer says that the token has come
}

// NewJudge returns a judge. random is for tokens.
func NewJudge(random io.Reader) *Judge {
	return &Judge{random: random, peers: make(map[identity.NodeID]*observer), targets: make(map[netip.AddrPort]*target), pending: make(map[[TokenLen]byte]pending), inbound: make(map[identity.NodeID]inbound)}
}

// Set says which addresses the machine has, which ones others are told, and on which ports the node
// listens. When the machine's have changed, what is known is forgotten.
func (j *Judge) Set(now time.Time, interfaces []netip.Addr, claimed []netip.AddrPort, ports []uint16) Asks {
	has := make(map[netip.Addr]bool, len(interfaces))
	for _, ip := range interfaces {
		has[ip.Unmap()] = true
	}
	changed := !maps.Equal(has, j.interfaces) || !slices.Equal(ports, j.ports)
	j.interfaces, j.claimed, j.ports = has, claimed, ports
	if changed {
		clear(j.targets)
		clear(j.pending)
		clear(j.inbound)
		for _, p := range j.peers {
			*p = observer{Observer: p.Observer, declines: p.declines}
		}
	}
	return j.next(now)
}

// Met notes a node that connects, once on each connection.
func (j *Judge) Met(now time.Time, o Observer) Asks {
	if p := j.peers[o.ID]; p != nil && p.Conn == o.Conn {
		return Asks{}
	}
	j.peers[o.ID] = &observer{Observer: o, askAfter: j.rests[o.Network]} // to come again is no way to be asked sooner
	j.asked = j.observers()
	return j.next(now)
}

// Left notes the end of a connection.
func (j *Judge) Left(now time.Time, peer identity.NodeID, conn uint64) Asks {
	if p := j.peers[peer]; p == nil || p.Conn != conn {
		return Asks{}
	}
	p := j.peers[peer]
	delete(j.peers, peer)
	j.asked = j.observers()
	j.rested(now, p)
	maps.DeleteFunc(j.pending, func(_ [TokenLen]byte, x pending) bool { return x.peer == peer })
	return j.next(now)
}

// Entered notes the connection of a peer, if another machine has made it, directly: from where, and to which of this
// one's addresses. One of loopback, or of this machine itself, says nothing.
func (j *Judge) Entered(peer identity.NodeID, conn uint64, from, to netip.Addr) {
	if from, to = from.Unmap(), to.Unmap(); !from.IsLoopback() && !j.interfaces[from] && to.IsValid() {
		j.inbound[peer] = inbound{conn, from, to}
	}
}

// Over notes the end of a peer's connection, whoever has made it. It comes before Left.
func (j *Judge) Over(now time.Time, peer identity.NodeID, conn uint64) {
	if j.inbound[peer].conn != conn {
		return
	}
	for addr, t := range j.targets {
		if j.entered(addr.Addr()) {
			t.came = now
		}
	}
	delete(j.inbound, peer)
}

// Replaced notes that another connection has taken the place of the one that a peer has made.
func (j *Judge) Replaced(now time.Time, peer identity.NodeID) {
	j.Over(now, peer, j.inbound[peer].conn)
}

// entered reports whether another machine is connected that has reached this node at an address: one of elsewhere, if the
// address is public. Of an address of a router before this machine those say so that see it there.
func (j *Judge) entered(ip netip.Addr) bool {
	for _, x := range j.inbound {
		if x.to == ip && outside(x.from, ip) {
			return true
		}
	}
	if j.interfaces[ip] {
		return false
	}
	for id, p := range j.peers {
		if x, ok := j.inbound[id]; ok && p.sees == ip && outside(x.from, ip) {
			return true
		}
	}
	return false
}

// outside reports whether a connection from an address shows that strangers reach another one.
func outside(from, to netip.Addr) bool {
	return address.Public(to) != nil || address.Public(from) == nil && NetworkOf(from) != NetworkOf(to)
}

// rested remembers until when a peer that leaves would have rested.
func (j *Judge) rested(now time.Time, p *observer) {
	if p.Trusted || !p.askAfter.After(now) || !p.askAfter.After(j.rests[p.Network]) {
		return
	}
	maps.DeleteFunc(j.rests, func(_ netip.Prefix, until time.Time) bool { return !until.After(now) })
	if len(j.rests) >= maxRests {
		clear(j.rests)
	}
	if j.rests == nil {
		j.rests = make(map[netip.Prefix]time.Time)
	}
	j.rests[p.Network] = p.askAfter
}

// Observed notes where a peer sees this node. An address that is not valid says that it cannot tell.
func (j *Judge) Observed(now time.Time, peer identity.NodeID, conn uint64, seen netip.Addr) Asks {
	p := j.peers[peer]
	if p == nil || p.Conn != conn {
		return Asks{}
	}
	p.asking, p.told, p.sees = false, true, seen.Unmap()
	return j.next(now)
}

// Unobserved notes that a peer has failed to say where it sees this node. It is asked again after ClockSoon.
func (j *Judge) Unobserved(now time.Time, peer identity.NodeID, conn uint64) Asks {
	if p := j.peers[peer]; p != nil && p.Conn == conn && p.asking {
		p.asking, p.retry = false, now.Add(ClockSoon)
	}
	return j.next(now)
}

// Answered notes the answer to a request of a dial-back, or that there is none (NoAnswer).
func (j *Judge) Answered(now time.Time, r Request, code Code) Asks {
	if x, ok := j.pending[r.Token]; ok && code == OK {
		x.confirmed = true // the token may come later than the answer
		j.pending[r.Token] = x
	} else if ok {
		j.settle(now, r.Token, x, code)
	}
	return j.next(now)
}

// settle ends a request without a token.
func (j *Judge) settle(now time.Time, token [TokenLen]byte, x pending, code Code) {
	delete(j.pending, token)
	t, p := j.targets[x.addr], j.peers[x.peer]
	if t == nil || p == nil {
		return
	}
	p.declines = code == Refused
	switch code {
	case Failed:
		t.tried = now
		f := t.failed[x.peer]
		t.failed[x.peer] = failures{p.Network, f.n + 1, p.chosen()}
	case OK: // somebody else has answered there
		p.askAfter = now.Add(AgainReachable)
	default:
		p.askAfter = now.Add(refusedPause)
	}
}

// Came notes a token that has come back over a new connection.
func (j *Judge) Came(now time.Time, token [TokenLen]byte) Asks {
	x, ok := j.pending[token]
	if !ok {
		return Asks{}
	}
	delete(j.pending, token)
	t := j.targets[x.addr]
	if t == nil {
		return Asks{}
	}
	if p := j.peers[x.peer]; p != nil {
		p.declines = false
	}
	t.last, t.tried, t.rounds = now, now, 0
	clear(t.failed)
	t.reached[x.peer] = now
	return j.next(now)
}

// Again has others asked at once, whatever is known. Those are asked where they see this node that have not said it.
func (j *Judge) Again(now time.Time) Asks {
	for _, p := range j.asked {
		if !p.sees.IsValid() {
			p.told, p.retry = false, time.Time{}
		}
	}
	for _, t := range j.targets {
		clear(t.failed)
		t.again, t.rounds = time.Time{}, 0
		if limit := now.Add(-AgainReachable); t.last.After(limit) { // stays reachable for ten minutes
			t.last = limit
		}
	}
	return j.next(now)
}

// Due returns when Look is to be called, at the latest.
func (j *Judge) Due(now time.Time) time.Time {
	due := now.Add(AgainUnreachable)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(due) {
			due = t
		}
	}
	for _, t := range j.targets {
		sooner(t.again)
		sooner(t.last.Add(provenFor))
		sooner(t.tried.Add(provenFor))
	}
	for _, p := range j.peers {
		sooner(p.askAfter)
		sooner(p.retry)
	}
	for _, x := range j.pending {
		sooner(x.until)
	}
	return due
}

// Look notes that time has passed.
func (j *Judge) Look(now time.Time) Asks {
	for token, x := range j.pending {
		switch {
		case now.Before(x.until):
		case x.confirmed:
			j.settle(now, token, x, OK)
		default:
			j.settle(now, token, x, NoAnswer)
		}
	}
	return j.next(now)
}

// next decides what to ask, and judges.
func (j *Judge) next(now time.Time) (a Asks) {
	j.findTargets(now)
	for _, p := range j.asked {
		if !p.asking && !p.told && !now.Before(p.retry) {
			p.asking = true
			a.Observe = append(a.Observe, p.ID)
		}
	}
	for _, addr := range j.sorted() {
		t := j.targets[addr]
		j.judge(now, addr, t)
		if j.asking(addr) || now.Before(t.again) && !j.unasked(addr.Addr(), t) || addr.Port() < FirstPort {
			continue
		}
		p := j.choose(now, addr, t)
		if p == nil {
			continue
		}
		r := Request{Peer: p.ID, Conn: p.Conn, Port: addr.Port()}
		if _, err := io.ReadFull(j.random, r.Token[:]); err != nil {
			continue
		}
		p.askAfter = now.Add(AskPause)
		j.pending[r.Token] = pending{peer: p.ID, addr: addr, until: now.Add(AskLimit)}
		a.Dial = append(a.Dial, r)
	}
	return a
}

// asking reports whether a peer is being asked to dial the address.
func (j *Judge) asking(addr netip.AddrPort) bool {
	for _, x := range j.pending {
		if x.addr == addr {
			return true
		}
	}
	return false
}

// findTargets adds the addresses that are to be judged, and removes those that nobody tells others
// and no peer sees.
func (j *Judge) findTargets(now time.Time) {
	want := make(map[netip.AddrPort]bool)
	for _, c := range j.claimed {
		want[c] = true
	}
	for _, p := range j.asked {
		if p.sees.IsValid() {
			for _, port := range j.ports {
				want[netip.AddrPortFrom(p.sees, port)] = true
			}
		}
	}
	var kept []netip.AddrPort
	maps.DeleteFunc(j.targets, func(addr netip.AddrPort, t *target) bool {
		if want[addr] || j.asking(addr) {
			return false
		}
		stays := t.ours && now.Sub(t.last) <= provenFor
		if stays {
			kept = append(kept, addr)
		}
		return !stays
	})
	if more := len(kept) - maxKept; more > 0 { // those that were reached longest ago
		slices.SortFunc(kept, func(a, b netip.AddrPort) int {
			return cmp.Or(j.targets[a].last.Compare(j.targets[b].last), a.Compare(b))
		})
		for _, addr := range kept[:more] {
			delete(j.targets, addr)
		}
	}
	for addr := range want {
		if j.targets[addr] == nil {
			j.targets[addr] = &target{reached: make(map[identity.NodeID]time.Time), failed: make(map[identity.NodeID]failures), since: now}
		}
	}
}

// observers returns the peers that are asked: those that the user has named and those that connected
// of their own accord first, and few of one network.
func (j *Judge) observers() []*observer {
	all := slices.Collect(maps.Values(j.peers))
	rank := func(p *observer) int {
		switch {
		case p.Trusted:
			return 0
		case !p.Dialled:
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b *observer) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Conn, b.Conn)) })
	of := make(map[netip.Prefix]int)
	all = slices.DeleteFunc(all, func(p *observer) bool {
		of[p.Network]++
		return !p.Trusted && of[p.Network] > maxOfNetwork
	})
	if len(all) > maxObservers { // strangers do not take all places
		first := all[:maxObservers-dialledPlaces]
		rest := slices.DeleteFunc(slices.Clone(all[len(first):]), func(p *observer) bool { return !p.chosen() })
		all = append(slices.Clone(first), rest[:min(len(rest), dialledPlaces)]...)
	}
	return all
}

// chosen reports whether this node has chosen the peer, and not the peer this node.
func (p *observer) chosen() bool { return p.Dialled || p.Trusted }

// choose returns who is asked next to dial the address: of those that see this node there, one of a
// network that has not failed, one that this node has not dialled, the one that has failed least.
func (j *Judge) choose(now time.Time, addr netip.AddrPort, t *target) (best *observer) {
	failed := func(p *observer) int {
		n := 0
		for _, f := range t.failed {
			if f.network == p.Network {
				n += f.n
			}
		}
		return n
	}
	worse := func(p, than *observer) bool {
		side := func(p *observer) int {
			if p.Dialled {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(failed(p), failed(than)), cmp.Compare(side(p), side(than)), cmp.Compare(t.failed[p.ID].n, t.failed[than.ID].n)) > 0
	}
	for _, p := range j.asked {
		if p.sees == addr.Addr() && !now.Before(p.askAfter) && (best == nil || worse(best, p)) {
			best = p
		}
	}
	return best
}

// judge sets the verdict on an address and when others are asked again.
func (j *Judge) judge(now time.Time, addr netip.AddrPort, t *target) {
	verdict := t.verdict
	if j.entered(addr.Addr()) {
		t.came = now
	}
	fresh := !t.last.IsZero() && now.Sub(t.last) < provenFor && (t.verdict != protocol.Unreachable || t.last.After(t.since))
	switch {
	case j.allFailed(addr.Addr(), t) && (t.last.IsZero() || now.Sub(t.last) >= AgainUnreachable):
		verdict = protocol.ReachNotKnown
		if t.agreed() && (t.came.IsZero() || now.Sub(t.came) >= provenFor) {
			verdict = protocol.Unreachable
			t.at, t.by = t.tried, len(t.failed)
		}
		t.again = t.tried.Add(backoff.Doubled(t.rounds+1, AgainFirst, AgainUnreachable))
		if !now.Before(t.again) { // another round
			clear(t.failed)
			t.again = time.Time{}
			t.rounds++
		}
	case fresh:
		verdict = protocol.Reachable
		t.at = later(t.at, t.last)
		if len(t.failed) == 0 {
			t.again = t.last.Add(AgainReachable)
		}
	case t.verdict == protocol.Reachable, now.Sub(t.tried) >= provenFor:
		verdict, t.rounds = protocol.ReachNotKnown, 0
		clear(t.failed)
	}
	if verdict != t.verdict {
		t.verdict, t.since, t.ours, t.seers = verdict, now, false, 0
	}
	t.ours = t.ours || j.ours(addr.Addr())
	t.seers = max(t.seers, len(j.networks(addr.Addr())))
}

// unasked reports whether nobody can reach the address as far as is known, and a network that is new
// has a word to say.
func (j *Judge) unasked(ip netip.Addr, t *target) bool {
	return t.verdict == protocol.Unreachable && !j.allFailed(ip, t)
}

// agreed reports whether one has failed whom this node has chosen. Strangers may lie.
func (t *target) agreed() bool {
	for _, f := range t.failed {
		if f.chosen {
			return true
		}
	}
	return false
}

// allFailed reports whether enough have failed: those of three networks, or of fewer networks all
// that see this node there, twice; and one whom this node has chosen, if there is any.
func (j *Judge) allFailed(ip netip.Addr, t *target) bool {
	if !t.agreed() && slices.ContainsFunc(j.asked, func(p *observer) bool { return p.sees == ip && p.chosen() && !p.declines }) {
		return false
	}
	by := make(map[netip.Prefix]int)
	for _, f := range t.failed {
		by[f.network] += f.n
	}
	if len(by) >= failedNetworks {
		return true
	}
	all := j.networks(ip)
	for network := range by {
		all[network] = true
	}
	for network := range all {
		if by[network] < 2 {
			return false
		}
	}
	return len(by) > 0
}

// networks returns the networks of the peers that see this node at the address.
func (j *Judge) networks(ip netip.Addr) map[netip.Prefix]bool {
	all := make(map[netip.Prefix]bool)
	for _, p := range j.asked {
		if p.sees == ip {
			all[p.Network] = true
		}
	}
	return all
}

// ours reports whether this machine or a router before it has the address: it is one of an
// interface, or one that the user trusts sees it, or two of different networks do.
func (j *Judge) ours(ip netip.Addr) bool {
	if j.interfaces[ip] {
		return true
	}
	for _, p := range j.peers {
		if p.sees == ip && p.Trusted {
			return true
		}
	}
	return len(j.networks(ip)) > 1
}

func (j *Judge) sorted() []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(j.targets), netip.AddrPort.Compare)
}

// Judged returns the verdicts: first on the addresses that others are told, then on others where
// peers see this node, if it is known whether it is reached there.
func (j *Judge) Judged(now time.Time) (all []protocol.Reachability) {
	for _, addr := range j.claimed {
		all = append(all, j.view(now, addr))
	}
	for _, addr := range j.sorted() {
		t := j.targets[addr]
		if !slices.Contains(j.claimed, addr) && (t.verdict == protocol.Reachable || t.verdict == protocol.Unreachable && t.ours) {
			all = append(all, j.view(now, addr))
		}
	}
	return all
}

// Proven returns addresses at which others reach this node and which are its own: of IPv4 and of IPv6
// at most one, the one that most networks see, of equals the one that was reached first. There is none where an interface has a public address.
func (j *Judge) Proven() (all []netip.AddrPort) {
	for _, four := range []bool{true, false} {
		best := netip.AddrPort{}
		for _, addr := range j.sorted() {
			t := j.targets[addr]
			if addr.Addr().Is4() == four && t.verdict == protocol.Reachable && t.ours && (!best.IsValid() || t.seers > j.targets[best].seers || t.seers == j.targets[best].seers && t.since.Before(j.targets[best].since)) {
				best = addr
			}
		}
		public := func(ip netip.Addr) bool { return ip.Is4() == four && address.Public(ip) == nil }
		if best.IsValid() && !slices.ContainsFunc(slices.Collect(maps.Keys(j.interfaces)), public) {
			all = append(all, best)
		}
	}
	return all
}

func (j *Judge) view(now time.Time, addr netip.AddrPort) protocol.Reachability {
	t := j.targets[addr]
	if t == nil {
		return protocol.Reachability{Addr: addr, Why: "it was not looked at yet"}
	}
	v := protocol.Reachability{Addr: addr, Verdict: t.verdict, Since: t.since, At: t.at, Again: t.verdict != protocol.ReachNotKnown && j.asking(addr), Ours: t.ours}
	switch t.verdict {
	case protocol.Reachable:
		for _, at := range t.reached {
			if now.Sub(at) < provenFor {
				v.By++
			}
		}
	case protocol.Unreachable:
		v.By = t.by
	default:
		v.Why, v.Unseen = j.why(addr, t)
	}
	return v
}

// why returns why it is not known whether the address is reached, and whether nodes that could try
// it see this one elsewhere.
func (j *Judge) why(addr netip.AddrPort, t *target) (text string, unseen bool) {
	sees, declines, elsewhere := 0, 0, map[netip.Addr]int{}
	for _, p := range j.asked {
		switch {
		case p.sees == addr.Addr():
			sees++
			if p.declines {
				declines++
			}
		case p.sees.IsValid():
			elsewhere[p.sees]++
		}
	}
	switch {
	case len(j.peers) == 0:
		return "no node that can check it is connected", false
	case addr.Port() < FirstPort:
		return fmt.Sprintf("ports below %d are not checked", FirstPort), false
	case j.asking(addr):
		return "being checked", false
	case sees == 0 && len(elsewhere) > 0:
		return fmt.Sprintf("connected nodes see this one at %s", mostSeen(elsewhere)), true
	case sees == 0:
		return "no connected node has said where it sees this one", false
	case len(t.failed) > 0 && !t.came.IsZero():
		return "connected nodes say that they could not, and others have connected to this one from elsewhere", false
	case len(t.failed) > 0:
		return "nodes that this one has not chosen say that they could not", false
	case declines == sees:
		return "the connected nodes do not check addresses for others", false
	}
	return "no node has checked it yet", false
}

// mostSeen returns the address that most peers see; of equals the smallest.
func mostSeen(by map[netip.Addr]int) netip.Addr {
	return slices.MinFunc(slices.Collect(maps.Keys(by)), func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), a.Compare(b))
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
