package safpart_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// record is an actor that keeps what it hears.
type record struct {
	mu       sync.Mutex
	messages []any
	controls []dht.SendControl // of all that was heard
	cancels  []uint64          // likewise
}

func (r *record) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages = append(r.messages, m)
		switch m := m.(type) {
		case dht.SendControl:
			r.controls = append(r.controls, m)
		case dht.CancelControl:
			r.cancels = append(r.cancels, m.ID)
		}
	}
}

// sends returns what was asked to be sent since the start.
func (r *record) sends() []dht.SendControl {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.controls)
}

// cancelled returns the sends that were cancelled since the start.
func (r *record) cancelled() []uint64 {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.cancels)
}

// take returns what was heard since the last call, in words.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, m := range r.messages {
		switch m := m.(type) {
		case dht.RelayHeard:
			all = append(all, fmt.Sprintf("%T", m.To))
			m.Credit.Discard()
		case dht.IgnoreHeard:
			all = append(all, "ignored")
			m.Credit.Discard()
		default:
			all = append(all, fmt.Sprintf("%T", m))
		}
	}
	r.messages = nil
	return strings.Join(all, ", ")
}

// held counts the credits of messages that have not gone back.
type held struct {
	mu sync.Mutex
	n  int
}

// lent is the credit of one message.
type lent struct {
	of   *held
	gone bool
}

func (h *held) take() *lent {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	return &lent{of: h}
}

func (l *lent) Finish() { l.Discard() }

func (l *lent) Discard() {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if !l.gone {
		l.gone = true
		l.of.n--
	}
}

func (l *lent) Keep() func()              { return l.Discard }
func (l *lent) Refuse()                   { l.Discard() }
func (l *lent) Source() supervisor.Source { return nil }

func (l *lent) HandOver() dht.HeardCredit {
	next := l.of.take()
	l.Discard()
	return next
}

func (l *lent) Split(lengths ...int) []dht.HeardCredit {
	all := make([]dht.HeardCredit, len(lengths))
	for i := range all {
		all[i] = l.of.take()
	}
	l.Discard()
	return all
}

// bench is a real keeper among fakes.
type bench struct {
	t       *testing.T
	node    trunk.Node
	part    *safpart.Saf
	source  *record // the inbound actor
	sender  *record
	credit  held
	random  *rand.ChaCha8
	inbound *actor.PID
	broken  atomic.Bool // the keeper panics at a Purge
	moving  atomic.Bool // all peers take bytes all the time
	peers   *peerstore.Store
	stop    func()
}

func newBench(t *testing.T, db kv.DB, options ...func(*trunk.Settings)) *bench {
	t.Helper()
	return newLimitedBench(t, db, saf.Default(), options...)
}

func newLimitedBench(t *testing.T, db kv.DB, limits saf.Limits, options ...func(*trunk.Settings)) *bench {
	t.Helper()
	b := &bench{t: t, source: new(record), sender: new(record), random: rand.NewChaCha8([32]byte{1})}
	secret := b.secret()
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{Self: secret.NodeID(), TestAddresses: true})
	if err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	settings := trunk.Settings{
		Base:     base.Settings{System: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })), Root: "bench", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Features: identity.FeatureNode, Now: time.Now, Wall: time.Now, Logger: discard},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: credit.DefaultNode, PeerCredit: credit.DefaultPeer, DHT: true},
	}
	for _, o := range options {
		o(&settings)
	}
	b.node = trunk.NewNode(settings)
	if b.part, err = safpart.New(b.node.Trunk, safpart.Settings{Limits: limits, Neighbours: 8, DB: db, Dedup: dht.NewDedup(100)}); err != nil {
		t.Fatal(err)
	}
	b.part.SetMoved(func(identity.NodeID) (at time.Time) {
		if b.moving.Load() {
			at = time.Now()
		}
		return at
	})
	fake := func(name string, r *record) supervisor.Spec {
		return supervisor.Spec{Name: name, Kind: name, New: func() actor.Actor { return r }}
	}
	group := func(name string, specs ...supervisor.Spec) supervisor.Spec {
		return supervisor.Spec{Name: name, Kind: "group", New: supervisor.Group(specs...), Drains: name != "fakes"}
	}
	root, err := supervisor.Start(b.node.System(), b.node.Root(), group("node",
		fake("connectivity", new(record)), group("fakes", fake("inbound", b.source), fake("sender", b.sender)), group("saf", b.part.Part().Actors...),
	), supervisor.Options{Logger: discard, Fault: func(path, point string) {
		if strings.HasSuffix(path, "saf/keeper") && point == "safpart.Purge" && b.broken.Load() {
			panic("injected")
		}
		if disk, ok := db.(*failing); ok && disk.slow != nil && point == "task load" {
			<-disk.slow
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.inbound = b.node.Trunk.PID("fakes/inbound")
	b.node.Trunk.Provide(dht.Sender, b.node.Trunk.PID("fakes/sender"))
	b.stop = sync.OnceFunc(func() {
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		b.source.take()
		time.Sleep(2 * time.Second)
		b.credit.mu.Lock()
		defer b.credit.mu.Unlock()
		if b.credit.n != 0 {
			t.Errorf("got the credit of %d messages held at the end, want none", b.credit.n)
		}
	})
	b.peers = store
	return b
}

func (b *bench) secret() *identity.Secret {
	s, err := identity.NewSecret(b.random)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// sealed returns a message for somebody else.
func (b *bench) sealed(to identity.PublicKey) wire.Envelope { return b.sealedBody(to, []byte("later")) }

func (b *bench) sealedBody(to identity.PublicKey, body []byte) wire.Envelope {
	b.t.Helper()
	e, err := wire.Compose(wire.Draft{
		Destination: wire.To(to), EncryptFor: to, Expires: uint64(time.Now().Add(time.Hour).Unix()),
		Body: wire.AppendBody(nil, wire.DomainHeader{Type: 1001}.Append(nil), body),
	}, b.secret(), b.random)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// offer offers a message to the keeper, and returns how it was relayed.
func (b *bench) offer(e wire.Envelope) string {
	exclude := []identity.NodeID{{7}}
	to := e.Header.Destination.Key
	b.node.System().Root.RequestWithCustomSender(b.part.Keeper, dht.Offered{
		Heard: dht.Heard{Incoming: &dht.Incoming{
			Now: time.Now(), Wall: time.Now(), Source: identity.NodeID{7}, Envelope: e, Hash: e.DedupHash(), Sealed: true, Copies: 1,
		}, Credit: b.credit.take()},
		IfKept: dht.DirectOrClosest{To: to.NodeID(), Exclude: exclude, ConnectedOnly: true}, Otherwise: dht.Propagate{To: to, Exclude: exclude},
	}, b.inbound)
	synctest.Wait()
	return b.source.take()
}

// request sends a request of a peer, and returns what the keeper did about it.
func (b *bench) request(from identity.NodeID, part []byte) string {
	b.node.System().Root.RequestWithCustomSender(b.part.Keeper, dht.Heard{Incoming: &dht.Incoming{
		Now: time.Now(), Wall: time.Now(), Source: from, Parts: [][]byte{part}, Copies: 1,
	}, Credit: b.credit.take()}, b.inbound)
	synctest.Wait()
	return strings.Trim(b.source.take()+", "+b.sender.take(), ", ")
}

func (b *bench) state() safpart.ServerState {
	b.t.Helper()
	s, err := supervisor.Ask[safpart.ServerState](b.t.Context(), b.node.System(), b.part.Keeper, safpart.GetState{})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// TestKeeperOffered: a message that is stored goes to its destination or the closest nodes,
// one that may not be stored is propagated, and one that was stored before is not relayed
// again.
//
// conforms: dht 72, 73
func TestKeeperOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		e := b.sealed(b.secret().PublicKey())
		if got, want := b.offer(e), "dht.DirectOrClosest"; got != want {
			t.Errorf("stored: got %q, want %q", got, want)
		}
		if got := b.offer(e); got != "" {
			t.Errorf("stored before: got %q, want it relayed to nobody", got)
		}
		long := b.sealed(b.secret().PublicKey())
		long.Body = make([]byte, saf.Default().Message+1)
		if got, want := b.offer(long), "dht.Propagate"; got != want {
			t.Errorf("too long: got %q, want %q", got, want)
		}
		s := b.state()
		if s.Messages != 1 || s.Refused[saf.TooLong] != 1 || s.Refused[saf.AlreadyStored] != 1 || s.Unwritten != 0 {
			t.Errorf("got %+v, want one stored, one too long, one stored before", s)
		}
	})
}

// TestKeeperAnswers: a request is answered, a malformed one and one too many are ignored.
func TestKeeperAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		peer := b.secret().PublicKey().NodeID()
		if got, want := b.request(peer, []byte{0xff}), "ignored"; got != want {
			t.Errorf("malformed: got %q, want %q", got, want)
		}
		if got, want := b.request(peer, wire.StoredRequest{RequestID: 1}.Append(nil)), "dht.SendControl"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for n := range uint32(saf.PeerWaiting) {
			if got := b.request(peer, wire.StoredRequest{RequestID: 2 + n}.Append(nil)); got != "" {
				t.Errorf("while the first is under way: got %q, want nothing yet", got)
			}
		}
		if got, want := b.request(peer, wire.StoredRequest{RequestID: 100}.Append(nil)), "ignored"; got != want {
			t.Errorf("one too many: got %q, want %q", got, want)
		}
		if s := b.state(); s.Answers != 1 || s.Requests.UnderWay != 1 {
			t.Errorf("got %+v, want one under way", s)
		}
	})
}

// crash ends the keeper's incarnation with a panic.
func (b *bench) crash() {
	b.broken.Store(true)
	b.node.System().Root.Send(b.part.Keeper, safpart.Purge{})
	synctest.Wait()
	b.broken.Store(false)
}

// failing is a disk that refuses writes while it is broken, and to read messages while it is
// not readable. If slow is not nil, messages are read when it is closed. If writing is not nil,
// writes begin when it is closed. If free is not 0, so many bytes are free.
type failing struct {
	kv.DB
	free       atomic.Uint64
	mu         sync.Mutex
	broken     bool
	unreadable bool
	slow       chan struct{}
	writing    chan struct{}
}

func (f *failing) set(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

func (f *failing) Client() kv.Client { return failingClient{f.DB.Client(), f} }

type failingClient struct {
	kv.Client
	of *failing
}

var (
	errFull = errors.New("no space left on device")
	errBad  = errors.New("input/output error")
)

func (f failingClient) Apply(b *kv.Batch, sync bool) error {
	if f.of.writing != nil {
		<-f.of.writing
	}
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if f.of.broken {
		return errFull
	}
	return f.Client.Apply(b, sync)
}

func (f failingClient) Free() (uint64, error) {
	if free := f.of.free.Load(); free > 0 {
		return free, nil
	}
	return 0, errors.ErrUnsupported
}

func (f failingClient) Scan(prefix []byte) (iter.Seq2[[]byte, []byte], func() error) {
	f.of.mu.Lock()
	unreadable := f.of.unreadable
	f.of.mu.Unlock()
	if unreadable && string(prefix) != "sw" { // watermarks
		return func(func([]byte, []byte) bool) {}, func() error { return errBad }
	}
	return f.Client.Scan(prefix)
}

// TestKeeperWithoutDisk: what a full disk does not take is not stored, further messages are
// relayed only, and when the disk has room again they are stored.
func TestKeeperWithoutDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{DB: kv.Memory()}
		b := newBench(t, disk)
		time.Sleep(time.Second)
		disk.set(true)
		b.offer(b.sealed(b.secret().PublicKey()))
		if s := b.state(); s.Messages != 0 || !errors.Is(s.Err, errFull) {
			t.Errorf("got %+v, want nothing stored, and why", s)
		}
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.Propagate"; got != want {
			t.Errorf("while the disk fails: got %q, want %q", got, want)
		}
		disk.set(false)
		time.Sleep(time.Minute)
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.DirectOrClosest"; got != want {
			t.Errorf("afterwards: got %q, want %q", got, want)
		}
		if s := b.state(); s.Messages != 1 || s.Late != 1 || s.Err != nil {
			t.Errorf("got %+v, want one stored", s)
		}
	})
}

// TestKeeperLowSpace: messages are not stored while the disk has little space left, but
// deleted at once, and they are stored when there is space again.
func TestKeeperLowSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{DB: kv.Memory()}
		b := newBench(t, disk)
		time.Sleep(time.Second)
		b.offer(b.sealed(b.secret().PublicKey()))
		disk.free.Store(store.MinFree - 1)
		b.offer(b.sealed(b.secret().PublicKey()))
		if s := b.state(); s.Messages != 1 || !errors.Is(s.Err, store.ErrLowSpace) || !errors.Is(b.part.Trouble().Err, store.ErrLowSpace) {
			t.Errorf("got %+v, want the first message stored alone, and why", s)
		}
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.Propagate"; got != want {
			t.Errorf("with little space: got %q, want %q", got, want)
		}
		began := time.Now()
		reply, err := b.node.System().Root.RequestFuture(b.part.Keeper, safpart.Purge{All: true}, time.Hour).Result()
		if p, ok := reply.(safpart.Purged); err != nil || !ok || p.Err != nil || p.Messages != 1 || time.Since(began) > 0 {
			t.Errorf("got %+v and %v after %v, want one message deleted at once", reply, err, time.Since(began))
		}
		disk.free.Store(store.MinFree)
		time.Sleep(time.Minute)
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.DirectOrClosest"; got != want {
			t.Errorf("afterwards: got %q, want %q", got, want)
		}
		if s := b.state(); s.Messages != 1 || s.Err != nil {
			t.Errorf("got %+v, want one stored", s)
		}
	})
}

// TestKeeperSpaceFoundByAPurge: after low space, the write of a purge may be the first that finds
// room. From then on a message that counts as stored is written at once: a kill loses nothing.
func TestKeeperSpaceFoundByAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{DB: kv.Memory()}
		b := newBench(t, disk)
		time.Sleep(time.Second)
		disk.free.Store(store.MinFree - 1)
		b.offer(b.sealed(b.secret().PublicKey()))
		time.Sleep(5 * time.Minute) // the pause until the next try has grown to a minute
		disk.free.Store(store.MinFree)
		b.node.System().Root.Send(b.part.Keeper, safpart.Purge{All: true})
		synctest.Wait()
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.DirectOrClosest"; got != want {
			t.Errorf("with space again: got %q, want %q", got, want)
		}
		if s := b.state(); s.Messages != 1 || s.Unwritten != 0 {
			t.Errorf("got %d messages, %d bytes unwritten, want one, written", s.Messages, s.Unwritten)
		}
		second := newBench(t, disk)
		synctest.Wait()
		if s := second.state(); s.Messages != 1 {
			t.Errorf("got %d messages on the disk, want the one that counts as stored", s.Messages)
		}
	})
}

// TestKeeperKeepsWhatWasEvictedForNothing: a message that would make way for one that the disk does
// not take stays, in memory and on the disk, and makes way once there is room for the new one.
func TestKeeperKeepsWhatWasEvictedForNothing(t *testing.T) {
	for name, fail := range map[string]func(d *failing, fails bool){
		"low space": func(d *failing, fails bool) {
			d.free.Store(store.MinFree)
			if fails {
				d.free.Store(store.MinFree - 1)
			}
		},
		"failed": (*failing).set,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &failing{DB: kv.Memory()}
				limits := saf.Default()
				limits.Messages = 2
				b := newLimitedBench(t, disk, limits)
				time.Sleep(time.Second)
				receivers := []identity.PublicKey{b.secret().PublicKey(), b.secret().PublicKey(), b.secret().PublicKey()}
				has := func(when string, want ...int) {
					t.Helper()
					synctest.Wait()
					second := newLimitedBench(t, disk, limits)
					synctest.Wait()
					for where, b := range map[string]*bench{"memory": b, "the disk": second} {
						var got []int
						for i, r := range receivers {
							if slices.ContainsFunc(b.state().Most, func(s saf.Share) bool { return s.ID == r.NodeID() }) {
								got = append(got, i)
							}
						}
						if !slices.Equal(got, want) {
							t.Errorf("%s: got the messages for receivers %v in %s, want %v", when, got, where, want)
						}
					}
				}
				b.offer(b.sealed(receivers[0]))
				b.offer(b.sealed(receivers[1]))
				fail(disk, true)
				b.offer(b.sealed(receivers[2]))
				has("not taken", 0, 1)
				fail(disk, false)
				time.Sleep(time.Minute)
				has("with room again", 0, 1)
				b.offer(b.sealed(receivers[2]))
				has("taken", 1, 2)
				if s := b.state(); s.Evicted != 1 {
					t.Errorf("got %d that made way, want the first alone", s.Evicted)
				}
			})
		})
	}
}

// TestKeeperKeepsWhatComesAgain: a message has made way for one that is being written, and is offered again meanwhile.
// The disk takes neither the one nor the other copy. The message stays, in memory and on the disk.
func TestKeeperKeepsWhatComesAgain(t *testing.T) {
	for name, fail := range map[string]func(d *failing){
		"low space": func(d *failing) {
			d.free.Store(store.MinFree - 1)
			d.set(false)
		},
		"failed": func(*failing) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &failing{DB: kv.Memory(), writing: make(chan struct{})}
				limits := saf.Default()
				limits.Messages = 1
				b := newLimitedBench(t, disk, limits)
				time.Sleep(time.Second)
				close(disk.writing)
				m := b.sealed(b.secret().PublicKey())
				b.offer(m)
				disk.writing = make(chan struct{})
				disk.set(true)
				b.offer(b.sealed(b.secret().PublicKey()))
				if got, want := b.offer(m), "dht.DirectOrClosest"; got != want {
					t.Fatalf("got %q, want %q: it has made way", got, want)
				}
				close(disk.writing)
				synctest.Wait()
				fail(disk)
				time.Sleep(5 * time.Minute)
				disk.set(false)
				disk.free.Store(store.MinFree)
				time.Sleep(5 * time.Minute)
				second := newLimitedBench(t, disk, limits)
				synctest.Wait()
				if here, there := b.state(), second.state(); here.Messages != 1 || there.Messages != 1 {
					t.Errorf("got %d messages, and %d on the disk, want one", here.Messages, there.Messages)
				}
				if got := b.offer(m); got != "" {
					t.Errorf("offered once more: got %q, want nothing, as it is stored", got)
				}
			})
		})
	}
}

// TestKeeperPurgesWhatWasEvicted: a purge also takes a message that has made way for one that is being
// written: it does not come back when that write fails.
func TestKeeperPurgesWhatWasEvicted(t *testing.T) {
	for _, all := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			disk := &failing{DB: kv.Memory(), writing: make(chan struct{})}
			limits := saf.Default()
			limits.Messages = 1
			b := newLimitedBench(t, disk, limits)
			time.Sleep(time.Second)
			to := b.secret().PublicKey()
			close(disk.writing)
			b.offer(b.sealed(to))
			disk.writing = make(chan struct{})
			disk.set(true)
			b.offer(b.sealed(b.secret().PublicKey()))
			if s := b.state(); s.Evicted != 1 || s.Unwritten == 0 {
				t.Fatalf("got %+v, want the first to make way for one that is being written", s)
			}
			b.node.System().Root.Send(b.part.Keeper, safpart.Purge{To: to.NodeID(), All: all})
			synctest.Wait()
			close(disk.writing)
			synctest.Wait()
			disk.set(false)
			time.Sleep(time.Minute)
			second := newLimitedBench(t, disk, limits)
			synctest.Wait()
			if here, there := b.state(), second.state(); here.Messages+there.Messages != 0 {
				t.Errorf("got %d messages, and %d on the disk, want none", here.Messages, there.Messages)
			}
		})
	}
}

// TestKeeperReadsAgain: a keeper that begins anew, on the same disk, has what was stored.
func TestKeeperReadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := kv.Memory()
		first := newBench(t, db)
		for range 3 {
			first.offer(first.sealed(first.secret().PublicKey()))
		}
		second := newBench(t, db)
		synctest.Wait()
		if s := second.state(); s.Messages != 3 || s.Loading || s.Damaged != 0 {
			t.Errorf("got %+v, want three", s)
		}
	})
}

// TestKeeperReached: a message that was relayed to its destination is deleted after the
// grace. What is said of other messages, or by another peer, changes nothing.
func TestKeeperReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		to := b.secret().PublicKey()
		e := b.sealed(to)
		b.offer(e)
		reached := func(h wire.Hash, by identity.NodeID) safpart.ServerState {
			b.node.System().Root.Send(b.part.Keeper, dht.Reached{Hash: h, Destination: by})
			synctest.Wait()
			return b.state()
		}
		reached(wire.Hash{1}, to.NodeID())
		if s := reached(e.DedupHash(), identity.NodeID{7}); s.Delivered != 0 || s.Confirmed != 0 {
			t.Errorf("another message, another peer: got %+v, want nothing confirmed", s)
		}
		if s := reached(e.DedupHash(), to.NodeID()); s.Delivered != 1 || s.Messages != 1 {
			t.Errorf("got %+v, want it delivered", s)
		}
		time.Sleep(saf.LeastGrace + 2*time.Second)
		if s := b.state(); s.Messages != 0 || s.Unwritten != 0 {
			t.Errorf("after the grace: got %+v, want it deleted", s)
		}
	})
}

// TestKeeperRegionOfVisitors: a client that was connected is in the region for 60 h, however
// small that is, across a restart, too.
//
// conforms: V 38
func TestKeeperRegionOfVisitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := kv.Memory()
		var visitor, stranger identity.PublicKey
		start := func(meets bool) *bench {
			b := newBench(t, db)
			for i := range 600 { // nodes that were reached
				p := peerstore.Peer{Key: b.secret().PublicKey(), Features: identity.FeatureNode}
				p.Addresses = []peerstore.Address{{Addr: ma.StringCast(fmt.Sprintf("/ip4/60.%d.%d.1/tcp/1", i/200, i%200)), LastSeen: time.Now()}}
				if _, err := b.peers.Add(time.Now(), p); err != nil {
					t.Fatal(err)
				}
			}
			self := b.node.Trunk.Secret().PublicKey().NodeID()
			var keys []identity.PublicKey
			for range 100 {
				keys = append(keys, b.secret().PublicKey())
			}
			slices.SortFunc(keys, func(a, b identity.PublicKey) int {
				return self.Distance(a.NodeID()).Cmp(self.Distance(b.NodeID()))
			})
			connected := func(peer identity.PublicKey) actors.PeerConnected {
				ref := &actors.ConnRef{ID: 1, Peer: peer.NodeID(), Key: peer, Direction: protocol.Inbound}
				return actors.PeerConnected{Peer: ref.Peer, Conn: ref}
			}
			for _, client := range keys[:8] {
				b.node.System().Root.Send(b.part.Keeper, connected(client))
			}
			if meets {
				visitor, stranger = keys[99], keys[98]
				m := connected(visitor)
				b.node.System().Root.Send(b.part.Keeper, m)
				synctest.Wait()
				b.node.System().Root.Send(b.part.Keeper, actors.PeerDisconnected{Peer: m.Peer, Conn: m.Conn})
			}
			time.Sleep(saf.RegionAge)
			b.offer(b.sealed(b.secret().PublicKey())) // has the region computed anew
			if s := b.state(); s.Region.Nodes != 600 || s.Region.Clients < 8 || s.Region.Part > 0.5 {
				t.Fatalf("got region %+v, want a small one", s.Region)
			}
			return b
		}
		stored := func(b *bench, to identity.PublicKey) bool { return b.offer(b.sealed(to)) == "dht.DirectOrClosest" }
		b := start(true)
		if !stored(b, visitor) || stored(b, stranger) {
			t.Error("got no message stored for the visitor, or one for a stranger who is as far away")
		}
		b.stop()
		b = start(false)
		if time.Sleep(59 * time.Hour); !stored(b, visitor) || stored(b, stranger) {
			t.Error("after a restart: got no message stored for the visitor, or one for a stranger")
		}
		if time.Sleep(2 * time.Hour); stored(b, visitor) {
			t.Error("after 61 h: got a message stored for the visitor")
		}
	})
}
