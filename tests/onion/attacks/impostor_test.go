package attacks

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// impostors are programs without rights that have taken the control port while Tor restarts. Each
// agrees to everything, and names a proxy of its own. The file is one that the node can read and
// the program cannot.
func impostors(file string) map[string]func(*transporttest.ControlPort) transporttest.ControlBehaviour {
	offers := func(methods string) func(*transporttest.ControlPort) transporttest.ControlBehaviour {
		return func(p *transporttest.ControlPort) transporttest.ControlBehaviour {
			return func(line string) (string, bool) {
				switch word, _, _ := strings.Cut(line, " "); word {
				case "PROTOCOLINFO":
					return "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=" + methods + "\r\n250 OK\r\n", true
				case "AUTHCHALLENGE": // it has to guess
					return "250 AUTHCHALLENGE SERVERHASH=" + strings.Repeat("00", 32) + " SERVERNONCE=" + strings.Repeat("11", 32) + "\r\n", true
				}
				return p.Works(line)
			}
		}
	}
	return map[string]func(*transporttest.ControlPort) transporttest.ControlBehaviour{
		"no authentication":    offers("NULL"),
		"a plain cookie":       offers(`COOKIE COOKIEFILE="` + file + `"`),
		"a guessed proof":      offers(`COOKIE,SAFECOOKIE COOKIEFILE="` + file + `"`),
		"a proof without file": offers("NULL,SAFECOOKIE"),
		"a password":           offers("HASHEDPASSWORD"),
	}
}

// TestControlPortIsTaken has a program without rights take the control port, of a node that starts
// and of one that runs. It gets neither the key of the onion service nor the content of a file, and
// no connection goes to its proxy. The node's connections live on; a node with an authentication
// that its user has named for a control port without proof is the control: it gives the key away.
//
// conforms: V 35
func TestControlPortIsTaken(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret of just so many bytes..")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, behave := range impostors(file) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			four := newStandIn(t, 4)
			starting, a, honest, far := four[0], four[1], four[2], four[3]
			took := func(n *torNode) (taken []string) {
				for _, line := range n.control.Heard("") {
					if strings.HasPrefix(line, "ADD_ONION") || strings.Contains(strings.ToLower(line), hex.EncodeToString(secret)) {
						taken = append(taken, strings.Fields(line)[0])
					}
				}
				return taken
			}

			starting.config.Tor.ControlAuth = "auto"
			starting.control.Behave(behave(starting.control))
			if err := starting.start(t); err == nil {
				t.Error("start: got no error")
			} else if !strings.Contains(err.Error(), "set ") {
				t.Errorf("start: got %v, want what to set", err)
			}
			if got := took(starting); len(got) > 0 {
				t.Errorf("start: the program got %v", got)
			}

			startAll(t, a, honest, far)
			a.know(t, honest)
			a.know(t, far)
			a.confirm(t, honest)
			before := len(took(a))
			trap, came := canary(t)
			socks := a.control.Socks
			a.control.Socks = trap.String()
			a.control.Behave(behave(a.control))
			a.control.Drop()
			a.until(t, "a refusal", func(s gamelan.TorStatus) bool {
				return s.Err != nil && strings.Contains(s.Trouble(), "find out which")
			})
			a.confirm(t, honest)
			honest.confirm(t, a)
			if got := took(a); len(got) > before || came.Load() > 0 {
				t.Errorf("the program got %v and %d connections, want nothing", got[before:], came.Load())
			}

			a.control.Socks = socks
			a.control.Behave(a.control.Works)
			a.control.Drop()
			a.published(t)
			a.confirm(t, far)
		})
	}
	t.Run("control: named by the user", func(t *testing.T) {
		t.Parallel()
		n := newStandIn(t, 1)[0]
		n.config.Tor.ControlAuth = string(tor.AuthNone)
		startAll(t, n)
		if len(n.control.Heard("ADD_ONION")) != 1 {
			t.Error("got no ADD_ONION, want that the authentication which the user has named holds")
		}
	})
}

// TestProxyOnlyWithControl has a program without rights wait on Tor's SOCKS port while Tor is away,
// and Tor name a proxy on another machine: the node dials through neither. It dials again when
// the control port is back.
func TestProxyOnlyWithControl(t *testing.T) {
	t.Parallel()
	three := newStandIn(t, 3)
	startAll(t, three...)
	a, honest, far := three[0], three[1], three[2]
	a.know(t, honest)
	a.know(t, far)
	a.confirm(t, honest)
	trap := &relay{to: a.control.Socks}
	at := trap.start(t)
	a.usesProxy(t, at)
	a.control.Behave(func(string) (string, bool) { return "", false })
	a.control.Drop()
	a.until(t, "no control connection", func(s gamelan.TorStatus) bool { return s.Err != nil && s.Proxy == nil })
	if _, err := a.Dial(t.Context(), far.ID()); !errors.Is(err, socks.ErrNoProxy) {
		t.Errorf("got %v, want that no proxy is known", err)
	}
	a.confirm(t, honest)

	before := a.control.Socks
	a.control.Socks = "192.0.2.1:9050"
	a.control.Behave(a.control.Works)
	a.until(t, "a proxy on another machine", func(s gamelan.TorStatus) bool { return s.Phase == tor.Ready && s.ProxyErr != nil })
	if s, _ := a.Tor(); s.Proxy != nil || !strings.Contains(s.Trouble(), "SocksPort") {
		t.Errorf("got the proxy %v and %q, want none, and what to set", s.Proxy, s.Trouble())
	}
	if got := trap.count(); got != 0 {
		t.Errorf("got %d connections through the port of the program, want none", got)
	}
	a.control.Socks = before
	a.control.Drop()
	a.until(t, "the proxy of before", func(s gamelan.TorStatus) bool { return s.Phase == tor.Ready && s.Proxy != nil })
	a.confirm(t, far)
}
