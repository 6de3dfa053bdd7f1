package kad_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// failing is a Keeper whose commits fail as before says, which is called ahead of each.
type failing struct {
	kad.Keeper
	before func(own []string) error // with the values of own records in the batch
}

func (k failing) Commit(ctx context.Context, b kad.Batch) error {
	var own []string
	for _, o := range b.Own {
		own = append(own, string(o.Record.Value))
	}
	if err := k.before(own); err != nil {
		return err
	}
	return k.Keeper.Commit(ctx, b)
}

// Values are published under one name while the disk is busy. Only those whose commit has
// failed are taken back: neither one that came after, nor the last one of a batch that failed.
func TestFailedCommitIsTakenBack(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		first, second, third string // the commit of first waits until all were called
		fails                string // the commit with this value
		want                 []string
	}{
		"the first one":  {"key=A", "key=B", "key=B", "A", []string{"B"}},
		"the later ones": {"other=X", "key=A", "key=B", "B", []string{"X"}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				_, slow, _ := strings.Cut(c.first, "=")
				gate := make(chan struct{})
				keeper := failing{keep.New(kv.Memory(), "c0", kad.Seed), func(own []string) error {
					if slices.Equal(own, []string{slow}) {
						<-gate
					}
					if slices.Contains(own, c.fails) {
						return full
					}
					return nil
				}}
				l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
				client := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey, c.Keeper = kad.Seed, identity.PublicKey{}, keeper })
				errs := map[string]error{}
				var mu sync.Mutex
				var wg sync.WaitGroup
				for _, p := range []string{c.first, c.second, c.third} {
					key, value, _ := strings.Cut(p, "=")
					wg.Go(func() {
						_, err := client.PutOpaque(t.Context(), []byte(key), []byte(value))
						mu.Lock()
						defer mu.Unlock()
						errs[value] = err
					})
					synctest.Wait()
				}
				close(gate)
				wg.Wait()
				var got []string
				own, err := client.Own(t.Context())
				for _, p := range own {
					got = append(got, string(p.Record.Value))
				}
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("got %q and %v published, want %q", got, err, c.want)
				}
				for value, err := range errs {
					if failed := errors.Is(err, kad.ErrStore); failed == slices.Contains(c.want, value) {
						t.Errorf("%s: got %v, want that calls fail whose value is not published", value, err)
					}
				}
			})
		})
	}
}

// The verification of a signature panics. The token of the request comes back.
//
// conforms: kad 56
func TestPanicWhileVerifying(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		panics := 0
		l := network(t, 4, kad.StandaloneOptions{Fault: func(path, at string) {
			if at == "task verify" && strings.HasSuffix(path, "/c1/store") {
				mu.Lock()
				panics++
				mu.Unlock()
				panic("as a bug would")
			}
		}}, nil)
		_, signer, _ := ed25519.GenerateKey(nil)
		if r, err := l.clients[0].PutSigned(t.Context(), signer, kad.Value{Body: []byte("value")}); r.Accepted == 0 {
			t.Fatalf("got %+v and %v, want that the others store it", r, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if panics == 0 {
			t.Error("got no panic")
		}
		if requests, answers, stores := kad.Held(l.clients[1]); requests+answers+stores != 0 {
			t.Errorf("got %d, %d and %d tokens that are taken", requests, answers, stores)
		}
	})
}

// The same, but the store is restarted before the verification panics: its end is for an
// incarnation that has ended.
func TestRestartWhileVerifying(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 4, kad.StandaloneOptions{Fault: func(path, at string) {
			if strings.HasSuffix(path, "/c1/store") && at == "task verify" {
				time.Sleep(time.Second)
				panic("as a bug would")
			}
			faults(path, at)
		}}, nil)
		_, signer, _ := ed25519.GenerateKey(nil)
		time.AfterFunc(500*time.Millisecond, func() { l.kill(l.clients[1], "/store") })
		if r, err := l.clients[0].PutSigned(t.Context(), signer, kad.Value{Body: []byte("value"), Seq: 1}); r.Accepted == 0 {
			t.Fatalf("got %+v and %v, want that the others store it", r, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if i := l.info(l.clients[1], "/store"); i.Restarts != 1 {
			t.Errorf("got %d restarts of the store, want 1", i.Restarts)
		}
		if requests, answers, stores := kad.Held(l.clients[1]); requests+answers+stores != 0 {
			t.Errorf("got %d, %d and %d tokens that are taken", requests, answers, stores)
		}
	})
}

// The store is restarted while it writes, and the client is closed while that goes on. The disk
// is used by one task at a time, and has the last value in the end.
//
// conforms: kad 61
func TestRestartWhileWriting(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var at, most, writing atomic.Int32
		keeper := &busy{Keeper: keep.New(kv.Memory(), "c0", kad.Seed), begin: func() func() {
			most.Store(max(most.Load(), at.Add(1)))
			return func() { at.Add(-1) }
		}, takes: func(b kad.Batch) time.Duration {
			if len(b.Own) > 0 && string(b.Own[0].Record.Value) == "first" && writing.Add(1) == 1 {
				return 5 * time.Second
			}
			return 0
		}}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{Fault: faults})
		client := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey, c.Keeper = kad.Seed, identity.PublicKey{}, keeper })
		var puts sync.WaitGroup
		puts.Go(func() { _, _ = client.PutOpaque(t.Context(), []byte("key"), []byte("first")) })
		time.Sleep(time.Second)
		l.kill(client, "/store")
		time.Sleep(time.Second)
		if _, err := client.PutOpaque(t.Context(), []byte("key"), []byte("second")); !errors.Is(err, kad.ErrNoPeers) {
			t.Errorf("got %v, want %v", err, kad.ErrNoPeers)
		}
		time.Sleep(10 * time.Second)
		kept, err := keeper.Load(t.Context())
		if err != nil || len(kept.Own) != 1 || string(kept.Own[0].Record.Value) != "second" {
			t.Errorf("got %+v and %v on the disk, want the second value", kept.Own, err)
		}
		puts.Wait()

		writing.Store(0) // the next first value takes long again
		puts.Go(func() { _, _ = client.PutOpaque(t.Context(), []byte("another"), []byte("first")) })
		time.Sleep(time.Second)
		l.kill(client, "/store")
		time.Sleep(time.Second)
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := at.Load(); n != 0 || most.Load() != 1 {
			t.Errorf("got %d at work after Close, and up to %d at a time, want none, and one", n, most.Load())
		}
		puts.Wait()
	})
}

// busy is a Keeper whose work takes as long as the test wants.
type busy struct {
	kad.Keeper
	begin func() (end func())
	takes func(kad.Batch) time.Duration
}

func (k *busy) Load(ctx context.Context) (*kad.Kept, error) {
	defer k.begin()()
	return k.Keeper.Load(ctx)
}

func (k *busy) Commit(ctx context.Context, b kad.Batch) error {
	defer k.begin()()
	time.Sleep(k.takes(b))
	return k.Keeper.Commit(ctx, b)
}

// A Start is given up while its host is busy. No actors of its client are left, and the name
// is free.
func TestStartGivenUp(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		gate, busy := make(chan struct{}), true
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{Fault: func(_, at string) {
			if at == "supervisor.Attach" && busy {
				busy = false // only the group's actor reads and writes it
				<-gate
			}
		}})
		config := kad.Config{Name: "c", Networks: []kad.Network{l.hub.Network()}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := kad.Start(ctx, l.host, config); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
		}
		close(gate)
		synctest.Wait()
		for _, i := range l.host.Root().Snapshot() {
			if strings.HasSuffix(i.Path, "/c") {
				t.Errorf("got %s, want no actor of the client", i.Path)
			}
		}
		if _, err := kad.Start(t.Context(), l.host, config); err != nil {
			t.Errorf("again: got %v, want nil", err)
		}
	})
}

// stillborn is a network that never opens the first time.
type stillborn struct {
	kad.Network
	opens int
}

func (n *stillborn) Open(c actor.Context, p *kad.Port) kad.Link {
	if n.opens++; n.opens == 1 {
		return neverOpen{}
	}
	return n.Network.Open(c, p)
}

type neverOpen struct{}

func (neverOpen) Send(actor.Context, kad.Outgoing) error { return errors.New("not open") }
func (neverOpen) Receive(actor.Context) bool             { return false }

// A gateway fails while it opens. The Start that waits for it learns that it works when its
// next incarnation has opened.
func TestGatewayFailsWhileOpening(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{Fault: faults})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := kad.Start(ctx, l.host, kad.Config{Name: "c", Networks: []kad.Network{&stillborn{Network: l.hub.Network()}}}); err != nil {
				t.Errorf("got %v, want nil", err)
			}
		})
		synctest.Wait()
		sys := l.host.System()
		sys.Root.Send(sys.NewLocalPID(l.host.Group().Id+"/c/gateways/0"), kill{})
		wg.Wait()
	})
}
