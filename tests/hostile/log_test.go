package hostile

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// logged is an option that counts what a node logs.
func logged() (*records, gamelan.Option) {
	log := &records{}
	return log, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil)))
}

// TestLogOfUndecodable has ever new keys send a message that does not decode: the
// log grows by the minute and not by the key, and the counts have each of them.
func TestLogOfUndecodable(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const keys = 200
		log, opt := logged()
		n := start(t, gamelan.Config{DHT: &gamelan.DHTConfig{}}, opt)
		for i := range keys {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(100+i))
			p.open(1, optimistic(messaging)+framed("no envelope"))
			p.flushed()
			synctest.Wait()
			p.raw.Close()
		}
		time.Sleep(2 * time.Minute)
		if got := kit.FateOf(n.Node, dht.Undecodable); got != keys {
			t.Errorf("got %d messages counted as undecodable, want all %d", got, keys)
		}
		const what = "messages of a peer do not decode"
		if got := log.count("level=WARN"); got > 4 {
			t.Errorf("got %d warnings for %d keys, want one and a sum a minute", got, keys)
		}
		if log.count(what) < 2 || log.count(what+" and are dropped: more within a minute") == 0 {
			t.Error("got no warning and sum in the log")
		}
	})
}

// TestLogOfFailedCalls has a peer make calls that fail inside of the service: the
// log grows by the minute and not by the call, and over sessions.
func TestLogOfFailedCalls(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const calls = 200
		log, opt := logged()
		n := start(t, gamelan.Config{}, opt, gamelan.WithService(rpc.Service{Protocol: "test/fails", Methods: []rpc.Method{
			rpc.Unary(1, func(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
				return nil, errors.New("the table is locked")
			}),
		}}))
		other := n.net.Start(plainly(gamelan.Config{}), quiet)
		n.net.Connect(other, n.Node)
		for i := range calls {
			_, err := rpc.Call[wrapperspb.StringValue, wrapperspb.StringValue](t.Context(), other.RPC().Client(n.ID(), "test/fails"), 1, wrapperspb.String("x"))
			if err == nil {
				t.Fatalf("call %d: got an answer, want a status", i)
			}
			if i%50 == 49 {
				if err := other.Disconnect(t.Context(), n.ID()); err != nil {
					t.Fatal(err)
				}
				n.net.Connect(other, n.Node)
			}
		}
		time.Sleep(2 * time.Minute)
		if got := log.count("method failed"); got < 2 || got > 4 {
			t.Errorf("got %d warnings for %d calls, want one and a sum a minute", got, calls)
		}
	})
}

// TestLogOfBansThatAreNotStored has many keys banned while the disk is full: the
// log grows by the minute and not by the key.
func TestLogOfBansThatAreNotStored(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const keys = 200
		log, opt := logged()
		n := start(t, gamelan.Config{}, opt)
		for i := range keys {
			n.System().Root.Send(nodetest.Trunk(n).Connectivity(), actors.PeerBanned{Peer: secretOf(i).NodeID(), Err: actors.ErrStoreFailed})
		}
		time.Sleep(2 * time.Minute)
		if got := log.count("ban not stored"); got != 2 {
			t.Errorf("got %d records for %d bans, want one and a sum", got, keys)
		}
	})
}
