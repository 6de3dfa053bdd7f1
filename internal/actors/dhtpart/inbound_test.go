package dhtpart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// shard is one real inbound actor of the DHT among fakes, and a peer with its
// credit.
type shard struct {
	trunk.Node
	*dhtpart.DHT
	unlimited atomic.Bool // the peer may send what it likes
	t         *testing.T
	heard     map[string]*record // by name
	account   *credit.Account
	source    *identity.Secret // the peer's
	random    *rand.ChaCha8
	root      *supervisor.Root
}

const ourType = 1000

// lenient is a trunk on which a test decides who is unlimited.
type lenient struct {
	trunk.Trunk
	unlimited *atomic.Bool
}

func (l lenient) Unlimited(identity.NodeID) bool { return l.unlimited.Load() }

// shardSettings are those of the node and of its DHT.
type shardSettings struct {
	trunk.Settings
	DHT dhtpart.Settings
}

func newShard(t *testing.T, change func(*shardSettings)) *shard {
	t.Helper()
	s := &shard{t: t, heard: make(map[string]*record), random: rand.NewChaCha8([32]byte{1})}
	secret := s.secret()
	s.source = s.secret()
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{Self: secret.NodeID(), TestAddresses: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Add(time.Now(), peerstore.Peer{Key: s.source.PublicKey()}); err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	settings := shardSettings{trunk.Settings{
		Base:     base.Settings{System: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })), Root: "shard", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Features: identity.FeatureNode, Now: time.Now, Logger: discard},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: 1 << 22, PeerCredit: 1 << 16, DHT: true},
	}, dhtpart.Settings{Shards: 1, Occurrences: 1, FloodLimit: 1000, Dedup: dht.NewDedup(10_000)}}
	if change != nil {
		change(&settings)
	}
	s.Node = trunk.NewNode(settings.Settings)
	s.DHT = dhtpart.New(lenient{s.Trunk, &s.unlimited}, settings.DHT)
	s.account = credit.NewNodeBudgets(settings.Messages.NodeCredit).Inbound.Account(settings.Messages.PeerCredit)
	fakes := func(names ...string) (specs []supervisor.Spec) {
		for _, name := range names {
			heard := new(record)
			s.heard[name] = heard
			specs = append(specs, supervisor.Spec{Name: name, Kind: name, New: func() actor.Actor { return fake{heard} }})
		}
		return specs
	}
	group := func(name string, specs ...supervisor.Spec) supervisor.Spec {
		return supervisor.Spec{Name: name, Kind: "group", New: supervisor.Group(specs...)}
	}
	specs := append(fakes("connectivity"),
		group("dht", append(s.DHT.Inbounds(), fakes("outbound", "pinger", "join")...)...),
		group("extensions", fakes("type-1000", "type-1001")...))
	if s.root, err = supervisor.Start(s.System(), s.Root(), group("node", specs...), supervisor.Options{Logger: discard}); err != nil {
		t.Fatal(err)
	}
	s.SetType(ourType, s.pid("extensions/type-1000"))
	s.Trunk.Provide(dht.ProviderOf(wire.TypeJoin), s.pid("dht/join"))
	t.Cleanup(func() {
		if err := s.root.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		s.wantNoCredit()
	})
	return s
}

func (s *shard) pid(path string) *actor.PID { return s.System().NewLocalPID("shard/node/" + path) }

func (s *shard) secret() *identity.Secret {
	secret, err := identity.NewSecret(s.random)
	if err != nil {
		s.t.Fatal(err)
	}
	return secret
}

// compose is a message of somebody else for a type; change may be nil.
func (s *shard) compose(kind int32, body string, change func(*wire.Draft)) wire.Envelope {
	s.t.Helper()
	d := wire.Draft{
		Body:    wire.AppendBody(nil, wire.DomainHeader{Type: kind}.Append(nil), []byte(body)),
		Expires: uint64(time.Now().Add(time.Hour).Unix()), Tag: 9,
	}
	if change != nil {
		change(&d)
	}
	e, err := wire.Compose(d, s.secret(), s.random)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// sealed has a draft sealed for somebody.
func sealed(key identity.PublicKey) func(*wire.Draft) {
	return func(d *wire.Draft) { d.Destination, d.EncryptFor = wire.To(key), key }
}

func signed(d *wire.Draft) { d.Sign = true }

// post has the peer send messages, and waits until everybody is idle.
func (s *shard) post(bodies ...[]byte) {
	for _, b := range bodies {
		f := dhtpart.NewFrame(s.account, s.source.PublicKey(), 7, b)
		s.System().Root.Send(s.Inbound(f.Peer), f)
	}
	synctest.Wait()
}

// counted says how messages have ended.
func (s *shard) counted() string {
	var parts []string
	for _, n := range s.Counts() {
		parts = append(parts, fmt.Sprintf("%d %s", n.Count, n.Reason))
	}
	return strings.Join(parts, ", ")
}

// effects says what others have heard, in words.
func (s *shard) effects() string {
	var all []string
	for _, name := range []string{"connectivity", "outbound", "join", "type-1000", "type-1001"} {
		s.heard[name].mu.Lock()
		for _, m := range s.heard[name].messages {
			switch m := m.(type) {
			case base.PeerViolated:
				var v *protocol.Violation
				if !errors.As(m.Err, &v) || m.Peer != s.source.NodeID() || m.Key != s.source.PublicKey() || m.Conn != 7 {
					s.t.Errorf("got %+v, want a violation of the peer, on its connection", m)
					continue
				}
				all = append(all, fmt.Sprintf("ban of %v", v.Ban))
			case dhtpart.RelayMessage:
				if m.Origin != (actors.Origin{Peer: s.source.NodeID(), Conn: 7}) {
					s.t.Errorf("got a message to relay from %v, want that of the peer", m.Origin)
				}
				all = append(all, fmt.Sprintf("relay, %T", m.To))
			case dht.Heard:
				all = append(all, "join: "+m.Envelope.Header.Type.String())
			case dht.Received:
				all = append(all, fmt.Sprintf("%s: %s", name, m.Body))
			default:
				all = append(all, fmt.Sprintf("%s: %T", name, m))
			}
		}
		s.heard[name].mu.Unlock()
	}
	return strings.Join(all, "; ")
}

// TestRefusedMessageComesAgain: of a message that its handler had no room for, a later copy is
// delivered, and of that one no further copy.
func TestRefusedMessageComesAgain(t *testing.T) {
	for name, change := range map[string]func(s *shard) func(*wire.Draft){
		"clear":         func(*shard) func(*wire.Draft) { return nil },
		"sealed for us": func(s *shard) func(*wire.Draft) { return sealed(s.Node.Key()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, nil)
				e := s.compose(ourType, "hello", change(s))
				body := e.Append(nil)
				defer s.keeping()()
				s.post(body)
				s.heard["type-1000"].messages[0].(dht.Received).Refuse()
				s.post(body, body)
				if got, want := s.counted(), "2 delivered, 1 duplicate"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if got, want := s.effects(), "type-1000: hello; type-1000: hello"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

// TestRefusedCopyIsNotForgotten: when further copies of a message are let through, refusing one
// of those does not let through more than the configured number.
func TestRefusedCopyIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, func(s *shardSettings) { s.DHT.Occurrences = 2 })
		e := s.compose(ourType, "hello", nil)
		body := e.Append(nil)
		defer s.keeping()()
		s.post(body, body)
		s.heard["type-1000"].messages[1].(dht.Received).Refuse()
		s.post(body)
		if got, want := s.counted(), "2 delivered, 1 duplicate"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestDHTInbound sends the real actor one message for every way in which one can
// end, and looks at what it does about it: nothing else is sent, and nobody
// holds its credit afterwards.
//
// conforms: dht 35, 36, 39-44, 47-49, 68-70, 136, 137
func TestDHTInbound(t *testing.T) {
	type row struct {
		name   string
		change func(*shardSettings)
		send   func(s *shard) [][]byte
		want   dht.Reason // of the last message; those before it are delivered
		effect string
	}
	one := func(e func(s *shard) wire.Envelope) func(s *shard) [][]byte {
		return func(s *shard) [][]byte {
			envelope := e(s)
			return [][]byte{envelope.Append(nil)}
		}
	}
	plain := func(change func(*wire.Draft)) func(s *shard) [][]byte {
		return one(func(s *shard) wire.Envelope { return s.compose(ourType, "hello", change) })
	}
	typed := func(t wire.MessageType) func(*wire.Draft) {
		return func(d *wire.Draft) { d.Type, d.Sign = t, true }
	}
	toUs := func(change func(*wire.Envelope)) func(s *shard) [][]byte {
		return one(func(s *shard) wire.Envelope {
			e := s.compose(ourType, "secret", sealed(s.Node.Key()))
			if change != nil {
				change(&e)
			}
			return e
		})
	}
	client := func(s *shardSettings) { s.Base.Features = identity.FeatureNone }
	rows := []row{
		{name: "clear", send: plain(nil), want: dht.Delivered, effect: "type-1000: hello"},
		{name: "clear, addressed to somebody else", send: one(func(s *shard) wire.Envelope {
			return s.compose(ourType, "hello", func(d *wire.Draft) { d.Destination = wire.To(s.secret().PublicKey()) })
		}), want: dht.Delivered, effect: "type-1000: hello"},
		{name: "signed", send: plain(signed), want: dht.Delivered, effect: "type-1000: hello"},
		{name: "sealed for us", send: toUs(nil), want: dht.Delivered, effect: "type-1000: secret"},
		{name: "no handler", send: one(func(s *shard) wire.Envelope { return s.compose(4711, "hello", nil) }), want: dht.NoHandler},
		{name: "handler failed", send: one(func(s *shard) wire.Envelope {
			s.SetType(ourType, nil)
			return s.compose(ourType, "hello", nil)
		}), want: dht.HandlerFailed},
		{name: "join", send: plain(typed(wire.TypeJoin)), want: dht.Handled, effect: "join: join"},
		{name: "discovery, no part for it", send: plain(typed(wire.TypeDiscovery)), want: dht.NoPart},
		{name: "request to a client", change: client, send: plain(typed(wire.TypeStoredRequest)), want: dht.NoStore},
		{name: "for somebody else", send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.secret().PublicKey()))
		}), want: dht.ForOthers, effect: "relay, dht.Propagate"},
		{name: "for somebody else, to a client", change: client, send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.secret().PublicKey()))
		}), want: dht.ForOthers},
		{name: "for somebody else, not forwarding", change: func(s *shardSettings) { s.DHT.NoForwarding = true }, send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.secret().PublicKey()))
		}), want: dht.ForOthers},
		{name: "for somebody else, too many bytes", change: func(s *shardSettings) { s.DHT.RelayBytes = 1 }, send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.secret().PublicKey()))
		}), want: dht.OverRelayBytes},
		{name: "for its sender, not forwarding", change: func(s *shardSettings) { s.DHT.NoForwarding = true }, send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.source.PublicKey()))
		}), want: dht.ReturnedToOwner},
		{name: "for its sender", send: one(func(s *shard) wire.Envelope {
			return s.compose(1, "", sealed(s.source.PublicKey()))
		}), want: dht.ReturnedToOwner, effect: "ban of 10m0s"},
		{name: "empty", send: func(*shard) [][]byte { return [][]byte{nil} }, want: dht.Undecodable},
		{name: "no envelope", send: func(*shard) [][]byte { return [][]byte{[]byte("hello")} }, want: dht.Undecodable},
		{name: "unknown source", send: func(s *shard) [][]byte {
			s.source = s.secret()
			return plain(nil)(s)
		}, want: dht.UnknownSource},
		{name: "expired", send: plain(func(d *wire.Draft) { d.Expires = 1 }), want: dht.Expired},
		{name: "encrypted without body", send: toUs(func(e *wire.Envelope) { e.Body = nil }), want: dht.BadSemantics, effect: "ban of 2h0m0s"},
		{name: "duplicate", send: func(s *shard) [][]byte {
			b := plain(nil)(s)[0]
			return [][]byte{b, b}
		}, want: dht.Duplicate, effect: "type-1000: hello"},
		{name: "copy of a message for one", change: func(s *shardSettings) { s.DHT.Occurrences = 2 }, send: func(s *shard) [][]byte {
			b := toUs(nil)(s)[0]
			return [][]byte{b, b}
		}, want: dht.NotRepeated, effect: "type-1000: secret"},
		{name: "bad signature", send: toUs(func(e *wire.Envelope) { e.Body[0] ^= 1 }), want: dht.BadSignature, effect: "ban of 2h0m0s"},
		{name: "undecryptable", send: one(func(s *shard) wire.Envelope {
			e := s.compose(1, "", sealed(s.secret().PublicKey()))
			e.Header.Destination = wire.To(s.Node.Key())
			sig, err := wire.Sign(s.secret(), e.Binding(), s.random)
			if err != nil {
				t.Fatal(err)
			}
			e.Header.Signature = sig.Append(nil)
			return e
		}), want: dht.Undecryptable},
		{name: "bad body", send: plain(func(d *wire.Draft) { d.Body = wire.AppendBody(nil, nil) }), want: dht.BadBody},
		{name: "stopped", change: func(s *shardSettings) {
			s.DHT.Layers = map[dht.Position][]dht.Layer{dht.BeforeDeliver: {func(dht.Handler) dht.Handler {
				return func(*dht.Incoming) dht.Verdict {
					return dht.Verdict{Reason: dht.Stopped, Err: errors.New("not today")}
				}
			}}}
		}, send: plain(nil), want: dht.Stopped},
		{name: "a layer panics", change: func(s *shardSettings) {
			s.DHT.Layers = map[dht.Position][]dht.Layer{dht.BeforeVerify: {func(dht.Handler) dht.Handler {
				return func(*dht.Incoming) dht.Verdict { panic("not today") }
			}}}
		}, send: plain(nil), want: dht.Panicked},
	}
	missing := slices.DeleteFunc(dht.Reasons(), func(r dht.Reason) bool {
		return r == dht.HandlerStuck || r == dht.OverControls || r == dht.RelayedAgain || r == dht.RelaysStuck || slices.ContainsFunc(rows, func(x row) bool { return x.want == r })
	})
	if len(missing) > 0 {
		t.Errorf("no row for %v", missing)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, r.change)
				bodies := r.send(s)
				s.post(bodies...)
				want := fmt.Sprintf("1 %s", r.want)
				if len(bodies) > 1 {
					want = fmt.Sprintf("1 %s, 1 %s", dht.Delivered, r.want)
				}
				if got := s.counted(); got != want {
					t.Errorf("got counted %q, want %q", got, want)
				}
				if got := s.effects(); got != r.effect {
					t.Errorf("got %q, want %q", got, r.effect)
				}
				for _, n := range s.Counts() {
					if blank := n.Last == nil; n.Reason == r.want && blank != quiet(r.want) {
						t.Errorf("got the last error %+v", n.Last)
					}
				}
				for _, m := range s.relays() {
					m.End()
				}
				s.wantNoCredit()
			})
		})
	}
}

// wantNoCredit checks that the peer's credit has gone back.
func (s *shard) wantNoCredit() {
	s.t.Helper()
	if used := s.account.Used(); used != 0 {
		s.t.Errorf("got %d bytes of credit held, want none", used)
	}
}

// join returns a Join of the peer's making.
func (s *shard) join() wire.Envelope {
	return s.compose(0, "", func(d *wire.Draft) { d.Type, d.Sign, d.Body = wire.TypeJoin, true, wire.AppendBody(nil, []byte("me")) })
}

// wantRelayed checks that a relayed message has the bytes of the received one.
func wantRelayed(t *testing.T, m dhtpart.RelayMessage, received wire.Envelope) {
	t.Helper()
	if m.Hash != received.DedupHash() || string(m.Envelope.Append(nil)) != string(received.Append(nil)) {
		t.Error("the relayed message is not the received one")
	}
}

// relays are the messages that outbound has heard.
func (s *shard) relays() (all []dhtpart.RelayMessage) {
	r := s.heard["outbound"]
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		all = append(all, m.(dhtpart.RelayMessage))
	}
	return all
}

// TestDHTRelaysHoldHalf has a peer send much for others, none of which ends: half
// of its credit is with outbound, the rest waits, and after 10 s as much is
// dropped as what is for us needs. A later copy of what was dropped is relayed,
// when it is genuine.
//
// conforms: dht 31, 40, 45; V 13
func TestDHTRelaysHoldHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, func(o *shardSettings) { o.DHT.Unreached = dht.NewUnreached() })
		var all []wire.Envelope
		for range 10 { // 6,462 bytes each, of 65,536
			all = append(all, s.compose(1, "", sealed(s.secret().PublicKey())))
		}
		for _, e := range all {
			s.post(e.Append(nil))
		}
		if n := len(s.relays()); n != 5 {
			t.Errorf("got %d with outbound, want 5: half of the credit", n)
		}
		if got := s.line(); !strings.Contains(got, "5 wait to be relayed") {
			t.Errorf("got %q, want 5 waiting", got)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if n := s.Missed(); n != 0 {
			t.Errorf("after 9 s: got %d dropped, want none", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got, want := s.counted(), "10 for somebody else, 3 for somebody else, not relayed"; got != want {
			t.Errorf("after 11 s: got %s, want %s", got, want)
		}
		if n := s.Missed(); n != 3 {
			t.Errorf("got %d remembered, want the 3 that were dropped", n)
		}
		ours := s.compose(ourType, "for us", nil)
		s.post(ours.Append(nil))
		more := s.compose(1, "", sealed(s.secret().PublicKey()))
		s.post(more.Append(nil))
		if got, want := s.counted(), "1 delivered, 10 for somebody else, 4 for somebody else, not relayed"; got != want {
			t.Errorf("while nothing ends: got %s, want %s", got, want)
		}
		for _, m := range s.relays() {
			m.End()
		}
		synctest.Wait()
		if n := len(s.relays()); n != 7 {
			t.Errorf("got %d with outbound once the first have ended, want the 2 that waited too", n)
		}

		tampered := all[9]
		tampered.Header.Expires++ // which is not in the hash
		s.post(tampered.Append(nil))
		known, last := all[0], all[9]
		s.post(known.Append(nil), last.Append(nil))
		if got, want := s.counted(), "1 delivered, 10 for somebody else, 1 duplicate, 1 bad signature, 1 for somebody else, to missed peers, 4 for somebody else, not relayed"; got != want {
			t.Errorf("later copies: got %s, want %s", got, want)
		}
		relays := s.relays()
		if m := relays[len(relays)-1]; len(relays) != 8 || !m.Again || m.Hash != last.DedupHash() {
			t.Errorf("got %d with outbound, again %v, want the later copy", len(relays), m.Again)
		}
		for _, m := range relays {
			m.End()
		}
		s.wantNoCredit()
	})
}

// quiet are the ends that nothing is wrong with, or that say all by themselves.
func quiet(r dht.Reason) bool {
	switch r {
	case dht.Delivered, dht.Handled, dht.ForOthers, dht.NoStore, dht.NoPart, dht.UnknownSource, dht.Expired, dht.Duplicate, dht.NotRepeated:
		return true
	}
	return false
}

// TestDHTReceived looks at all that a handler hears of a message.
func TestDHTReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		e := s.compose(ourType, "hello", signed)
		signer, err := e.VerifyOrigin()
		if err != nil {
			t.Fatal(err)
		}
		s.post(e.Append(nil))
		e = s.compose(ourType, "secret", sealed(s.Node.Key()))
		s.post(e.Append(nil))
		all := s.heard["type-1000"].messages
		if len(all) != 2 {
			t.Fatalf("got %d messages, want 2", len(all))
		}
		m := all[0].(dht.Received)
		m.Credit = nil
		want := dht.Received{From: signer, Peer: s.source.NodeID(), Conn: 7, Tag: 9, Type: ourType, Body: []byte("hello"), Copies: 1, Expires: e.Header.Expires}
		if !bytes.Equal(m.Body, want.Body) || fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v, want %+v", m, want)
		}
		if m := all[1].(dht.Received); !m.Encrypted || m.From.IsZero() || m.Destination != s.Node.Key() || m.Source() != (actors.Origin{Peer: s.source.NodeID(), Conn: 7}) {
			t.Errorf("got %+v, want it encrypted, for us, of a known writer, charged to the peer", m)
		}
	})
}

// keeper is a handler that keeps the credit of what it hears.
type keeper struct {
	heard   *record
	release *[]func()
}

func (k keeper) Receive(c actor.Context) {
	if m, ok := c.Message().(dht.Received); ok {
		*k.release = append(*k.release, m.Keep())
		fake{k.heard}.Receive(c)
	}
}

// keeping has the messages of our type go to a handler that keeps their credit until end.
func (s *shard) keeping() (end func()) {
	var all []func()
	s.SetType(ourType, s.spawn("keeper", keeper{s.heard["type-1000"], &all}))
	return func() {
		for _, release := range all {
			release()
		}
	}
}

// TestDHTHandlerStuck has a handler hold on to what it is given. It gets half of
// the peer's credit; the rest waits for ten seconds, and is dropped then. Other
// types go on all the time, and once the handler has finished something it is
// given more.
//
// conforms: V 13
func TestDHTHandlerStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		var release []func()
		kept := new(record)
		s.SetType(4, s.spawn("keeper", keeper{kept, &release}))
		s.SetType(ourType+1, s.pid("extensions/type-1001"))
		const size = 4000 // 15 of them are the peer's credit of 64 KiB
		n := 0
		big := func() string { // no two are alike
			n++
			return fmt.Sprint(n, strings.Repeat(".", size))
		}
		for range 12 {
			e := s.compose(4, big(), nil)
			s.post(e.Append(nil))
		}
		e := s.compose(ourType+1, "another", nil)
		s.post(e.Append(nil))
		if got, want := s.counted(), "8 delivered"; got != want {
			t.Errorf("got %s, want %s: seven of the stuck handler's and that of another type", got, want)
		}
		if got := s.line(); !strings.Contains(got, "5 wait for their handlers") {
			t.Errorf("got %q, want five waiting", got)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got, want := s.counted(), "8 delivered"; got != want {
			t.Errorf("after 9 s: got %s, want %s", got, want)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got, want := s.counted(), "8 delivered, 5 handler stuck"; got != want {
			t.Errorf("after 11 s: got %s, want %s", got, want)
		}
		if used, half := s.account.Used(), s.account.Limit()/2; used > half {
			t.Errorf("got %d bytes held of a stuck handler, want at most %d", used, half)
		}
		for i := range 3 {
			e = s.compose(4, big(), nil)
			s.post(e.Append(nil))
			e = s.compose(ourType+1, fmt.Sprint("go on ", i), nil)
			s.post(e.Append(nil))
		}
		if got, want := s.counted(), "11 delivered, 8 handler stuck"; got != want {
			t.Errorf("while stuck: got %s, want %s", got, want)
		}
		if got := s.line(); !strings.Contains(got, "the handler of type 4 is stuck") {
			t.Errorf("got %q, want the stuck handler named", got)
		}
		release[0]()
		release[0]()
		e = s.compose(4, big(), nil)
		s.post(e.Append(nil))
		e = s.compose(4, "the next", nil)
		s.post(e.Append(nil))
		for i := range release {
			release[i]()
		}
		synctest.Wait()
		if got, want := s.counted(), "13 delivered, 8 handler stuck"; got != want {
			t.Errorf("after it: got %s, want %s", got, want)
		}
		last := kept.messages[len(kept.messages)-1].(dht.Received)
		if string(last.Body) != "the next" {
			t.Errorf("got %.20q at last, want the last one", last.Body)
		}
		for _, r := range release {
			r()
		}
	})
}

// spawn adds an actor to the extensions.
func (s *shard) spawn(name string, a actor.Actor) *actor.PID {
	s.t.Helper()
	r, err := supervisor.Ask[supervisor.Attached](s.t.Context(), s.System(), s.pid("extensions"),
		supervisor.Attach{Spec: supervisor.Spec{Name: name, Kind: name, New: func() actor.Actor { return a }}})
	if err != nil || r.Err != nil {
		s.t.Fatal(err, r.Err)
	}
	return r.PID
}

// line is what the real actor says of itself.
func (s *shard) line() string {
	s.t.Helper()
	d, err := s.root.Inspect(s.t.Context(), "shard/node/dht/inbound-0")
	if err != nil {
		s.t.Fatal(err)
	}
	return d.Line
}

// breaker is a message that makes the actor that gets it fail.
type breaker struct{}

// GetAutoResponse is called when Receive has returned.
func (*breaker) GetAutoResponse(actor.Context) any { panic("on request") }

// TestDHTWaitingAtTheEnd has messages wait for a handler that goes away, for one
// that another takes the place of, and while the inbound actor stops or fails:
// their credit goes back, and nothing of them is held against a handler.
func TestDHTWaitingAtTheEnd(t *testing.T) {
	inbound := "dht/inbound-0"
	for name, c := range map[string]struct {
		end  func(s *shard)
		want string
	}{
		"withdrawn": {func(s *shard) { s.Types.Delete(4) }, "7 delivered, 5 no handler"},
		"replaced":  {func(s *shard) { s.SetType(4, s.pid("extensions/type-1000")) }, "12 delivered"},
		"stopped":   {func(s *shard) { s.root.Stop(context.Background(), nil) }, "7 delivered"},
		"failed":    {func(s *shard) { s.System().Root.Send(s.pid(inbound), new(breaker)) }, "7 delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, nil)
				var release []func()
				s.SetType(4, s.spawn("keeper", keeper{new(record), &release}))
				first, _ := s.Types.Get(4)
				for i := range 12 {
					e := s.compose(4, fmt.Sprint(i, strings.Repeat(".", 4000)), nil)
					s.post(e.Append(nil))
				}
				c.end(s)
				synctest.Wait()
				for _, r := range release {
					r()
				}
				synctest.Wait()
				if got := s.counted(); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				if n := first.Holding(); n != 0 {
					t.Errorf("got %d messages held against the handler, want none", n)
				}
			})
		})
	}
}

// TestDHTPanicInALayer ends one message: nobody is charged, and the next message is
// handled by the same incarnation.
func TestDHTPanicInALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, func(o *shardSettings) {
			o.DHT.Layers = map[dht.Position][]dht.Layer{dht.AfterDedup: {func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict {
					if m.Envelope.Header.Tag == 666 {
						panic("the number of the beast")
					}
					return next(m)
				}
			}}}
		})
		bad := s.compose(ourType, "bad", func(d *wire.Draft) { d.Tag = 666 })
		good := s.compose(ourType, "good", nil)
		s.post(bad.Append(nil), good.Append(nil))
		if got, want := s.effects(), "type-1000: good"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := s.counted(), "1 delivered, 1 panicked"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, info := range s.root.Snapshot() {
			if strings.HasSuffix(info.Path, "inbound-0") && (info.Contained != 0 || info.Restarts != 0) {
				t.Errorf("got %d contained panics and %d restarts, want none", info.Contained, info.Restarts)
			}
		}
	})
}

// TestDHTFlood sends more than the limit of what nobody handles.
//
// conforms: dht 129; V 28
func TestDHTFlood(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(s *shard)
		kind    int32
		want    string
	}{
		"nobody's":    {func(*shard) {}, 4711, "ban of 10m0s"},
		"a handler's": {func(*shard) {}, ourType, ""},
		"unlimited":   {func(s *shard) { s.unlimited.Store(true) }, 4711, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, func(o *shardSettings) { o.DHT.FloodLimit = 100 })
				c.prepare(s)
				for i := range 100 {
					e := s.compose(c.kind, fmt.Sprint(i), nil)
					s.post(e.Append(nil))
				}
				if got := count[base.PeerViolated](s.heard["connectivity"]); got != 0 {
					t.Errorf("got %d violations at the limit, want none", got)
				}
				for i := range 20 {
					e := s.compose(c.kind, fmt.Sprint("more ", i), nil)
					s.post(e.Append(nil))
				}
				s.heard["type-1000"].messages = nil
				if got := s.effects(); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestDHTOneViolation reports an offence once for a connection, and a worse one
// again.
func TestDHTOneViolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		for range 3 {
			e := s.compose(1, "", sealed(s.source.PublicKey()))
			s.post(e.Append(nil))
		}
		for range 3 {
			e := s.compose(ourType, "", signed)
			e.Header.Tag, e.Body[len(e.Body)-1] = 1, e.Body[len(e.Body)-1]^1
			s.post(e.Append(nil))
		}
		if got, want := s.effects(), "ban of 10m0s; ban of 2h0m0s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
