package interop

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

// A node of 6.2.0 that ends a connection of its own accord does not tell the
// sessions of its own service, which keep their places until they count as idle.
// When those of a peer are used up, our call is refused for lack of sessions: a
// typed answer, that bans nobody; asked again, it is served as soon as there is a
// place. What we end leaves nothing behind.
//
// conforms: V 18
// feature: RPC sessions when a connection ends
// note: 6.2.0: keeps the sessions of a connection that it has ended itself for its idle time, 10 min unless it is set
func TestTariKeepsSessions(t *testing.T) {
	t.Parallel()
	const release, places, idle = "6.2.0", 2, 20 * time.Second
	n, p, _ := rpcPair(t, release, weDial, gamelan.Config{}, "--rpc-sessions-per-peer", "2", "--rpc-idle-seconds", "20")
	ctx, cancel := context.WithTimeout(t.Context(), idle+answerLimit)
	defer cancel()
	hello := func() error {
		_, err := rpc.Call[testpb.Hello, testpb.Hello](ctx, n.RPC().Client(p.id, rpcID), sayHello, &testpb.Hello{Text: "you"})
		return err
	}
	sessions := func() int {
		var served rpcServed
		p.must("rpc_served", nil, &served)
		return served.Sessions
	}
	ended := func() {
		gamelantest.Eventually(t, connectLimit, "the end of the connection", func() bool {
			_, ok := n.Connection(p.id)
			return !ok && len(p.links()) == 0
		})
	}
	reconnect := func() {
		if _, err := n.Dial(ctx, p.id); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, connectLimit, "the connection at both", func() bool { return len(p.links()) == 1 })
	}
	for range 3 { // more than there are places
		if err := hello(); err != nil {
			t.Fatal(err)
		}
		if err := n.Disconnect(ctx, p.id); err != nil {
			t.Fatal(err)
		}
		ended()
		gamelantest.Eventually(t, connectLimit, "no session kept of a connection that we ended", func() bool { return sessions() == 0 })
		reconnect()
	}
	for range places {
		if err := hello(); err != nil {
			t.Fatal(err)
		}
		p.must("disconnect", args{"peer": n.PublicKey().String()}, nil)
		ended()
		reconnect()
	}
	if got := sessions(); got != places {
		t.Errorf("got %d sessions kept, want %d", got, places)
	}
	refused := 0
	for err := hello(); err != nil; err = hello() {
		if rejected, ok := errors.AsType[*rpc.RejectedError](err); !ok || !rejected.Busy() {
			t.Fatalf("got %v, want a rejection for lack of sessions", err)
		}
		refused++
	}
	if refused == 0 {
		t.Error("got a session at once, want none before a kept one is idle for long enough")
	}
	unbanned(t, n, p)
}
