package attacks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/freeport"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// standIn is what stands for Tor in a test without Tor: a control port, whose onion services
// lead through a SOCKS5 proxy to listeners of this machine.
type standIn struct {
	proxy *transporttest.Proxy
	socks string
}

// torNode is a node behind a standIn.
type torNode struct {
	*gamelan.Node
	control *transporttest.ControlPort
	config  gamelan.Config
	id      tor.ServiceID
	handler func(gamelan.Received) // of messages; nil: they are not looked at
}

// newStandIn returns one with control ports for several nodes, which are not started.
func newStandIn(t *testing.T, nodes int) (all []*torNode) {
	t.Helper()
	s := &standIn{proxy: &transporttest.Proxy{Names: map[string]netip.Addr{}, Ports: map[uint16]uint16{}}}
	for i := range nodes {
		key, err := tor.NewKey(strings.NewReader(strings.Repeat(string(rune('a'+i)), 32)))
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(1001 + i) // the proxy knows services apart by their ports
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, gamelan.TorIdentityFile), tor.Identity{Key: key, Port: port}.Append(nil), 0o600); err != nil {
			t.Fatal(err)
		}
		listen := freePort(t)
		s.proxy.Names[string(key.ID())+".onion"] = netip.MustParseAddr("127.0.0.1")
		s.proxy.Ports[port] = listen.Port()
		cookie := filepath.Join(dir, "cookie") // of its Tor
		if err := os.WriteFile(cookie, []byte(strings.Repeat(string(rune('a'+i)), tor.CookieLen)), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, &torNode{
			control: &transporttest.ControlPort{Service: string(key.ID()), Cookie: cookie}, id: key.ID(),
			config: gamelan.Config{
				Transport: gamelan.TransportTor, DataDir: dir, Floor: gamelan.NoFloor,
				Listen: []string{"/ip4/127.0.0.1/tcp/" + portText(listen)}, NoDHT: true,
				Tor: gamelan.TorConfig{ControlAuth: "safecookie=@" + cookie},
			},
		})
	}
	s.socks = s.proxy.Start(t).String()
	for _, n := range all {
		n.control.Socks = s.socks
		at := netip.MustParseAddrPort(n.control.Start(t))
		n.config.Tor.ControlAddress = "/ip4/127.0.0.1/tcp/" + portText(at)
	}
	return all
}

func portText(a netip.AddrPort) string { return strings.TrimPrefix(a.String(), "127.0.0.1:") }

// freePort returns an address of loopback on which nobody listens.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(ports[0]))
}

// startAll starts nodes, and waits until their services are published.
func startAll(t *testing.T, nodes ...*torNode) {
	t.Helper()
	for _, n := range nodes {
		if err := n.start(t); err != nil {
			t.Fatal(err)
		}
		n.published(t)
	}
}

func (n *torNode) start(t *testing.T) error {
	t.Helper()
	if n.handler == nil {
		n.handler = func(gamelan.Received) {}
	}
	var err error
	n.Node, err = gamelan.Start(t.Context(), n.config, gamelan.WithLogger(slog.New(slog.DiscardHandler)), gamelan.WithHandler(gamelan.Handle(n.handler)))
	if err == nil {
		t.Cleanup(func() { n.Close(context.Background()) })
	}
	return err
}

// until waits until what the node knows of Tor is so.
func (n *torNode) until(t *testing.T, what string, so func(gamelan.TorStatus) bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s, _ := n.Tor()
		if so(s) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited a minute for: %s; got %s, %v, service %+v", what, s.Phase, s.Err, s.Service)
		}
	}
}

// published waits until the onion service is published, and the node tells peers its address.
func (n *torNode) published(t *testing.T) {
	t.Helper()
	n.until(t, "published and advertised", func(s gamelan.TorStatus) bool {
		return s.Service.State == tor.Published && strings.Contains(n.Seed(), s.Onion.String())
	})
}

// usesProxy has Tor name another SOCKS port, host and port, when the node has connected to it again.
func (n *torNode) usesProxy(t *testing.T, at string) {
	t.Helper()
	n.control.Behave(func(line string) (string, bool) {
		text, keep := n.control.Works(line)
		return strings.ReplaceAll(text, fmt.Sprintf("%q", n.control.Socks), fmt.Sprintf("%q", at)), keep
	})
	n.control.Drop()
	host, port, _ := strings.Cut(at, ":")
	n.until(t, "the proxy "+at, func(s gamelan.TorStatus) bool {
		return s.Phase == tor.Ready && s.Proxy != nil && s.Proxy.String() == "/ip4/"+host+"/tcp/"+port
	})
}

// know tells the node about another one, at its onion address alone.
func (n *torNode) know(t *testing.T, other *torNode) {
	t.Helper()
	seed, err := peerstore.ParseSeed(other.Seed())
	if err != nil {
		t.Fatal(err)
	}
	if len(seed.Addresses) != 1 || !strings.HasPrefix(seed.Addresses[0].Addr.String(), "/onion3/"+string(other.id)) {
		t.Fatalf("got the addresses %v, want the onion address alone", seed.Addresses)
	}
	if err := n.Peers().Add(t.Context(), seed); err != nil {
		t.Fatal(err)
	}
}

// confirm sends a message, which has to be confirmed.
func (n *torNode) confirm(t *testing.T, other *torNode) {
	t.Helper()
	if outcome, err := n.Send(t.Context(), other.ID(), []byte("hello")); err != nil || outcome.Kind != gamelan.Confirmed {
		t.Errorf("message from %s to %s: got %v, %v, want it confirmed", n.ID(), other.ID(), outcome, err)
	}
}

// hostility is what a control port does to a node.
type hostility struct {
	name   string
	behave func(p *transporttest.ControlPort) transporttest.ControlBehaviour
	err    error            // what the node makes of it
	later  error            // the same of one that was connected before, if it is another
	does   string           // part of the sentence that says what to do
	first  string           // the same of one that starts, if it is another
	state  tor.ServiceState // of the service, when the control connection stays open
	late   bool             // a node may have started before it comes
}

// at answers lines that begin with prefix, and the rest as a Tor that works.
func at(prefix, text string, keep bool) func(*transporttest.ControlPort) transporttest.ControlBehaviour {
	return func(p *transporttest.ControlPort) transporttest.ControlBehaviour {
		return func(line string) (string, bool) {
			if line != "" && strings.HasPrefix(line, prefix) || line == "" && prefix == "" {
				return text, keep
			}
			return p.Works(line)
		}
	}
}

// hostilities are one control port for each way to go wrong.
func hostilities() []hostility {
	methods := func(text string) string { return "250-PROTOCOLINFO 1\r\n250-AUTH " + text + "\r\n250 OK\r\n" }
	silent := func(*transporttest.ControlPort) transporttest.ControlBehaviour {
		return func(string) (string, bool) { return "", true }
	}
	wrongProof := func(p *transporttest.ControlPort) transporttest.ControlBehaviour {
		return func(line string) (string, bool) {
			switch {
			case strings.HasPrefix(line, "AUTHCHALLENGE"):
				return "250 AUTHCHALLENGE SERVERHASH=" + strings.Repeat("00", 32) + " SERVERNONCE=" + strings.Repeat("11", 32) + "\r\n", true
			}
			return p.Works(line)
		}
	}
	twice := func(p *transporttest.ControlPort) transporttest.ControlBehaviour {
		return func(line string) (string, bool) {
			text, keep := p.Works(line)
			if strings.HasPrefix(line, "ADD_ONION") {
				text += "250 OK\r\n"
			}
			return text, keep
		}
	}
	return []hostility{
		{name: "closes at once", behave: at("", "", false), err: tor.ErrNotRunning, does: "install"},
		{name: "closes after a command", behave: at("PROTOCOLINFO", "", false), err: tor.ErrNotRunning, does: "install"},
		{name: "half a line, then the end", behave: at("PROTOCOLINFO", "250-PROTO", false), err: tor.ErrNotRunning, does: "install"},
		{name: "a web server", behave: at("PROTOCOLINFO", "HTTP/1.1 400 Bad Request\r\n\r\n", true), err: tor.ErrReply, does: "not Tor"},
		{name: "a line without an end", behave: at("PROTOCOLINFO", strings.Repeat("2", 2<<20), true), err: tor.ErrReplyTooLong, does: "not Tor"},
		{name: "an answer to nothing", behave: twice, err: tor.ErrAnswer, does: "not Tor", late: true},
		{name: "wants a password", behave: at("PROTOCOLINFO", methods("METHODS=HASHEDPASSWORD"), true), err: tor.ErrPasswordWanted, later: tor.ErrLess, does: "find out which one", first: "password"},
		{name: "offers nothing that is known", behave: at("PROTOCOLINFO", methods("METHODS=FUTURE"), true), err: tor.ErrNoMethod, later: tor.ErrLess, does: "find out which one", first: "CookieAuthentication 1"},
		{name: "refuses", behave: at("AUTHENTICATE", "515 Authentication failed: no\r\n", false), err: new(tor.AuthError), does: "does not accept"},
		{name: "does not know the cookie", behave: wrongProof, err: tor.ErrNotTor, does: "find out which program"},
		{name: "refuses events", behave: at("SETEVENTS", "552 Unrecognized event\r\n", true), err: new(tor.Refusal), does: "cannot be used"},
		{name: "refuses the service", behave: at("ADD_ONION", "512 Bad arguments\r\n", true), state: tor.Refused, does: "does not take"},
		{name: "another service", behave: at("ADD_ONION", "250-ServiceID="+strings.Repeat("a", 56)+"\r\n250 OK\r\n", true), state: tor.Refused, does: "another onion service"},
		{name: "an address collision", behave: at("ADD_ONION", "550 Onion address collision\r\n", true), state: tor.Collision, does: "held by another"},
		// The last parallel tests start first, and these wait for the limit.
		{name: "says nothing", behave: silent, err: tor.ErrSilent, does: "does not answer"},
		{name: "half a line, then nothing", behave: at("PROTOCOLINFO", "250-PROTO", true), err: tor.ErrSilent, does: "does not answer"},
		{name: "half a reply", behave: at("PROTOCOLINFO", "250-PROTOCOLINFO 1\r\n", true), err: tor.ErrSilent, does: "does not answer"},
	}
}

// is reports whether err is of the kind.
func is(err, kind error) bool {
	switch kind.(type) {
	case *tor.AuthError:
		_, ok := errors.AsType[*tor.AuthError](err)
		return ok
	case *tor.Refusal:
		_, ok := errors.AsType[*tor.Refusal](err)
		return ok
	}
	return errors.Is(err, kind)
}

// TestControlPortIsHostile has a node's control port go wrong in every way, when the node starts
// and while it runs. The error is typed and says what to do, and a node that runs lives on: its
// connection to an honest node carries messages both ways, and its service comes
// back, at the same address, when the control port works again.
func TestControlPortIsHostile(t *testing.T) {
	t.Parallel()
	for _, h := range hostilities() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel() // some wait for the controller's limit of 10 s
			two := newStandIn(t, 3)
			a, honest, refused := two[0], two[1], two[2]

			var starting sync.WaitGroup
			defer starting.Wait()
			starting.Go(func() { // beside the node that runs: both may wait for the limit
				refused.control.Behave(h.behave(refused.control))
				err := refused.start(t)
				switch {
				case h.state == tor.Collision: // it may pass by itself, so the node starts
					if err != nil {
						t.Errorf("start: got %v", err)
					}
				case h.late:
				case err == nil:
					t.Error("start: got no error")
				case h.err != nil && !is(err, h.err), !strings.Contains(err.Error(), cmp.Or(h.first, h.does)):
					t.Errorf("start: got %v, want %T %[2]v, and what to do: %q", err, h.err, cmp.Or(h.first, h.does))
				}
			})

			startAll(t, a, honest)
			a.know(t, honest)
			a.confirm(t, honest)
			address := a.Seed()

			a.control.Behave(h.behave(a.control))
			a.control.Drop()
			a.until(t, h.name, func(s gamelan.TorStatus) bool {
				if h.err != nil {
					return s.Err != nil && is(s.Err, cmp.Or(h.later, h.err))
				}
				return s.Service.State == h.state
			})
			if s, _ := a.Tor(); !strings.Contains(s.Trouble(), h.does) && s.Phase == tor.Away {
				t.Errorf("got %q, want %q in it", s.Trouble(), h.does)
			}
			a.confirm(t, honest)
			honest.confirm(t, a)

			a.control.Behave(a.control.Works)
			a.control.Drop()
			a.published(t)
			if got := a.Seed(); got != address {
				t.Errorf("got the addresses %s, want %s as before", got, address)
			}
		})
	}
}

// TestControlPortSpeaksOfOther has events that are unknown, broken, or about services of others:
// nothing changes.
func TestControlPortSpeaksOfOther(t *testing.T) {
	t.Parallel()
	n := newStandIn(t, 1)[0]
	if err := n.start(t); err != nil {
		t.Fatal(err)
	}
	n.published(t)
	other := strings.Repeat("a", 56)
	n.control.Say("650 HS_DESC\r\n650 HS_DESC FAILED " + other + " x\r\n650 NOBODY KNOWS\r\n650 \r\n650+HS_DESC\r\nx\r\n.\r\n650 OK\r\n" +
		"650 STATUS_CLIENT\r\n650 NETWORK_LIVENESS\r\n650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=-1\r\n650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=99\r\n")
	n.until(t, "the last event", func(s gamelan.TorStatus) bool { return s.Bootstrap == 99 })
	if s, _ := n.Tor(); s.Phase != tor.Ready || s.Service.State != tor.Published {
		t.Errorf("got %s, service %s, want all as before", s.Phase, s.Service.State)
	}
	if got := n.control.Heard("ADD_ONION"); len(got) != 1 {
		t.Errorf("got %d ADD_ONION, want one", len(got))
	}
}
