package reachpart

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// clocked is the trunk of a node with connections, which asks nobody.
type clocked struct {
	Trunk  // nil: the rest is not used
	sys    *actor.ActorSystem
	secret *identity.Secret
	conns  view.Map[identity.NodeID, *actors.ConnRef]
	own    map[identity.Signature]bool
	ids    uint64
	asked  []identity.NodeID
}

func (t *clocked) System() *actor.ActorSystem                               { return t.sys }
func (t *clocked) PID(path string) *actor.PID                               { return t.sys.NewLocalPID("test/" + path) }
func (t *clocked) Now() time.Time                                           { return time.Now() }
func (t *clocked) Wall() time.Time                                          { return time.Now() }
func (t *clocked) Key() identity.PublicKey                                  { return t.secret.PublicKey() }
func (t *clocked) Signed(of identity.Signature) bool                        { return t.own[of] }
func (t *clocked) NewID() uint64                                            { t.ids++; return t.ids }
func (t *clocked) Connections() *view.Map[identity.NodeID, *actors.ConnRef] { return &t.conns }
func (t *clocked) OpenSubstream(on *actors.ConnRef, _ uint64, _ *actor.PID, _ ...protocol.ID) {
	t.asked = append(t.asked, on.Peer)
}

// peerAt returns a connection with a node of this library at an address.
func peerAt(n byte, at string) *actors.ConnRef {
	ref := &actors.ConnRef{ID: uint64(n), Peer: identity.NodeID{n}, Direction: protocol.Outbound, Protocols: []protocol.ID{reach.ID}, Since: time.Now()}
	*ref.Link() = link.Link{Remote: ma.StringCast(at), Live: link.New()}
	return ref
}

// TestClock: peers' words of the time become a warning, and a claim of the node's key that it has not signed
// a reason why it is degraded. Those behind Tor, a proxy or on this machine are not asked.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		tr := &clocked{sys: sys, secret: secret, own: map[identity.Signature]bool{}}
		r := New(tr, Settings{
			Clock: true, ClockOff: 30 * time.Second, Trusted: func(identity.NodeID) bool { return false },
			Claimed: func() []ma.Multiaddr { return nil }, Listening: func() []ma.Multiaddr { return nil }, Given: func() bool { return false },
		})
		part := r.Part()
		var spec supervisor.Spec
		for _, s := range part.Actors {
			if s.Name == "clock" {
				spec = s
			}
		}
		peers := []*actors.ConnRef{peerAt(1, "/ip4/11.1.0.1/tcp/1"), peerAt(2, "/ip4/11.2.0.1/tcp/1"), peerAt(3, "/ip4/11.3.0.1/tcp/1")}
		tor := []*actors.ConnRef{peerAt(4, "/ip4/127.0.0.1/tcp/1"), peerAt(5, "/dns4/example.org/tcp/1")}
		for _, p := range append(peers, tor...) {
			tr.conns.Set(p.Peer, p)
		}
		spec.Name = "reach"
		root, err := supervisor.Start(sys, "test", supervisor.Spec{Name: "reach", New: supervisor.Group(supervisor.Spec{Name: "clock", New: spec.New})}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		synctest.Wait()
		if len(tr.asked) != 3 {
			t.Errorf("got %v asked, want the three that are direct and elsewhere", tr.asked)
		}
		say := func(p *actors.ConnRef, ahead time.Duration, other *reach.Other) {
			sys.Root.Send(r.clock, said{p, heard{reach.Answer{Clock: 1, Other: other}, ahead, true}})
			synctest.Wait()
		}
		codes := func() (all string) {
			for _, n := range append(part.Warnings(), part.Degraded()...) {
				all += n.Code + " "
			}
			return all
		}
		for _, p := range peers {
			say(p, 31*time.Second, nil)
		}
		for _, p := range tor {
			say(p, 0, nil)
		}
		if got := codes(); got != "clock_off " {
			t.Errorf("got %q, want the clock off", got)
		}
		if w := part.Warnings()[0]; w.Args["seconds"] != "31" || !strings.HasPrefix(w.What, "the clock of this machine is 31 s ahead") {
			t.Errorf("got %+v", w)
		}
		var v models.Node
		if part.Node(&v); v.Clock == nil || v.Clock.AheadMS != 31_000 || v.Clock.Sources != 3 {
			t.Errorf("got %+v in the section, want 31 s by 3 sources", v.Clock)
		}
		leave := func(p *actors.ConnRef) {
			tr.conns.Delete(p.Peer)
			sys.Root.Send(r.clock, actors.PeerDisconnected{Peer: p.Peer, Conn: p})
			synctest.Wait()
		}
		meet := func(p *actors.ConnRef) {
			tr.conns.Set(p.Peer, p)
			sys.Root.Send(r.clock, actors.PeerConnected{Peer: p.Peer, Conn: p})
			synctest.Wait()
		}
		leave(peers[2])
		if got := codes(); got != "clock_off " {
			t.Errorf("got %q when one has left, want the clock off: nobody says otherwise", got)
		}
		meet(peers[2])
		for _, p := range peers {
			say(p, 25*time.Second, nil)
		}
		if got := codes(); got != "clock_off " {
			t.Errorf("got %q at 25 s, want the clock off: that is hardly less", got)
		}
		leave(peers[2])
		time.Sleep(offFor + time.Minute)
		if got := codes(); got != "" {
			t.Errorf("got %q hours later, want nothing", got)
		}
		meet(peers[2])
		for _, p := range peers {
			say(p, 31*time.Second, nil)
		}
		say(peers[0], 0, nil)
		say(peers[1], 0, nil)
		say(peers[2], 0, nil)
		if got := codes(); got != "" {
			t.Errorf("got %q when most say that it is right, want nothing", got)
		}

		time.Sleep(time.Hour)
		sign := func(s *identity.Secret) *reach.Other {
			claim, err := identity.SignClaim(s, identity.FeatureNode, [][]byte{ma.StringCast("/ip4/11.9.0.1/tcp/18189").Bytes()}, time.Now(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return &reach.Other{Age: time.Second, Claim: claim}
		}
		own := sign(secret)
		tr.own[own.Claim.Signature] = true
		say(peers[0], 0, own)
		foreign, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		say(peers[0], 0, sign(foreign))
		if got := codes(); got != "" {
			t.Errorf("got %q with a claim of the node's own and one of another key, want nothing", got)
		}
		say(peers[0], 0, sign(secret))
		if got := part.Degraded(); len(got) != 1 || got[0].Code != "own_identity" || got[0].Args["address"] != "11.9.0.1:18189" {
			t.Errorf("got %+v, want another node at its address", got)
		}
		time.Sleep(reach.DuplicateFor + time.Second)
		if got := part.Degraded(); len(got) != 0 {
			t.Errorf("got %+v ten minutes later, want nothing", got)
		}
		old, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{ma.StringCast("/ip4/11.9.0.1/tcp/18189").Bytes()}, time.Now().Add(-24*time.Hour), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers[:2] {
			say(p, 0, &reach.Other{Age: time.Second, Claim: old})
		}
		if got := part.Warnings(); len(part.Degraded()) != 0 || len(got) != 1 || got[0].Code != "own_identity" || got[0].Severity != models.Warning {
			t.Errorf("got %+v of an old claim that two dialled peers show, want a warning alone", got)
		}
	})
}

// TestObserved: only a peer on a direct connection is told this node's time, and another claim of its key.
func TestObserved(t *testing.T) {
	now, wall := time.Unix(1e9, 0), time.Unix(2e9, 0)
	ref := peerAt(1, "/ip4/11.1.0.1/tcp/1")
	ref.Link().Other = &link.Other{Claim: &identity.Claim{Features: identity.FeatureNode}, Since: now.Add(-time.Minute), Wall: wall.Add(-time.Minute)}
	direct := observed(now, wall, ref, netip.MustParseAddrPort("11.1.0.1:1"))
	if direct.Clock != 2e9 || direct.Other == nil || direct.Other.Age != time.Minute {
		t.Errorf("got %+v, want the time and the other claim", direct)
	}
	if got := observed(now, wall, ref, netip.AddrPort{}); got != (reach.Answer{}) {
		t.Errorf("got %+v for one behind Tor, want nothing", got)
	}
	if got := observed(now.Add(reach.DuplicateFor), wall, ref, netip.MustParseAddrPort("11.1.0.1:1")); got.Other != nil {
		t.Errorf("got %+v ten minutes later, want no claim", got)
	}
	if got := observed(now, wall.Add(reach.DuplicateFor), ref, netip.MustParseAddrPort("11.1.0.1:1")); got.Other != nil {
		t.Errorf("got %+v ten minutes later, in which this machine slept, want no claim", got)
	}
}
