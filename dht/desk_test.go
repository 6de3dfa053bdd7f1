package dht_test

import (
	"encoding/binary"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var (
	confirmed  = protocol.Outcome{Kind: protocol.Confirmed}
	lost       = protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}
	overloaded = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Overloaded}
	sessionEnd = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed}
	unreached  = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.DialFailed}
	refused    = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Refused}
	tooLate    = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Expired}
	lateDoubt  = protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Expired}
)

// desk is an [dht.Outbound] with its ledger, in a made-up world in which time
// passes when told.
type desk struct {
	reached []dht.Reached // since the beginning

	t         testing.TB
	start     time.Time
	now       time.Time
	ahead     time.Duration // of the system's clock
	o         *dht.Outbound
	ledger    *dht.Ledger
	view      *village
	dedup     *dht.Dedup
	secret    *identity.Secret
	drawn     *counted
	paced     map[identity.NodeID]bool
	discovers bool
	ids       uint64
	entries   map[uint64]*dht.Entry
	ends      map[uint64]int
	wake      time.Time
	under     []dht.Write // given out, without outcome
	credits   []*leaf     // of what is relayed
	unreached *dht.Unreached
	// What the last event had done.
	writes    []dht.Write
	withdrawn []dht.Write
	searches  []dht.Discover
	progress  []dht.Progress
}

// counted counts what is drawn from it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

func newDesk(t testing.TB, lines string, set func(*dht.OutboundOptions)) *desk {
	t.Helper()
	d := &desk{
		t: t, start: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC), ledger: dht.NewLedger(), view: newVillage(t, lines),
		dedup: dht.NewDedup(100), secret: repeated(t, 1), drawn: &counted{Reader: rand.NewChaCha8([32]byte{1})},
		unreached: dht.NewUnreached(), paced: map[identity.NodeID]bool{}, entries: map[uint64]*dht.Entry{}, ends: map[uint64]int{},
	}
	d.now = d.start
	d.begin(set)
	return d
}

// begin starts the machine; called again, it takes the place of the one before.
func (d *desk) begin(set func(*dht.OutboundOptions)) {
	key := d.secret.PublicKey()
	o := dht.OutboundOptions{
		Secret: d.secret, Selector: dht.Selector{Self: key.NodeID(), Key: key}, View: d.view, Dedup: d.dedup,
		Rand: rand.New(rand.NewPCG(1, d.ids)), Random: d.drawn,
		NewID:     func() uint64 { d.ids++; return d.ids },
		Paced:     func(id identity.NodeID) bool { return d.paced[id] },
		Discovers: func() bool { return d.discovers }, Unreached: d.unreached,
	}
	if set != nil {
		set(&o)
	}
	d.o, d.wake = dht.NewOutbound(o), time.Time{}
}

func (d *desk) apply(fx *dht.OutboundEffects) {
	d.t.Helper()
	d.writes, d.withdrawn = slices.Clone(fx.Write), slices.Clone(fx.Withdraw)
	d.searches, d.progress = slices.Clone(fx.Discover), slices.Clone(fx.Progress)
	for _, p := range d.progress {
		if d.ends[p.ID] > 0 {
			d.t.Fatalf("send %d: got step %d after its end", p.ID, p.Kind)
		}
		if p.Kind == dht.SendEnded {
			d.ends[p.ID]++
		}
		d.ledger.Apply(d.now, p)
	}
	for _, l := range fx.Released {
		l.Discard()
	}
	fx.Released = fx.Released[:0]
	d.reached = append(d.reached, fx.Reached...)
	fx.Reached = fx.Reached[:0]
	d.under = append(d.under, d.writes...)
	if !fx.Wake.IsZero() {
		if !d.wake.IsZero() && !fx.Wake.Before(d.wake) {
			d.t.Fatalf("got a wake at %v after one at %v", fx.Wake, d.wake)
		}
		d.wake = fx.Wake
	}
}

// send accepts a message and has it carried out.
func (d *desk) send(m dht.Message) uint64 {
	d.t.Helper()
	d.ids++
	id := d.ids
	d.entries[id] = d.ledger.Accept(d.now, id, &m, nil)
	if !d.ledger.Take(id) {
		d.t.Fatal("got a new send that cannot be taken")
	}
	d.apply(d.o.Send(d.now, d.wall(), id, m))
	return id
}

func (d *desk) relay(e *wire.Envelope, to dht.Strategy) {
	d.t.Helper()
	d.relayFrom("z", e, to)
}

// relayFrom passes a message on that came from that peer.
func (d *desk) relayFrom(name string, e *wire.Envelope, to dht.Strategy) {
	d.t.Helper()
	d.apply(d.o.Relay(d.now, d.relayed(name, e, to)))
}

// relayed is such a message with its credit.
func (d *desk) relayed(name string, e *wire.Envelope, to dht.Strategy) dht.Relayed {
	l := &leaf{}
	d.credits = append(d.credits, l)
	return dht.Relayed{From: idOf(name), Envelope: e, Hash: e.DedupHash(), To: to, Credit: l}
}

// leaf is credit that counts how often it is given back.
type leaf struct{ back int }

func (l *leaf) Finish()                         {}
func (l *leaf) Discard()                        { l.back++ }
func (l *leaf) Keep() func()                    { return l.Discard }
func (l *leaf) Refuse()                         { l.Discard() }
func (l *leaf) Source() interface{ Outsider() } { return nil }

// held returns how much credit is out.
func (d *desk) held() (n int) {
	for i, l := range d.credits {
		if l.back > 1 {
			d.t.Fatalf("credit %d: got it back %d times", i, l.back)
		}
		n += 1 - l.back
	}
	return n
}

// wall is the system's clock, with all steps.
func (d *desk) wall() time.Time { return d.now.Round(0).Add(d.ahead) }

// settle gives the outcome of one write.
func (d *desk) settle(w dht.Write, o protocol.Outcome) {
	d.t.Helper()
	i := slices.IndexFunc(d.under, func(u dht.Write) bool { return u.ID == w.ID })
	if i < 0 {
		d.t.Fatalf("write %d: not under way", w.ID)
	}
	d.under = slices.Delete(d.under, i, i+1)
	d.apply(d.o.Sent(d.now, w.ID, o))
}

// settleAll gives everything under way the same outcome, oldest first.
func (d *desk) settleAll(o protocol.Outcome) {
	d.t.Helper()
	for _, w := range slices.Clone(d.under) {
		d.settle(w, o)
	}
}

func (d *desk) connected(name string) {
	d.t.Helper()
	d.apply(d.o.Connected(d.now, idOf(name)))
}

func (d *desk) discovered(id uint64, name string, err error) {
	d.t.Helper()
	d.apply(d.o.Discovered(d.now, d.wall(), id, idOf(name), err))
}

// drain gives everything the same outcome, also what is given out meanwhile.
func (d *desk) drain(o protocol.Outcome) {
	d.t.Helper()
	for len(d.under) > 0 {
		d.settle(d.under[0], o)
	}
}

// wakeUp tells the machine that its time has come.
func (d *desk) wakeUp() {
	d.t.Helper()
	d.wake = time.Time{}
	d.apply(d.o.Due(d.now))
}

// clock moves the clock and says nothing to the machine.
func (d *desk) clock(since time.Duration) { d.now = d.start.Add(since) }

// busy ends the test when the machine has asked so often in a row for a wake at
// the same time.
func (d *desk) busy(still int) {
	d.t.Helper()
	if still > 1000 {
		d.t.Fatalf("got %d wakes at %v, want time to go on", still, d.now.Sub(d.start))
	}
}

// pass lets time pass, with all wakes in it, and returns what was written.
func (d *desk) pass(by time.Duration) (all []dht.Write) {
	d.t.Helper()
	end := d.now.Add(by)
	for still := 0; !d.wake.IsZero() && !d.wake.After(end); still++ {
		if d.wake.After(d.now) {
			d.now, still = d.wake, 0
		}
		d.busy(still)
		d.wakeUp()
		all = append(all, d.writes...)
	}
	d.now = end
	return all
}

func (d *desk) report(id uint64) dht.Report { return d.entries[id].Report() }

// ended checks that the send has ended for this reason.
func (d *desk) ended(id uint64, want dht.SendReason) dht.Report {
	d.t.Helper()
	r := d.report(id)
	if !r.Ended() || r.Reason != want || d.ends[id] != 1 {
		d.t.Errorf("send %d: got %q, ended %v, %d ends, want ended once with %q", id, r.String(), r.Ended(), d.ends[id], want)
	}
	return r
}

// outcome checks what became of the only copy of a send.
func (d *desk) outcome(id uint64, want protocol.Outcome) {
	d.t.Helper()
	r := d.ended(id, 0)
	if len(r.Copies) != 1 {
		d.t.Fatalf("send %d: got %d copies, want 1", id, len(r.Copies))
	}
	if got := r.Copies[0].Outcome; got.Kind != want.Kind || got.Reason != want.Reason {
		d.t.Errorf("send %d: got %v, want %v", id, got, want)
	}
}

// nothing checks that nothing is left once everything was settled and a while
// has passed.
func (d *desk) nothing() {
	d.t.Helper()
	for range 2 { // what waits for the pace goes in the first
		d.drain(confirmed)
		d.pass(3 * time.Minute)
	}
	if len(d.under) > 0 {
		d.t.Errorf("got %d writes under way, want none", len(d.under))
	}
	if held := d.o.Held(); held != "" {
		d.t.Errorf("got %s held after everything has ended, want nothing", held)
	}
	if n := d.held(); n != 0 {
		d.t.Errorf("got the credit of %d messages held after everything has ended, want none", n)
	}
	for _, id := range slices.Sorted(maps.Keys(d.entries)) {
		if d.ends[id] != 1 {
			d.t.Errorf("send %d: got %d ends, want 1", id, d.ends[id])
		}
	}
}

// to returns the names of the peers that the writes go to, sorted.
func to(writes []dht.Write) string {
	var names []byte
	for _, w := range writes {
		names = append(names, w.Peer[identity.NodeIDLen-1]+'a'-1)
	}
	slices.Sort(names)
	return string(names)
}

// numbers are bodies in which messages are told apart.
func numbered(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// numberOf returns the number of the clear message in a frame.
func numberOf(t testing.TB, frame []byte) uint64 {
	t.Helper()
	return binary.BigEndian.Uint64(bodyOf(t, decode(t, frame)))
}

// bodyOf returns the application's message in a clear envelope.
func bodyOf(t testing.TB, e wire.Envelope) []byte {
	t.Helper()
	_, body := domainOf(t, e)
	return body
}

func domainOf(t testing.TB, e wire.Envelope) (wire.DomainHeader, []byte) {
	t.Helper()
	parts, err := wire.DecodeBody(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	h, body, err := wire.SplitDomain(parts)
	if err != nil {
		t.Fatal(err)
	}
	return h, body
}
