//go:build !nodisk

package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var quiet = gamelan.WithLogger(slog.New(slog.DiscardHandler))

// TestAdmission: a node that admits listed peers alone refuses others when they have proved their key, and
// dials none. Nothing of them is stored. The list counts at once and survives a restart.
//
// conforms: V 43
func TestAdmission(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		dir := net.DataDir()
		heard := gamelantest.NewCollector()
		cfg := gamelan.Config{DataDir: dir, Admission: gamelan.AdmitListed}
		a := net.Start(cfg, quiet, gamelan.WithHandler(heard.New))
		b, c := net.Start(gamelan.Config{}, quiet), net.Start(gamelan.Config{}, quiet)
		net.Introduce(b, a)
		net.Introduce(c, a)

		out, err := b.Send(t.Context(), a.ID(), []byte("one"))
		wantOutcome(t, "before it is listed", out, err, protocol.Failed, protocol.Refused)
		if !strings.Contains(out.Err.Error(), "failed at identity: peer hung up") || !strings.Contains(out.Err.Error(), "admit only others") {
			t.Errorf("got %v, want that the other node may admit only others", out.Err)
		}
		synctest.Wait()
		refused := a.Inspection().Admission(t.Context())
		if refused.Admit != "listed" || len(refused.Refused) != 1 || refused.Refused[0].PublicKey != b.PublicKey().String() || refused.RefusedTotal == 0 {
			t.Errorf("got %+v, want b among the refused", refused)
		}
		if warnings := fmt.Sprint(a.Inspection().Node(t.Context()).Warnings); !strings.Contains(warnings, b.PublicKey().String()) || !strings.Contains(warnings, "it is not admitted") {
			t.Errorf("got the warnings %v, want that b is not admitted", warnings)
		}
		wantSaid(t, a.Node, codes.NotAdmitted)
		end, _ := examined(t, a.Node, c.Seed())
		wantCause(t, "a peer that is not listed", end, codes.DialUnlisted)
		if a.Peers().Len() != 0 || a.Inspection().Node(t.Context()).Banned != 0 {
			t.Errorf("got %d peers and %d bans, want nothing stored", a.Peers().Len(), a.Inspection().Node(t.Context()).Banned)
		}
		if err := a.Peers().Admit(t.Context(), b.PublicKey()); err != nil {
			t.Fatal(err)
		}
		out, err = b.Send(t.Context(), a.ID(), []byte("two"), gamelan.Until(time.Hour))
		wantOutcome(t, "listed", out, err, protocol.Confirmed, 0)
		if got := a.Peers().Admitted(); len(got) != 1 || got[0] != b.PublicKey() {
			t.Errorf("got the list %v, want b", got)
		}

		net.Introduce(a, c) // by the user, and yet
		_, err = a.Dial(t.Context(), c.ID())
		if bad, ok := errors.AsType[*actors.NotAdmittedError](err); !ok || bad.Key != c.PublicKey() || !errors.Is(err, gamelan.ErrNotAdmitted) {
			t.Errorf("a dial of a peer that is not listed: got %v, want a NotAdmittedError with its key", err)
		}
		out, err = a.Send(t.Context(), c.ID(), []byte("x"))
		if err == nil {
			err = out.AsError()
		}
		if !errors.Is(err, gamelan.ErrNotAdmitted) || out.Reason != gamelan.NotAdmitted {
			t.Errorf("a message to it: got %v, want ErrNotAdmitted", err)
		}
		if p, ok := a.Peers().Get(c.ID()); !ok || p.Addresses[0].Attempts != 0 {
			t.Errorf("got %+v, want that its address was not tried", p)
		}

		if err := a.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		a = net.Start(cfg, quiet, gamelan.WithHandler(heard.New))
		out, err = b.Send(t.Context(), a.ID(), []byte("three"), gamelan.Until(time.Hour))
		wantOutcome(t, "after a restart", out, err, protocol.Confirmed, 0)
		if _, err := c.Dial(t.Context(), a.ID()); err != nil && !strings.Contains(err.Error(), "identity") {
			t.Errorf("c: got %v", err)
		}
		synctest.Wait()
		if _, ok := a.Connection(c.ID()); ok {
			t.Error("c is connected after the restart")
		}

		if err := a.Peers().Unadmit(t.Context(), b.PublicKey()); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, time.Minute, "its connection is closed", func() bool { return len(a.Connections()) == 0 })
		if closed := nodetest.Trunk(a).Closed(); closed[len(closed)-1].Reason.Code != actors.CloseUnlisted {
			t.Errorf("got %v, want that b is not admitted any more", closed[len(closed)-1].Reason)
		}
		if err := a.Peers().Unadmit(t.Context(), b.PublicKey()); !errors.Is(err, gamelan.ErrNotListed) {
			t.Errorf("a second time: got %v, want ErrNotListed", err)
		}
		if err := a.Peers().Admit(t.Context(), a.PublicKey()); !errors.Is(err, gamelan.ErrSelf) {
			t.Errorf("the node itself: got %v, want ErrSelf", err)
		}
		if got := heard.Bodies(); len(got) != 2 || got[0] != "two" || got[1] != "three" {
			t.Errorf("got %q, want what b has sent while it was listed", got)
		}
	})
}

// TestAdmissionOfSeeds: who is named in the settings is listed, and only as long.
func TestAdmissionOfSeeds(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{}, quiet)
		dir := net.DataDir()
		cfg := gamelan.Config{DataDir: dir, Admission: gamelan.AdmitListed, Seeds: []string{seed.Seed()}}
		a := net.Start(cfg, quiet)
		if _, err := a.Dial(t.Context(), seed.ID()); err != nil {
			t.Errorf("got %v, want a connection with the seed", err)
		}
		list := a.Inspection().Admission(t.Context()).Listed
		if len(list) != 1 || list[0].PublicKey != seed.PublicKey().String() || !list[0].Since.IsZero() || !list[0].Connected || len(a.Peers().Admitted()) != 0 {
			t.Errorf("got %+v, want the seed, which is not on the list itself", list)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		cfg.Seeds = nil
		a = net.Start(cfg, quiet)
		if _, err := a.Dial(t.Context(), seed.ID()); !errors.Is(err, gamelan.ErrNotAdmitted) {
			t.Errorf("a former seed: got %v, want it refused", err)
		}
		a.Peers().AdmitSeeds([]identity.PublicKey{seed.PublicKey()})
		if _, err := a.Dial(t.Context(), seed.ID()); err != nil {
			t.Errorf("a seed again: got %v", err)
		}
		synctest.Wait()
		for _, listed := range []bool{false, true} { // by itself as well
			if listed {
				if err := a.Peers().Admit(t.Context(), seed.PublicKey()); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Peers().Unadmit(t.Context(), seed.PublicKey()); !errors.Is(err, gamelan.ErrListedSeed) {
				t.Errorf("a seed is taken off, listed %v: got %v, want ErrListedSeed", listed, err)
			}
		}
		if len(a.Peers().Admitted()) != 1 || a.Peers().Admits(seed.PublicKey()) != nil || len(a.Connections()) != 1 {
			t.Error("got a change, want the seed as it was")
		}
		other := net.Start(gamelan.Config{}, quiet)
		a.Peers().AdmitSeeds([]identity.PublicKey{other.PublicKey()}) // in place of the first one, which is listed
		net.Introduce(a, other)
		if _, err := a.Dial(t.Context(), other.ID()); err != nil {
			t.Errorf("another seed: got %v", err)
		}
		time.Sleep(time.Minute)
		if len(a.Connections()) != 2 {
			t.Errorf("got %d connections, want those of the listed one and of the seed", len(a.Connections()))
		}
		a.Peers().AdmitSeeds(nil)
		time.Sleep(time.Minute)
		if _, ok := a.Connection(other.ID()); ok || len(a.Connections()) != 1 || !errors.Is(a.Peers().Admits(other.PublicKey()), gamelan.ErrNotAdmitted) {
			t.Error("got a former seed admitted, want it refused and its connection closed")
		}
		if err := a.Peers().Unadmit(t.Context(), seed.PublicKey()); err != nil {
			t.Errorf("got %v, want it taken off, since it is no seed any more", err)
		}
		time.Sleep(time.Minute)
		if len(a.Connections()) != 0 {
			t.Errorf("got %d connections, want none", len(a.Connections()))
		}
	})
}

// TestAPeerThatIsNotListedIsNotChosen: what a node says about it is the true reason.
func TestAPeerThatIsNotListedIsNotChosen(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = false
		a, c := net.Start(gamelan.Config{Admission: gamelan.AdmitListed, Floor: 8}, quiet), net.Start(gamelan.Config{}, quiet)
		net.Introduce(a, c)
		verdict := func() string {
			for _, choice := range nodetest.Trunk(a).Choices() {
				if _, x, ok := choice.Rank(c.ID()); ok {
					return x.Verdict
				}
			}
			return ""
		}
		gamelantest.Eventually(t, 10*time.Minute, "a choice", func() bool { return verdict() != "" })
		if got := verdict(); !strings.Contains(got, "not admitted") {
			t.Errorf("got %q, want that it is not admitted", got)
		}
	})
}

// TestTheProgramAdmits: Config.Admit refuses in both directions, is asked for each connection, and a panic in it
// refuses.
func TestTheProgramAdmits(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b, c := net.Start(gamelan.Config{}, quiet), net.Start(gamelan.Config{}, quiet)
		var asked atomic.Int64
		fails := errors.New("not on the roll")
		a := net.Start(gamelan.Config{Admit: func(key identity.PublicKey) error {
			switch asked.Add(1); {
			case key == b.PublicKey():
				return nil
			case key == c.PublicKey():
				return fails
			}
			panic("who is this?")
		}}, quiet)
		d := net.Start(gamelan.Config{}, quiet)
		for _, n := range []*gamelantest.Node{b, c, d} {
			net.Introduce(n, a)
			net.Introduce(a, n)
			_, err := a.Dial(t.Context(), n.ID())
			switch {
			case n == b && err != nil:
				t.Errorf("got %v, want a connection", err)
			case n == c && (!errors.Is(err, fails) || !errors.Is(err, gamelan.ErrNotAdmitted) || !strings.Contains(err.Error(), "is not admitted by the program: not on the roll")):
				t.Errorf("got %v, want the program's error", err)
			case n == d && (!errors.Is(err, gamelan.ErrNotAdmitted) || strings.Contains(err.Error(), "who is this")):
				t.Errorf("got %v, want it refused without the panic's text", err)
			}
			if n == b {
				continue
			}
			before := asked.Load()
			if _, err := n.Dial(t.Context(), a.ID()); err == nil {
				synctest.Wait()
			}
			synctest.Wait()
			if _, ok := a.Connection(n.ID()); ok || asked.Load() == before {
				t.Errorf("node %d: got a connection, or the program was not asked", n.Number)
			}
		}
		if p, _ := a.Peers().Get(c.ID()); p.Addresses[0].Attempts != 0 || !p.LastSeen().IsZero() {
			t.Errorf("got %+v, want that nothing is noted of it", p)
		}
		gamelantest.Healed(t, a.Node)
	})
}

// TestRefusedPeersAreBounded: from one source come many keys, none of which is stored or banned, and
// the memory of refusals has few rows.
func TestRefusedPeersAreBounded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		log := new(logLines)
		a := net.Start(gamelan.Config{Admission: gamelan.AdmitListed, MaxSetups: 1000}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		for range 300 {
			n := net.Start(gamelan.Config{NoDHT: true}, quiet)
			net.Introduce(n, a)
			n.Dial(t.Context(), a.ID())
			n.Close(context.Background())
		}
		synctest.Wait()
		s := a.Inspection().Admission(t.Context())
		times := uint64(0)
		for _, r := range s.Refused {
			times += r.Times
		}
		if s.RefusedTotal != 300 || len(s.Refused) != 9 || times != 300 {
			t.Errorf("got %d in %+v, want 300: rows of the last 8 keys, and one of the others", s.RefusedTotal, s.Refused)
		}
		if a.Peers().Len() != 0 {
			t.Errorf("got %d peers stored, want none", a.Peers().Len())
		}
		time.Sleep(3 * time.Minute)
		if got := log.with("refused a connection: the peer is not admitted"); got < 2 || got > 4 {
			t.Errorf("got %d lines, want few: %q", got, log.lines)
		}
	})
}

// TestAuthorsAreNotAdmitted: admission counts for connections. The message of an author that is not listed
// comes over a listed node that relays it.
func TestAuthorsAreNotAdmitted(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		relay := net.Start(gamelan.Config{}, quiet)
		a := net.Start(gamelan.Config{Admission: gamelan.AdmitListed, Seeds: []string{relay.Seed()}}, quiet, gamelan.WithType(77, heard.New))
		author := net.Start(gamelan.Config{}, quiet)
		net.Introduce(author, relay)
		for _, n := range []*gamelantest.Node{a, author} {
			if _, err := n.Dial(t.Context(), relay.ID()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		_, err := author.DHT().Send(t.Context(), dht.Message{To: dht.Propagate{To: a.PublicKey()}, Type: 77, Body: []byte("relayed"), Encrypt: true})
		if err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, time.Minute, "the message of the author", func() bool { return len(heard.Delivered()) == 1 })
		if _, ok := a.Connection(author.ID()); ok {
			t.Error("the author is connected")
		}
	})
}
