package messengers

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lonePeer is the peer of the messages of [loneMessengers]; push asks nobody whether it is known.
var lonePeer = identity.NodeID{7}

// anyPeer lets every peer be reached.
type anyPeer struct{}

func (anyPeer) Unreachable(identity.NodeID) error { return nil }
func (anyPeer) Window() int                       { return 1 << 18 }

// loneMessengers starts the actor of plain messages, with a dialer that never answers.
func loneMessengers(t *testing.T) (*Room, *supervisor.Root) {
	t.Helper()
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	b := base.New(base.Settings{
		System: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })),
		Root:   "late", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now, Logger: discard,
	})
	r := NewRoom(b, Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16}, anyPeer{})
	root, err := supervisor.Start(r.System, r.Root, supervisor.Spec{
		Name: "node", Kind: "group", New: supervisor.Group(supervisor.Spec{
			Name: "dialer", Kind: "silent", // the messages wait for it
			New: func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) },
		}, supervisor.Spec{
			Name: "services", Kind: "group", New: supervisor.Group(supervisor.Spec{
				Name: "messaging", Kind: "messengers",
				New: func() actor.Actor { return NewMessengers(r.Plain) },
			}),
		}),
	}, supervisor.Options{Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

// sendAlone sends a message to lonePeer, with credit of an account that was looked up before.
func sendAlone(t *testing.T, r *Room, account *outAccount, id uint64, done func(protocol.Outcome)) *Enqueue {
	t.Helper()
	q := r.newEnqueue(SendBody{ID: id, Peer: lonePeer, Body: []byte("x")}, nil)
	q.done = done
	for {
		if !account.TryTake(1) {
			t.Fatal("got no credit, want some")
		}
		if r.Plain.push(q, account) {
			return q
		}
		account = r.Plain.accounts.of(lonePeer)
	}
}

// TestSenderThatStandsStill looks a peer's account up and sends only after the session of
// the account has ended in order: the message goes to the next session, in its place before
// a later one, instead of failing.
func TestSenderThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, root := loneMessengers(t)
		peer := lonePeer
		var ended []uint64
		send := func(account *outAccount, id uint64) *Enqueue {
			return sendAlone(t, r, account, id, func(protocol.Outcome) { ended = append(ended, id) })
		}
		stale := r.Plain.accounts.of(peer)
		first := send(stale, 1)
		synctest.Wait()
		old, ok := r.Plain.Sessions.Get(peer)
		if !ok {
			t.Fatal("got no session, want one")
		}
		r.Plain.Withdraw(peer, first.id)
		time.Sleep(dialling.DialLimit + idleLimit + time.Second) // nobody answers the dial; longer than retireGrace as well
		synctest.Wait()
		if _, ok := r.Plain.Sessions.Get(peer); ok || !first.settled.Load() {
			t.Fatalf("got session %v, settled %v, want the session to have ended", ok, first.settled.Load())
		}

		if used := stale.Used(); used != 0 {
			t.Fatalf("got %d bytes of credit in use at the account of the ended session, want none", used)
		}
		late := send(stale, 2)
		next := send(r.Plain.accounts.of(peer), 3)
		synctest.Wait()
		if late.settled.Load() || next.settled.Load() {
			t.Fatalf("got ends of %v, want both to wait for a connection", ended)
		}
		if got, ok := r.Plain.Sessions.Get(peer); !ok || got.PID == old.PID {
			t.Errorf("got session %v, %v, want a new one", got.PID, ok)
		}
		ended = nil
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if len(ended) != 2 || ended[0] != 2 || ended[1] != 3 {
			t.Errorf("got ends of %v at the stop, want 2 and 3, once each and in order", ended)
		}
		if used := r.Budgets.Unconnected.Used(); used != 0 {
			t.Errorf("got %d bytes of credit in use at the end, want none", used)
		}
		time.Sleep(2 * time.Second)
	})
}

// TestWithdrawnWithoutSession sends while the session of the peer is retired, and withdraws:
// no session ever takes the message, so that it fails then and there, and the next session
// does not send it. The next session has a later message.
func TestWithdrawnWithoutSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, root := loneMessengers(t)
		outcomes := make(map[uint64]protocol.Outcome)
		send := func(id uint64) {
			t.Helper()
			sendAlone(t, r, r.Plain.accounts.of(lonePeer), id, func(o protocol.Outcome) { outcomes[id] = o })
			synctest.Wait()
		}
		withdraw := func(id uint64) {
			t.Helper()
			r.Plain.Withdraw(lonePeer, id)
			synctest.Wait()
			if got := outcomes[id]; got.Kind != protocol.Failed || got.Reason != protocol.Expired {
				t.Errorf("message %d: got %v at the withdrawal, want failed: expired", id, got)
			}
		}
		send(1)
		withdraw(1)
		time.Sleep(dialling.DialLimit + idleLimit + retireGrace/2)
		synctest.Wait()
		if _, ok := r.Plain.Sessions.Get(lonePeer); ok {
			t.Fatal("got a session, want one that has just retired")
		}
		send(2)
		withdraw(2)
		send(3)
		time.Sleep(retireGrace)
		synctest.Wait()
		if session, ok := r.Plain.Sessions.Get(lonePeer); !ok || session.account.queue.len() > 0 || len(outcomes) != 2 {
			t.Errorf("got session %v with outcomes %v, want one that has taken message 3", ok, outcomes)
		}
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if len(outcomes) != 3 {
			t.Errorf("got outcomes %v at the stop, want three", outcomes)
		}
		time.Sleep(2 * time.Second)
	})
}
