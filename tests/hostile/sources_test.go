package hostile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// sourced attacks a node whose inbound connections come from where the test says;
// afterwards it must still serve others.
func sourced(t *testing.T, cfg gamelan.Config, attack func(t *testing.T, n *target, tr *placed), opts ...gamelan.Option) {
	t.Helper()
	placing(t, cfg, func(t *testing.T, n *target, tr *placed) {
		attack(t, n, tr)
		tr.place("/ip4/9.9.9.9")
		n.serves()
	}, opts...)
}

// placing is sourced without the look at the node afterwards.
func placing(t *testing.T, cfg gamelan.Config, attack func(t *testing.T, n *target, tr *placed), opts ...gamelan.Option) {
	t.Helper()
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		tr := &placed{Transport: net.Transport()}
		n := &target{t: t, net: net, heard: gamelantest.NewCollector()}
		cfg.Secret, cfg.Listen, cfg.Floor = gamelantest.Secret(1000), []string{"/memory/1000"}, gamelan.NoFloor
		node, err := gamelan.Start(t.Context(), plainly(cfg), append([]gamelan.Option{
			quiet, gamelan.WithHandler(n.heard.New), gamelan.WithSystem(net.System), gamelan.WithTransport(tr),
		}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		n.Node = &gamelantest.Node{Node: node, Number: 1000, Addr: ma.StringCast("/memory/1000"), Transport: tr.Transport}
		n.watch()
		attack(t, n, tr)
	})
}

// TestPeerBookOfOneSource has one address set up connections with ever new keys,
// more than the book holds: a peer that came from elsewhere before, proved its
// key and was never reached is still in it, and a second one may come.
//
// conforms: V 31
func TestPeerBookOfOneSource(t *testing.T) {
	sourced(t, gamelan.Config{MaxPeers: 40, MaxSetupRatePerSource: 1000}, func(t *testing.T, n *target, tr *placed) {
		comes := func(from string, number int) {
			t.Helper()
			tr.place(from)
			p := connect(t, n.net.Transport(), n.Addr, secretOf(number))
			synctest.Wait()
			p.raw.Close()
			synctest.Wait()
		}
		comes("/ip4/8.8.8.8", 1)
		for i := range 300 {
			comes("/ip4/6.6.6.6", 1000+i)
			if got := n.Peers().Len(); got > 40 {
				t.Fatalf("got %d peers, want at most 40", got)
			}
		}
		comes("/ip4/8.8.4.4", 2)
		for _, number := range []int{1, 2} {
			if _, ok := n.Peers().Get(secretOf(number).NodeID()); !ok {
				t.Errorf("peer %d from elsewhere: got it pushed out by one address, want it kept", number)
			}
		}
	})
}

// TestSetupRateOfOneSource has one address set up connections with ever new keys: as
// many begin as the limit says, more are closed before a byte is read, and that is
// seen. Other sources come in, and this one does again, at the pace of the limit.
//
// conforms: V 8
func TestSetupRateOfOneSource(t *testing.T) {
	const limit = 20
	sourced(t, gamelan.Config{MaxSetupRatePerSource: limit}, func(t *testing.T, n *target, tr *placed) {
		number := 1000
		comes := func(from string) (in bool) {
			t.Helper()
			tr.place(from)
			number++
			c := rawDial(t, n.net.Transport(), n.Addr)
			defer func() {
				c.Close()
				synctest.Wait()
			}()
			_, err := noise.Client(c, noise.Config{Static: secretOf(number), Prefix: []byte{wireByte}})
			return err == nil
		}
		for i := range limit {
			if !comes("/ip4/6.6.6.6") {
				t.Fatalf("got set-up %d refused, want %d let in", i+1, limit)
			}
		}
		for range 5 {
			if comes("/ip4/6.6.6.6") {
				t.Error("got one more let in, want it refused")
			}
		}
		for _, e := range happened[actors.InboundRejected](n)[limit:] {
			limited, ok := errors.AsType[*protocol.LimitError](e.Err)
			if !ok || limited.Name != "MaxSetupRatePerSource" || limited.Limit != limit {
				t.Errorf("got %v, want the limit of the source", e.Err)
			}
		}
		if !comes("/ip4/6.6.6.7") {
			t.Error("got another source refused")
		}
		for range 2 * limit {
			if !comes("/ip4/127.0.0.1") {
				t.Fatal("got an exempt source refused")
			}
		}
		if p := n.Inspection().Node(t.Context()).Places; p.TooFast != 5 || p.Refused != 5 || p.MaxSetupRate != limit {
			t.Errorf("status: got %+v, want 5 refused for the rate", p)
		}
		if got := strings.Join(n.Inspection().Node(t.Context()).Warnings.Texts(), "\n"); !strings.Contains(got, "connections from 6.6.6.6/32 were refused") || !strings.Contains(got, "connections.max_setup_rate_per_source is 20") {
			t.Errorf("got the warnings %q, want one that names the source and the setting", got)
		}
		time.Sleep(time.Minute / limit)
		if !comes("/ip4/6.6.6.6") || comes("/ip4/6.6.6.6") {
			t.Error("want one more let in after its time")
		}
	})
}

// TestNewcomersFromExemptSources has ever new identities set up connections from a
// source without limits, eight at a time: 100 at once and 200 a second go on, so that
// each waits for at most as long as those before it, and another newcomer too. None is
// refused. Those that the node knows do not wait.
//
// conforms: V 8
func TestNewcomersFromExemptSources(t *testing.T) {
	const attackers, each = 8, 100
	bubble(t, func(t *testing.T, n *target) {
		comes := func(number int) time.Duration {
			begin := time.Now()
			c := connect(t, n.net.Transport(), n.Addr, secretOf(number))
			defer c.raw.Close()
			return time.Since(begin)
		}
		comes(1)
		synctest.Wait()
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range attackers {
			wg.Go(func() {
				for k := range each {
					if took := comes(1000 + each*i + k); took > 100*time.Millisecond {
						t.Errorf("got a wait of %v, want that of those before it", took)
					}
				}
			})
		}
		time.Sleep(time.Second)
		if took := comes(1); took > 0 {
			t.Errorf("got a peer that the node knows in after %v, want at once", took)
		}
		if took := comes(2); took > 100*time.Millisecond {
			t.Errorf("got a newcomer in after %v, want soon", took)
		}
		wg.Wait()
		if took := time.Since(begin); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("got %d newcomers in %v, want 100 at once and 200 a second", attackers*each, took)
		}
		if p := n.Inspection().Node(t.Context()).Places; p.Refused != 0 || p.Waited < attackers*each-200 {
			t.Errorf("status: got %+v, want none refused, and most of them told to wait", p)
		}
	})
}

// records counts the log's records by their message.
type records struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *records) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.buf.String(), text)
}

// TestIdentityRotation offends with ever new keys: after some offences the source
// is refused before a byte is read, others are not, and the log grows by the
// minute and not by the offence. What is exempt is never refused.
//
// conforms: V 31
func TestIdentityRotation(t *testing.T) {
	log := &records{}
	logged := gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil)))
	sourced(t, gamelan.Config{MaxOffencesPerSource: 20}, func(t *testing.T, n *target, tr *placed) {
		offend := func(from string, first, count int) (refused int) {
			t.Helper()
			tr.place(from)
			for i := range count {
				if !n.offends(first + i) {
					refused++
				}
			}
			return refused
		}
		if refused := offend("/ip4/6.6.6.6", 1000, 50); refused != 30 {
			t.Errorf("got %d connections of the source refused, want 30", refused)
		}
		if refused := offend("/ip4/127.0.0.1", 2000, 50); refused != 0 {
			t.Errorf("got %d connections of an exempt source refused, want none", refused)
		}
		if refused := offend("/ip4/8.8.8.8", 3000, 1); refused != 0 {
			t.Error("got another source refused")
		}
		d := strings.Join(n.Inspection().Node(t.Context()).Warnings.Texts(), "\n")
		if !strings.Contains(d, "6.6.6.6/32") || strings.Contains(d, "8.8.8.8") {
			t.Errorf("status: got %q, want the one source that is refused", d)
		}
		kit.Says(t, n.Node.Node, codes.SourceRefused)
		time.Sleep(2 * time.Minute)
		if n := log.count("level=WARN"); n > 5 {
			t.Errorf("got %d warnings for %d offences, want one and a sum a minute of offences and of refusals, and one of the source", n, 71)
		}
		if log.count("peer violation: more within a minute") == 0 {
			t.Error("got no sum in the log")
		}
		time.Sleep(10 * time.Minute)
		if refused := offend("/ip4/6.6.6.6", 4000, 1); refused != 0 {
			t.Error("got the source refused after ten minutes, want it let in")
		}
	}, logged)
}

// TestOffenceIsNotForgotten has so many other connections end before anybody hears
// of an offence that the node has forgotten its connection: it counts for its
// source all the same.
func TestOffenceIsNotForgotten(t *testing.T) {
	for name, offend := range map[string]func(p *peer){
		"of a message":       func(p *peer) { p.open(1, optimistic(messaging)+announced(9<<20)) },
		"of the multiplexer": func(p *peer) { p.Data(rawpeer.SYN, 2, "") },
	} {
		t.Run(name, func(t *testing.T) {
			var blocked atomic.Bool
			var release chan struct{}
			stop := gamelan.WithFault(func(path, _ string) {
				if strings.HasSuffix(path, "/connectivity") && blocked.Load() {
					<-release
				}
			})
			sourced(t, gamelan.Config{MaxOffencesPerSource: 1, MaxSetupRatePerSource: 1000}, func(t *testing.T, n *target, tr *placed) {
				release = make(chan struct{})
				blocked.Store(true)
				tr.place("/ip4/6.6.6.6")
				offend(connect(t, n.net.Transport(), n.Addr, secretOf(1)))
				synctest.Wait()
				tr.place("/ip4/8.8.8.8")
				for i := range 300 {
					other := connect(t, n.net.Transport(), n.Addr, secretOf(2000+i))
					synctest.Wait()
					other.raw.Close()
					synctest.Wait()
				}
				blocked.Store(false)
				close(release)
				synctest.Wait()
				d := strings.Join(n.Inspection().Node(t.Context()).Warnings.Texts(), "\n")
				if !strings.Contains(d, "6.6.6.6/32") {
					t.Errorf("status: got %q, want the source of the offence refused", d)
				}
			}, stop)
		})
	}
}

// offends connects with that key, declares a message that is too long, and
// reports whether it got that far.
func (n *target) offends(number int) bool {
	n.t.Helper()
	secret := secretOf(number)
	c := rawDial(n.t, n.net.Transport(), n.Addr)
	secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{wireByte}})
	if err != nil {
		return false
	}
	p := &peer{t: n.t, secret: secret, raw: c, conn: secure}
	p.exchange(nil)
	p.open(1, optimistic(messaging)+announced(9<<20))
	synctest.Wait()
	if _, _, ok := n.Peers().Banned(secret.NodeID()); !ok {
		n.t.Errorf("key %d: got no ban for an overlong message", number)
	}
	c.Close()
	return true
}

// TestChurnOfOneSource opens and resets substreams as ever new identities of one
// address, until each connection ends for it: nobody is banned, but after some the
// source is refused. What is exempt is not, and others are not.
func TestChurnOfOneSource(t *testing.T) {
	sourced(t, gamelan.Config{MaxOffencesPerSource: 3}, func(t *testing.T, n *target, tr *placed) {
		churn := func(from string, first, count int) (refused int) {
			t.Helper()
			tr.place(from)
			for i := range count {
				secret := secretOf(first + i)
				c := rawDial(t, n.net.Transport(), n.Addr)
				secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{wireByte}})
				if err != nil {
					refused++
					continue
				}
				p := &peer{t: t, secret: secret, raw: c, conn: secure}
				p.exchange(nil)
				p.churn()
				n.disconnected(p.id(), actors.CloseChurn, mux.ErrTooMuchChurn)
				n.banned(p.id(), 0)
			}
			return refused
		}
		if refused := churn("/ip4/127.0.0.1", 1000, 5); refused != 0 {
			t.Errorf("got %d connections of an exempt source refused, want none", refused)
		}
		if refused := churn("/ip4/6.6.6.6", 2000, 5); refused != 2 {
			t.Errorf("got %d connections of the source refused, want the last 2", refused)
		}
		if refused := churn("/ip4/8.8.8.8", 3000, 1); refused != 0 {
			t.Error("got another source refused")
		}
	})
}
