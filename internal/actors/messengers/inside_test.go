package messengers

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// overtaken is a substream whose reader is interrupted in the moment in which a
// frame arrives; then the peer ends its half.
type overtaken struct {
	park.Stream
	rest  *park.Parker
	reads int
}

func (o *overtaken) Read(p []byte) (int, error) {
	switch o.reads++; o.reads {
	case 1:
		o.rest.Interrupt() // has seen it wait
		o.rest.Interrupt()
		return 0, os.ErrDeadlineExceeded
	case 2:
		return copy(p, frame.Append(nil, []byte("just then"))), nil
	}
	return 0, io.EOF
}

func (*overtaken) SetReadDeadline(time.Time) error { return nil }

// TestInterruptThatAMessageOvertakes must not be told in place of the end.
func TestInterruptThatAMessageOvertakes(t *testing.T) {
	stream := new(overtaken)
	stream.rest = &park.Parker{Stream: stream}
	r := reader{in: &incoming{parker: stream.rest}, frames: frame.NewReader(stream, 100)}
	if err := r.await(); err != nil {
		t.Fatal(err)
	}
	n, err := r.frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, n)
	if err := r.frames.Body(body); err != nil || string(body) != "just then" {
		t.Fatalf("got %q, %v, want the message", body, err)
	}
	if err := r.await(); err != io.EOF {
		t.Errorf("got %v, want the peer's end", err)
	}
}

// ends hears outcomes.
type ends struct{ ids *[]uint64 }

func (o ends) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Sent); ok {
		*o.ids = append(*o.ids, m.ID)
	}
}

// TestOutcomesInOrder has one actor send on its own behalf and through messaging.
func TestOutcomesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		discard := slog.New(slog.DiscardHandler)
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }))
		var got []uint64
		root, err := supervisor.Start(system, "order", supervisor.Spec{
			Name: "node", Kind: "outcomes", New: func() actor.Actor { return ends{&got} },
		}, supervisor.Options{Logger: discard})
		if err != nil {
			t.Fatal(err)
		}
		reply := system.NewLocalPID("order/node")
		var all []messaging.Settled[*Enqueue]
		var want []uint64
		for i := range uint64(200) {
			m := &Enqueue{id: i, reply: reply, room: &Room{Base: &base.Base{Settings: base.Settings{System: system}}}, ours: i%7 != 3}
			all = append(all, messaging.Settled[*Enqueue]{Tag: m, Outcome: protocol.Outcome{Kind: protocol.Confirmed}})
			want = append(want, i)
		}
		settleAll(all, new(supervisor.Bundle))
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("got outcomes in the order %v, want that of the messages", got)
		}
		if err := root.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
}

// TestAccountOfASession stays the one that everybody finds, also while a session
// is being made and a caller gets no credit.
func TestAccountOfASession(t *testing.T) {
	r := &Room{Base: new(base.Base), Budgets: credit.NewNodeBudgets(1 << 20)}
	r.PeerCredit = 1 << 16
	r.Plain = newMessaging(r, "", nil, "")
	all := &r.Plain.accounts
	peer := identity.NodeID{1}
	pinned := all.pin(peer)
	all.drop(peer)
	if all.of(peer) != pinned {
		t.Error("got another account than the session has, want the same")
	}
	all.unpin(peer)
	if got := r.Plain.Accounts(); got != 0 {
		t.Errorf("got %d accounts after the session, want none", got)
	}
	all.unpin(peer) // of an incarnation that is over
	pinned = all.pin(peer)
	if !pinned.TryTake(1) {
		t.Fatal("got no credit, want some")
	}
	all.unpin(peer)
	if all.of(peer) != pinned {
		t.Error("got another account while credit is held, want the same")
	}
}

// TestAccountsFollowTheConnection: what is sent to a peer, on either messaging
// protocol, counts against the budget of connected peers while it is one.
func TestAccountsFollowTheConnection(t *testing.T) {
	r := &Room{Base: new(base.Base), Budgets: credit.NewNodeBudgets(1 << 20)}
	r.PeerCredit = 1 << 16
	r.Plain, r.Frames = newMessaging(r, "plain", nil, ""), newMessaging(r, "dht", nil, "")
	peer := identity.NodeID{1}
	for _, m := range r.Messagings() {
		if !m.accounts.of(peer).TryTake(1000) {
			t.Fatal("got no credit")
		}
	}
	held := 2 * credit.Cost(1000)
	for _, connected := range []bool{true, false} {
		r.SettleAccounts(peer, connected)
		want := held
		if connected {
			want = 0
		}
		if got := r.Budgets.Unconnected.Used(); got != want {
			t.Errorf("connected %v: got %d bytes of the budget of the others, want %d", connected, got, want)
		}
		if got := r.Budgets.Outbound.Used(); got != held {
			t.Errorf("connected %v: got %d bytes in all, want %d", connected, got, held)
		}
	}
}
