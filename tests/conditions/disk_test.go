package conditions

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// machine is the runtime of a node whose disk the test has in its hands.
type machine struct {
	*gamelantest.Clock
	disk kv.DB
}

// OpenStore opens the disk, whatever the directory.
func (m machine) OpenStore(string) (kv.DB, error) { return m.disk, nil }

var errFull = &kv.DirError{Dir: "store", Err: errors.Join(kv.ErrFailed, syscall.ENOSPC)}

// TestBubbleDiskRefuses: a disk that takes no writes is said by all that writes there, and to the sender of what is to be kept.
func TestBubbleDiskRefuses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, hub := gamelantest.NewNetwork(t), kad.NewHub(kad.HubOptions{})
		disk := &kvtest.Refusing{DB: kv.Memory()}
		author := kit.StartMember(net, gamelan.Config{})
		keeper := kit.StartMember(net, gamelan.Config{DataDir: t.TempDir()}, kit.Quiet, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithRuntime(machine{gamelantest.NewClock(), disk}))
		net.Connect(author.Node, keeper.Node)
		open := func(m kit.Member, bootstrap ...kad.Address) *kad.Client {
			c, err := m.KV().Open(t.Context(), kad.Config{Name: "main", Networks: []kad.Network{hub.Network()}, Bootstrap: bootstrap})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := open(keeper)
		second := open(author, first.Addresses()...)
		time.Sleep(time.Minute)
		disk.Set(errFull)
		kit.StoreFor(t, author, gamelantest.Secret(77).PublicKey(), "for somebody who is away")
		kit.Enqueue(t, author.Node, keeper.Node, "hello")
		if _, err := second.Put(t.Context(), []byte("value")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, c := range []*codes.Code{codes.InboxFailed, codes.StoredFailed, codes.KadUnwritten} {
			if n := kit.Says(t, keeper.Node.Node, c); !strings.Contains(n.What, "no space left") {
				t.Errorf("got %+v, want why", n)
			}
		}

		sender := control.Actions(author.Node.Node, control.Options{}).Sender
		to, err := sender.Resolve(t.Context(), keeper.PublicKey().String())
		if err != nil {
			t.Fatal(err)
		}
		p, err := sender.Send(t.Context(), inspect.SendRequest{Peer: to, Body: []byte("to be kept"), Outcome: inspect.OutcomeKept})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if got := p.Wait(ctx); got.Code != codes.PeerFull.Name {
			t.Errorf("got %+v, want %s", got, codes.PeerFull.Name)
		}
		disk.Set(nil)
		time.Sleep(10 * time.Minute)
		if h := keeper.Health(t.Context()); len(h.Reasons) > 0 {
			t.Errorf("got %v of a disk that writes again, want nothing", h.Reasons)
		}
	})
}

// lasting is a store that is there for the next start.
type lasting struct{ kv.DB }

func (lasting) Close() error { return nil }

// TestBubbleDamagedRecords: records of a peer and of a message that are no such are counted and said.
func TestBubbleDamagedRecords(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		disk, dir := lasting{kv.Memory()}, t.TempDir()
		begin := func() *gamelantest.Node {
			return net.Start(gamelan.Config{DataDir: dir, NoDHT: true}, kit.Quiet, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithRuntime(machine{gamelantest.NewClock(), disk}))
		}
		first, other := begin(), net.Start(gamelan.Config{NoDHT: true})
		net.Connect(other, first)
		kit.Enqueue(t, other, first, "hello")
		time.Sleep(time.Minute)
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var broken kv.Batch
		for _, prefix := range []string{"p", "ir"} { // peers, messages
			entries, scanErr := disk.Scan([]byte(prefix))
			for key := range entries {
				broken.Set(bytes.Clone(key), []byte("no record"))
			}
			if err := scanErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.Apply(&broken, true); err != nil {
			t.Fatal(err)
		}
		second := begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range second.Inbox().Listen(ctx, gamelan.ListenOptions{}) {
			t.Error("got a message, want none")
		}
		kit.Says(t, second.Node, codes.PeersDamaged)
		kit.Says(t, second.Node, codes.InboxDamaged)
	})
}

// TestBubbleInboxHigh: an inbox that fills up is said before it is full.
func TestBubbleInboxHigh(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from, to := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: 20}))
		net.Connect(from, to)
		for range 18 {
			kit.Enqueue(t, from, to, "hello")
		}
		time.Sleep(time.Minute)
		if n := kit.Says(t, to.Node, codes.InboxHigh); n.Args["percent"] == "" {
			t.Errorf("got %+v, want how full it is", n)
		}
	})
}
