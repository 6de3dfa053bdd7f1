package reachpart

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// machine is a machine whose addresses change, and the trunk that hears of it.
type machine struct {
	Trunk // nil: the rest is not used
	sys   *actor.ActorSystem

	mu    sync.Mutex
	has   []transport.Interface
	did   []string
	reply func(to *actor.PID, msg any)
}

func (m *machine) System() *actor.ActorSystem { return m.sys }

func (m *machine) PID(string) *actor.PID { return m.sys.NewLocalPID("test/watch") }

func (m *machine) note(format string, values ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did = append(m.did, fmt.Sprintf(format, values...))
}

func (m *machine) becomes(has ...transport.Interface) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.has = has
}

func (m *machine) SetAddresses(addrs []ma.Multiaddr, reply *actor.PID) {
	m.note("tell %v", addrs)
	m.reply(reply, users.AddressesSet{})
}

func (m *machine) MoveListener(to netip.Addr, reply *actor.PID) {
	m.note("listen on %v", to)
	m.reply(reply, connections.ListenerMoved{})
}
func (m *machine) AddressGone(ip netip.Addr) { m.note("gone %v", ip) }
func (m *machine) DialAnew()                 { m.note("dial anew") }
func (m *machine) Unplugged(ip netip.Addr)   { m.note("unplugged %v", ip) }

func at(ip string, running bool) transport.Interface {
	return transport.Interface{Addr: netip.MustParseAddr(ip), Running: running}
}

// TestWatch: DHCP gives another address, with the cable pulled between; the node listens there
// and tells it.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		m := &machine{sys: sys}
		m.becomes(at("127.0.0.1", true), at("10.0.0.2", true))
		m.reply = func(to *actor.PID, msg any) { sys.Root.Send(to, msg) }
		own := func() (addrs []ma.Multiaddr) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, i := range m.has {
				if !i.Addr.IsLoopback() {
					addrs = append(addrs, transport.FromAddrPort(netip.AddrPortFrom(i.Addr, 1)))
				}
			}
			return addrs
		}
		r := New(m, Settings{
			Interfaces: func() ([]transport.Interface, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.has, nil
			},
			Own: own, Most: 5, Private: true,
			Home: func(context.Context) (netip.Addr, error) {
				ip, _ := transport.IP(own()[0])
				return ip, nil
			},
		})
		part := r.Part()
		root, err := supervisor.Start(sys, "test", part.Actors[0], supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		step := func(wait time.Duration, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			if got := fmt.Sprint(m.did); got != fmt.Sprint(want) {
				t.Errorf("got %s, want %v", got, want)
			}
			m.did = nil
		}
		step(time.Minute + time.Second)
		m.becomes(at("127.0.0.1", true), at("10.0.0.2", false))
		step(2*time.Second, "unplugged 10.0.0.2")
		m.becomes(at("127.0.0.1", true), at("10.1.0.7", true))
		step(4*time.Second, "listen on 10.1.0.7", "tell [/ip4/10.1.0.7/tcp/1]", "gone 10.0.0.2", "dial anew")
		step(time.Minute, "listen on 10.1.0.7") // nothing new to tell
		if moved, ok := r.Moved(); !ok || fmt.Sprint(moved.Before) != "[/ip4/10.0.0.2/tcp/1]" {
			t.Errorf("got the change %v, %v, want the address before", moved, ok)
		}
		m.becomes(at("127.0.0.1", true), at("10.1.0.7", false))
		r.Look() // before the next look is due
		step(0, "unplugged 10.1.0.7")
		step(time.Minute)
	})
}

// TestWatchBeforeTheRoute: DHCP gives another address, and the default route only seconds later; the
// node listens there and tells it.
func TestWatchBeforeTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var noRoute atomic.Bool
		var looks atomic.Int32
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		m := &machine{sys: sys}
		m.becomes(at("127.0.0.1", true), at("10.0.0.2", true))
		m.reply = func(to *actor.PID, msg any) { sys.Root.Send(to, msg) }
		own := func() (addrs []ma.Multiaddr) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, i := range m.has {
				if !i.Addr.IsLoopback() {
					addrs = append(addrs, transport.FromAddrPort(netip.AddrPortFrom(i.Addr, 1)))
				}
			}
			return addrs
		}
		r := New(m, Settings{
			Interfaces: func() ([]transport.Interface, error) {
				looks.Add(1)
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.has, nil
			},
			Own: own, Most: 5, Private: true,
			Home: func(context.Context) (netip.Addr, error) {
				if noRoute.Load() {
					return netip.Addr{}, errors.New("network is unreachable")
				}
				ip, _ := transport.IP(own()[0])
				return ip, nil
			},
		})
		part := r.Part()
		root, err := supervisor.Start(sys, "test", part.Actors[0], supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		step := func(wait time.Duration, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			if got := fmt.Sprint(m.did); got != fmt.Sprint(want) {
				t.Errorf("got %s, want %v", got, want)
			}
			m.did = nil
		}
		step(time.Minute + time.Second)
		noRoute.Store(true)
		m.becomes(at("127.0.0.1", true)) // off the network for two minutes
		time.Sleep(2 * time.Minute)
		// DHCP: the address first, the default route a moment later
		m.becomes(at("127.0.0.1", true), at("10.1.0.7", true))
		time.Sleep(6 * time.Second)
		noRoute.Store(false)
		synctest.Wait()
		step(3*time.Second, "gone 10.0.0.2", "dial anew", "listen on 10.1.0.7", "tell [/ip4/10.1.0.7/tcp/1]")
		time.Sleep(5 * time.Minute)
		looks.Store(0)
		time.Sleep(time.Minute)
		if n := looks.Load(); n > 31 {
			t.Errorf("got %d looks in a minute, want one every 2 s", n)
		}
	})
}

// TestOwnWithAProvenAddress: what a node of a public network tells others once an address is proven.
//
// conforms: V 3
func TestOwnWithAProvenAddress(t *testing.T) {
	for own, want := range map[string]string{
		"/ip4/192.168.1.5/tcp/18189": "[/ip4/8.8.4.4/tcp/18189]",
		"/ip4/9.9.9.9/tcp/18189":     "[/ip4/9.9.9.9/tcp/18189 /ip4/8.8.4.4/tcp/18189]",
	} {
		r := &Reach{Settings: Settings{Most: 5, Own: func() []ma.Multiaddr { return []ma.Multiaddr{ma.StringCast(own)} }}}
		r.proven.Store(&[]netip.AddrPort{netip.MustParseAddrPort("8.8.4.4:18189")})
		if got := fmt.Sprint(r.own()); got != want {
			t.Errorf("%s: got %s, want %s", own, got, want)
		}
	}
}

// TestWatchRestartsWhileItTells: a restart of the actor while others are being told the new address. What comes for
// the incarnation before is no change; the next one tells again.
func TestWatchRestartsWhileItTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Bool
		var owed []func()
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		m := &machine{sys: sys}
		m.becomes(at("10.0.0.2", true))
		m.reply = func(to *actor.PID, msg any) { owed = append(owed, func() { sys.Root.Send(to, msg) }) }
		now := func() []transport.Interface {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.has
		}
		r := New(m, Settings{
			Interfaces: func() ([]transport.Interface, error) {
				if deaf.Load() {
					return nil, errors.New("no addresses")
				}
				return now(), nil
			},
			Own: func() []ma.Multiaddr {
				return []ma.Multiaddr{transport.FromAddrPort(netip.AddrPortFrom(now()[0].Addr, 1))}
			},
			Most: 5, Private: true,
		})
		watcher := r.Part().Actors[0]
		hears := supervisor.Spec{Name: "hears", New: func() actor.Actor {
			return actor.ReceiveFunc(func(c actor.Context) {
				switch e := c.Message().(type) {
				case *actor.Started:
					supervisor.Subscribe[actors.AddressesChanged](c)
				case actors.AddressesChanged:
					m.note("changed %v", e.Addresses)
				}
			})
		}}
		root, err := supervisor.Start(sys, "test", supervisor.Spec{Name: "part", New: supervisor.Group(hears, watcher)}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		did := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			if got := fmt.Sprint(m.did); got != fmt.Sprint(want) {
				t.Errorf("%s: got %s, want %v", what, got, want)
			}
			m.did = nil
		}
		time.Sleep(time.Minute)
		did("nothing new")
		m.becomes(at("10.1.0.7", true))
		time.Sleep(4 * time.Second)
		did("a new address", "tell [/ip4/10.1.0.7/tcp/1]", "gone 10.0.0.2", "dial anew")
		deaf.Store(true)
		if err := root.Restart(t.Context(), "test/part/watch"); err != nil {
			t.Fatal(err)
		}
		owed[0]()
		did("the answer after a restart")
		deaf.Store(false)
		time.Sleep(time.Minute)
		did("the addresses are known again", "tell [/ip4/10.1.0.7/tcp/1]")
		owed[1]()
		did("the answer", "changed [/ip4/10.1.0.7/tcp/1]")
	})
}
