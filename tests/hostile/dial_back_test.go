package hostile

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// beyondLoopback returns an address of this machine that is not of loopback.
func beyondLoopback(t *testing.T) netip.Addr {
	t.Helper()
	all, err := transport.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Addr.Is4() && !i.Addr.IsLoopback() && !i.Addr.IsLinkLocalUnicast() {
			return i.Addr
		}
	}
	t.Skip("this machine has no network")
	return netip.Addr{}
}

// TestDialBacks has a peer ask a node to connect to it: the node does so once in ten seconds, where
// the peer is and nowhere else, and proves nothing by its answer.
func TestDialBacks(t *testing.T) {
	gamelantest.NoLeak(t)
	ip := beyondLoopback(t)
	n := onTCP(t, 1, gamelan.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}})
	port, err := n.Listening()[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	at := ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/%s", ip, port))
	attacker := connect(t, tcp.New(tcp.Options{}), at, secretOf(1), protocol.TakenMarker)
	stream := uint32(1)
	ask := func(a string) reach.Answer {
		t.Helper()
		id := stream
		stream += 2
		attacker.open(id, optimistic(string(reach.ID))+a)
		gamelantest.Eventually(t, patience, "an answer", func() bool { s := attacker.Stream(id); return s.FIN || s.RST })
		answer, err := reach.ReadAnswer(strings.NewReader(attacker.Stream(id).Data))
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	says := func(what string, got reach.Answer, want reach.Code) {
		t.Helper()
		if got.Code != want {
			t.Errorf("%s: got %v, want %v", what, got.Code, want)
		}
	}
	dialBack := func(port uint16) string {
		return string(reach.AppendAsk(nil, reach.Ask{Port: port, Token: [reach.TokenLen]byte{7}}))
	}
	seen := ask(string(reach.AppendAsk(nil, reach.Ask{Observe: true})))
	if own := attacker.raw.LocalMultiaddr(); seen.Seen.Addr() != ip || !strings.HasSuffix(own.String(), fmt.Sprint("/", seen.Seen.Port())) {
		t.Errorf("got %v, want %s", seen.Seen, own)
	}
	says("an unknown request", ask(string(frame.Append(nil, []byte("\x1a\x00")))), reach.Malformed)
	says("a low port", ask(dialBack(80)), reach.Refused)

	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		b := make([]byte, 1+2*reach.TokenLen+1)
		if _, err := c.Read(b); err == nil {
			c.Write(b[1:])
		}
		heard <- string(b)
	}()
	open := uint16(l.Addr().(*net.TCPAddr).Port)
	says("an open port", ask(dialBack(open)), reach.OK)
	token := [reach.TokenLen]byte{7}
	if got := <-heard; got != "\xa7"+hex.EncodeToString(token[:])+"\n" {
		t.Errorf("got %q, want the token and no more", got)
	}
	says("again", ask(dialBack(open)), reach.TooFast)
	if with, ok := n.Connection(attacker.id()); !ok || with.Useful() {
		t.Error("got a connection that questions where it is make useful, or none")
	}
	n.banned(attacker.id(), 0)

	attacker.open(stream, optimistic(string(reach.ID))+string(frame.Append(nil, []byte("\xff"))))
	gamelantest.Eventually(t, patience, "a ban", func() bool {
		_, _, banned := n.Peers().Banned(attacker.id())
		return banned
	})

	silent := onTCP(t, 2, gamelan.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}, Reach: gamelan.ReachConfig{Off: true}})
	if r := silent.Reachability(); r != nil {
		t.Errorf("switched off: got %v, want nothing", r)
	}
}

// TestDrainingDialsNobodyBack: a node that drains makes no connection for a peer that asks for it, and says that it
// makes none now; nor does it ask others to connect to it.
func TestDrainingDialsNobodyBack(t *testing.T) {
	t.Parallel() // it waits most of the time
	ip := beyondLoopback(t)
	n := onTCP(t, 1, gamelan.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}})
	port, err := n.Listening()[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	attacker := connect(t, tcp.New(tcp.Options{}), ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/%s", ip, port)), secretOf(1), protocol.TakenMarker)
	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	came := make(chan struct{}, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came <- struct{}{} // before the node hears of the end
			c.Close()
		}
	}()
	stream := uint32(1)
	ask := func() reach.Code {
		t.Helper()
		id := stream
		stream += 2
		attacker.open(id, optimistic(string(reach.ID))+string(reach.AppendAsk(nil, reach.Ask{Port: uint16(l.Addr().(*net.TCPAddr).Port), Token: [reach.TokenLen]byte{7}})))
		gamelantest.Eventually(t, patience, "an answer", func() bool { s := attacker.Stream(id); return s.FIN || s.RST })
		answer, err := reach.ReadAnswer(strings.NewReader(attacker.Stream(id).Data))
		if err != nil {
			t.Fatal(err)
		}
		return answer.Code
	}
	n.Drain()
	for range 2 {
		if got := ask(); got != reach.TooMany {
			t.Errorf("while it drains: got %v, want %v", got, reach.TooMany)
		}
	}
	if len(came) > 0 {
		t.Error("while it drains, it has connected")
	}
	n.Undrain()
	if got := ask(); got != reach.Failed || len(came) != 1 { // nobody echoes the token
		t.Errorf("afterwards: got %v and %d connections, want %v and one", got, len(came), reach.Failed)
	}
}
