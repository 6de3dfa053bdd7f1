package attacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// badProxy is a SOCKS port that answers what it reads with one text after the other, and then
// hangs up, or stays.
type badProxy struct {
	answers []string
	stays   bool

	mu     sync.Mutex
	open   int // connections
	came   int // connections, the ended ones as well
	change chan struct{}
}

// start serves until the test ends.
func (p *badProxy) start(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.change = make(chan struct{}, 1)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.count(1)
			open.Go(func() {
				p.serve(c)
				p.count(-1)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (p *badProxy) serve(c net.Conn) {
	defer c.Close()
	b := make([]byte, 1024)
	for _, answer := range p.answers {
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
	if p.stays {
		_, _ = io.Copy(io.Discard, c) // until the node closes
	}
}

func (p *badProxy) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += n
	p.came += max(n, 0)
	select {
	case p.change <- struct{}{}:
	default:
	}
}

// has waits until so many connections are open.
func (p *badProxy) has(t *testing.T, n int) {
	t.Helper()
	p.until(t, fmt.Sprint(n, " open"), func() bool { return p.open == n })
}

// isTried waits until a connection has come.
func (p *badProxy) isTried(t *testing.T) {
	t.Helper()
	p.until(t, "one at least", func() bool { return p.came > 0 })
}

func (p *badProxy) until(t *testing.T, want string, ok func() bool) {
	t.Helper()
	for limit := time.After(time.Minute); ; {
		p.mu.Lock()
		open, came, enough := p.open, p.came, ok()
		p.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-p.change:
		case <-limit:
			t.Fatalf("got %d connections to the proxy after a minute, %d of them open, want %s", came, open, want)
		}
	}
}

const (
	socksNoAuth  = "\x05\x00"
	socksOpened  = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	socksWantsPW = "\x05\x02"
)

// TestProxyIsHostile has the SOCKS port of a node's Tor go wrong in every way: a dial ends with a
// typed error, its stage and its cause, in its time, and without the socket. Beside it the
// connection to an honest node, made before, carries every message both ways; and with the
// proxy that works again the node dials.
func TestProxyIsHostile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers []string
		stays   bool
		stage   transport.Stage
		step    socks.Step
		cause   socks.Cause
	}{
		{"another version", []string{"\x04\x5b"}, true, transport.StageProxy, socks.StepMethod, socks.CauseProtocol},
		{"a web server", []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, true, transport.StageProxy, socks.StepMethod, socks.CauseProtocol},
		{"hangs up at once", nil, false, transport.StageProxy, socks.StepMethod, socks.CauseProxyDown},
		{"half a choice", []string{"\x05"}, false, transport.StageProxy, socks.StepMethod, socks.CauseProxyDown},
		{"no method fits", []string{"\x05\xff"}, true, transport.StageProxy, socks.StepMethod, socks.CauseAuth},
		{"refuses the isolation", []string{socksWantsPW, "\x01\x01"}, true, transport.StageProxy, socks.StepAuth, socks.CauseAuth},
		{"dies with the password", []string{socksWantsPW, "\x01"}, false, transport.StageProxy, socks.StepAuth, socks.CauseProxyDown},
		{"another version of the reply", []string{socksNoAuth, "\x04" + socksOpened[1:]}, true, transport.StageProxy, socks.StepRequest, socks.CauseProtocol},
		{"half a reply", []string{socksNoAuth, socksOpened[:6]}, false, transport.StageProxy, socks.StepRequest, socks.CauseProxyDown},
		{"a name without an end", []string{socksNoAuth, "\x05\x00\x00\x03\xffx"}, false, transport.StageProxy, socks.StepRequest, socks.CauseProxyDown},
		{"an unknown code", []string{socksNoAuth, "\x05\x77\x00\x01"}, true, transport.StageConnect, socks.StepRequest, socks.CauseGeneral},
		{"never published", []string{socksNoAuth, "\x05\xf0\x00\x01"}, true, transport.StageConnect, socks.StepRequest, socks.CauseNotPublished},
		{"says nothing", nil, true, transport.StageProxy, socks.StepMethod, socks.CauseTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // silence is waited for 10 s
			three := newStandIn(t, 3)
			startAll(t, three...)
			a, honest, far := three[0], three[1], three[2]
			a.know(t, honest)
			a.know(t, far)
			a.confirm(t, honest)

			bad := &badProxy{answers: c.answers, stays: c.stays}
			a.usesProxy(t, bad.start(t).String())
			dialled := make(chan error, 1)
			go func() {
				_, err := a.Dial(t.Context(), far.ID())
				dialled <- err
			}()
			for range 20 {
				a.confirm(t, honest)
				honest.confirm(t, a)
			}
			err := <-dialled
			e, _ := errors.AsType[*socks.Error](err)
			d, _ := errors.AsType[*transport.DialError](err)
			if e == nil || d == nil || d.Stage != c.stage || e.Step != c.step || e.Cause != c.cause {
				t.Errorf("got %v (%#v), want %s at step %s, stage %s", err, e, c.cause, c.step, c.stage)
			}
			bad.has(t, 0)
			a.confirm(t, honest)
			honest.confirm(t, a)

			a.usesProxy(t, honest.control.Socks)
			a.confirm(t, far)
		})
	}
}

// TestDialIsCancelled has a proxy that never answers a request, and a program that no longer
// wants the connection, or for no longer than a moment: the dial ends, and so does its socket.
func TestDialIsCancelled(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"a deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second) // shorter than a dial waits for a silent proxy
		},
	} {
		t.Run(name, func(t *testing.T) {
			two := newStandIn(t, 2)
			startAll(t, two...)
			a, far := two[0], two[1]
			a.know(t, far)
			bad := &badProxy{answers: []string{socksNoAuth}, stays: true}
			a.usesProxy(t, bad.start(t).String())
			ctx, cancel := end(t.Context())
			defer cancel()
			dialled := make(chan error, 1)
			go func() {
				_, err := a.Dial(ctx, far.ID())
				dialled <- err
			}()
			bad.isTried(t)
			if name == "cancelled" {
				cancel()
			}
			if err := <-dialled; !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
				t.Errorf("got %v, want %v", err, ctx.Err())
			}
			bad.has(t, 0)
		})
	}
}

// TestProxyDiesInMidStream ends every connection through a proxy under messages: each has an
// outcome that is true, and the nodes connect again when there is a proxy.
func TestProxyDiesInMidStream(t *testing.T) {
	t.Parallel()
	two := newStandIn(t, 2)
	var mu sync.Mutex
	heard := map[byte]int{}
	far := two[1]
	far.handler = func(m gamelan.Received) {
		mu.Lock()
		defer mu.Unlock()
		heard[m.Body[0]]++
	}
	startAll(t, two...)
	a := two[0]
	a.know(t, far)
	relay := &relay{to: a.control.Socks}
	a.usesProxy(t, relay.start(t))
	const count = 100
	var pending []*gamelan.Pending[gamelan.Outcome]
	for i := range count {
		p, err := a.Submit(t.Context(), far.ID(), []byte{byte(i), 15: 0})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
		if i == count/2 {
			pending[0].Wait(t.Context())
			relay.drop()
		}
	}
	for i, p := range pending {
		outcome := p.Wait(t.Context())
		mu.Lock()
		times := heard[byte(i)]
		mu.Unlock()
		if outcome.Kind == gamelan.Failed && times != 0 || outcome.Kind == gamelan.Confirmed && times > 1 {
			t.Errorf("message %d: got %v, heard %d times", i, outcome, times)
		}
	}
	a.confirm(t, far)
}

// relay passes connections on to a proxy, and can end all of them.
type relay struct {
	to string
	at string // path of a Unix socket; empty: a port of loopback

	mu    sync.Mutex
	conns []net.Conn
	came  int
}

func (r *relay) start(t *testing.T) string {
	t.Helper()
	network, at := "unix", r.at
	if at == "" {
		network, at = "tcp4", "127.0.0.1:0"
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp4", r.to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, in, out)
			r.came++
			r.mu.Unlock()
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				open.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.drop()
		open.Wait()
	})
	return l.Addr().String()
}

// count returns how many connections came.
func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.came
}

func (r *relay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}
