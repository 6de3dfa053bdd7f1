package network

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// controlPort is a scripted control port. It knows one service.
type controlPort struct {
	proof  transporttest.ControlPort // knows the cookie
	id     tor.ServiceID
	answer func(command string) (lines string, ok bool) // in place of the usual answer; may be nil

	mu    sync.Mutex
	conns []net.Conn
	said  []string // commands
	away  bool
}

var errAway = errors.New("nobody listens")

func (p *controlPort) connect(context.Context) (io.ReadWriteCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return nil, errAway
	}
	ours, theirs := net.Pipe()
	p.conns = append(p.conns, theirs)
	go p.serve(theirs)
	return ours, nil
}

func (p *controlPort) serve(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		command := lines.Text()
		p.mu.Lock()
		p.said = append(p.said, command)
		p.mu.Unlock()
		text, ok := "", false
		if p.answer != nil {
			text, ok = p.answer(command)
		}
		if !ok {
			text = p.usual(command)
		}
		if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
			return
		}
	}
}

func (p *controlPort) usual(command string) string {
	switch word, _, _ := strings.Cut(command, " "); word {
	case "PROTOCOLINFO", "AUTHCHALLENGE":
		text, _ := p.proof.Works(command)
		return strings.ReplaceAll(text, "\r", "")
	case "GETINFO":
		return "250-version=0.4.9.11\n250-net/listeners/socks=\"127.0.0.1:9050\"\n" +
			"250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done\n250-status/circuit-established=1\n250-network-liveness=up\n250 OK\n"
	case "ADD_ONION":
		return fmt.Sprintf("250-ServiceID=%s\n250 OK\n", p.id)
	}
	return "250 OK\n"
}

// say sends an event on the newest connection.
func (p *controlPort) say(format string, args ...any) {
	p.mu.Lock()
	c := p.conns[len(p.conns)-1]
	p.mu.Unlock()
	fmt.Fprintf(c, format+"\r\n", args...)
}

// published says that a directory has the service.
func (p *controlPort) published() { p.say("650 HS_DESC UPLOADED %s UNKNOWN $F~relay", p.id) }

// leave closes all connections, and takes no more.
func (p *controlPort) leave(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *controlPort) count(word string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.said {
		if strings.HasPrefix(s, word) {
			n++
		}
	}
	return n
}

// behind returns the config of a node behind the port: with its key in a data directory.
func (p *controlPort) behind(t *testing.T) (gamelan.Config, gamelan.Option) {
	t.Helper()
	key, err := tor.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.id = key.ID()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, gamelan.TorIdentityFile), tor.Identity{Key: key, Port: 18141}.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	p.proof.Cookie = filepath.Join(dir, "cookie")
	if err := os.WriteFile(p.proof.Cookie, make([]byte, tor.CookieLen), 0o600); err != nil {
		t.Fatal(err)
	}
	return gamelan.Config{
		DataDir: dir, Transport: gamelan.TransportTor,
		Tor: gamelan.TorConfig{ForwardAddress: "/ip4/127.0.0.1/tcp/4001", ControlAuth: "safecookie=@" + p.proof.Cookie},
	}, gamelan.WithTorControl(p.connect)
}

// TestBubbleTorAddress has a node that shows itself to nobody before its onion service is
// published, and then with the onion address alone, also after Tor was away.
//
// conforms: comms 142
func TestBubbleTorAddress(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		network := gamelantest.NewNetwork(t)
		p := &controlPort{}
		cfg, opt := p.behind(t)
		a, b := network.Start(cfg, opt), network.Start(gamelan.Config{})
		network.Introduce(a, b)
		told := make(chan []ma.Multiaddr, 1)
		go func() {
			for e := range a.Events(t.Context()) {
				if _, ok := e.Value.(tor.ServicePublished); ok {
					s, _ := a.Tor()
					if s.Advertised.IsZero() {
						t.Error("got an event before the address is advertised")
					}
					told <- a.Addresses()
					return
				}
			}
		}()
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := a.Dial(t.Context(), b.ID())
			done <- err
		}()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(b.Connections()); n != 0 || len(a.Addresses()) != 0 {
			t.Errorf("got %d connections and the addresses %v before the service is published, want none", n, a.Addresses())
		}
		p.published()
		if err := <-done; err != nil || time.Since(began) > 21*time.Second {
			t.Errorf("got %v after %v, want the connection when the service is published", err, time.Since(began))
		}
		synctest.Wait()
		onion, _ := p.id.Multiaddr(18141)
		if got := <-told; len(got) != 1 || !got[0].Equal(onion) {
			t.Errorf("got the addresses %v with the event, want %s", got, onion)
		}
		peer, _ := b.Peers().Get(a.ID())
		if len(peer.Addresses) != 1 || !peer.Addresses[0].Addr.Equal(onion) {
			t.Errorf("got %v at the peer, want %s alone", peer.Addresses, onion)
		}
		if s, _ := a.Tor(); !s.Reachable() || s.Trouble() != "" {
			t.Errorf("got %+v, want it reachable", s)
		}

		// Tor goes away for a minute: a broken Tor, and then a service not published yet.
		p.leave(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		s, _ := a.Tor()
		if s.Reachable() || !strings.Contains(s.Trouble(), "cannot be reached") || s.Service.State != tor.Unpublished {
			t.Errorf("got %q and %s without Tor, want Tor's trouble", s.Trouble(), s.Service.State)
		}
		kit.Says(t, a.Node, codes.TorFailed)
		if got := a.Addresses(); len(got) != 1 || !got[0].Equal(onion) {
			t.Errorf("got the addresses %v without Tor, want %s to stay", got, onion)
		}
		p.leave(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s, _ := a.Tor(); s.Service.State != tor.Added || p.count("ADD_ONION") != 2 {
			t.Errorf("got %s after %d ADD_ONION, want it added again", s.Service.State, p.count("ADD_ONION"))
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if p.count("DEL_ONION") != 1 || p.count("QUIT") != 1 {
			t.Errorf("got %d DEL_ONION and %d QUIT at the stop, want one each", p.count("DEL_ONION"), p.count("QUIT"))
		}
		time.Sleep(2 * time.Second)
	})
}

// TestBubbleTorControlPorts has control ports that misbehave in every way: the node stays up,
// says what is wrong, and is back with the same service when the port works.
func TestBubbleTorControlPorts(t *testing.T) {
	flood := strings.Repeat("650 HS_DESC UPLOADED x UNKNOWN $F~relay\n650 STATUS_GENERAL WARN BUG\n", 1000)
	for name, c := range map[string]struct {
		command string // which is answered otherwise, once connected again
		lines   string
		refused bool // the connection stays, and the service is refused
		want    string
	}{
		"silence":               {"GETINFO", "", false, "does not answer"},
		"half a line":           {"SETEVENTS", "25", false, "not Tor"},
		"no control port":       {"PROTOCOLINFO", "HTTP/1.1 400 Bad Request\n", false, "not Tor"},
		"a reply without end":   {"GETINFO", strings.Repeat("250-x=y\n", 200_000), false, "not Tor"},
		"an answer to nothing":  {"SETEVENTS", "250 OK\n250 OK\n250 OK\n250 OK\n", false, "not Tor"},
		"wrong password":        {"AUTHENTICATE", "515 Authentication failed\n", false, "does not accept"},
		"no known method":       {"PROTOCOLINFO", "250-AUTH METHODS=MAGIC\n250 OK\n", false, "less proof than before"},
		"another service":       {"ADD_ONION", "250-ServiceID=" + strings.Repeat("a", 56) + "\n250 OK\n", true, "another onion service"},
		"the service is held":   {"ADD_ONION", "550 Onion address collision\n", true, "held by another"},
		"the service refused":   {"ADD_ONION", "512 Bad arguments\n", true, "does not take"},
		"events without number": {"SETEVENTS", flood + "250 OK\n", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				network := gamelantest.NewNetwork(t)
				p := &controlPort{}
				cfg, opt := p.behind(t)
				a := network.Start(cfg, opt)
				p.mu.Lock()
				bad := true
				p.answer = func(command string) (string, bool) {
					p.mu.Lock()
					defer p.mu.Unlock()
					return c.lines, bad && strings.HasPrefix(command, c.command)
				}
				p.mu.Unlock()
				p.leave(false)
				said := func() bool {
					s, _ := a.Tor()
					return c.want != "" && strings.Contains(s.Trouble(), c.want) && c.refused == (s.Phase == tor.Ready)
				}
				ok := false
				for i := 0; i < 40 && !ok; i++ {
					time.Sleep(time.Second)
					synctest.Wait()
					ok = said()
				}
				if s, _ := a.Tor(); c.want == "" && s.Trouble() != "" || c.want != "" && !ok {
					t.Errorf("got %q in phase %s, want it to say %q", s.Trouble(), s.Phase, c.want)
				}
				// Also a port that breaks after each authentication is tried at a decent pace.
				if n := p.count("AUTHENTICATE") + p.count("PROTOCOLINFO"); n > 2*(40+10) {
					t.Errorf("got %d attempts, want one a second at most", n/2)
				}
				p.mu.Lock()
				bad = false
				p.mu.Unlock()
				p.leave(false)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if s, _ := a.Tor(); s.Service.State != tor.Added || s.Service.ID != p.id {
					t.Errorf("got %s of %s with a port that works, want the same service", s.Service.State, s.Service.ID)
				}
				time.Sleep(2 * time.Second)
			})
		})
	}
}

// TestBubbleTorCrashes makes the actor fail at each of its messages and tasks: it publishes
// the same service again, and the address stays.
func TestBubbleTorCrashes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		network := gamelantest.NewNetwork(t)
		p := &controlPort{}
		cfg, opt := p.behind(t)
		var mu sync.Mutex
		seen, armed := map[string]bool{}, ""
		fault := gamelan.WithFault(func(path, point string) {
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(path, "/tor/controller") {
				return
			}
			point = strings.TrimRight(point, "0123456789") // of a task: without its number
			seen[point] = true
			if armed == point {
				armed = ""
				panic("injected at " + point)
			}
		})
		a := network.Start(cfg, opt, fault)
		p.published()
		time.Sleep(time.Second)
		p.leave(false) // so that every kind of message is seen
		time.Sleep(5 * time.Second)
		mu.Lock()
		points := make([]string, 0, len(seen))
		for point := range seen {
			points = append(points, point)
		}
		mu.Unlock()
		if len(points) < 5 {
			t.Fatalf("got the points %v, want more", points)
		}
		for _, point := range points {
			mu.Lock()
			armed = point
			mu.Unlock()
			p.leave(false)
			time.Sleep(90 * time.Second)
			synctest.Wait()
			p.published()
			time.Sleep(time.Second)
			synctest.Wait()
			if s, _ := a.Tor(); !s.Reachable() || len(a.Addresses()) != 1 {
				t.Errorf("after a panic at %s: got %s in phase %s, want it published", point, s.Service.State, s.Phase)
			}
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
}

// TestBubbleTorRefusesTheStart has nobody on the control port.
func TestBubbleTorRefusesTheStart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		network := gamelantest.NewNetwork(t)
		p := &controlPort{away: true}
		cfg, opt := p.behind(t)
		cfg.Listen = []string{"/memory/77"}
		_, err := gamelan.Start(t.Context(), cfg, opt, gamelan.WithSystem(network.System), gamelan.WithTransport(network.Transport()))
		if _, ok := errors.AsType[*tor.StartError](err); !ok || !strings.Contains(err.Error(), "install the package tor") {
			t.Errorf("got %v, want what to install and start", err)
		}
		time.Sleep(2 * time.Second)
	})
}
