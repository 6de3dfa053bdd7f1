package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Metrics of Tor.
const (
	TorProbe     = "probe ns"            // CONNECT of a SOCKS client made by hand to a service that its Tor has never met, median
	TorFirst     = "first message ns"    // of two nodes that have never met, up to its proof, median
	TorOver      = "first over probe ns" // the difference of both in the same pair, the largest
	TorPublished = "TERM: published ns"  // from Tor's readiness after a stop, the longest
	TorDialled   = "TERM: dialled ns"    // a dial of the other node after that, the longest
	TorKilled    = "KILL: connected ns"  // from Tor's readiness after a kill to a connection, the longest
	torPairs     = 5
	torLimit     = 2 * time.Minute
	torPatience  = 10 * time.Millisecond
)

// Tor is gamelan/tor: nodes over onion services of a private Tor network on this machine.
func Tor() harness.Case {
	return harness.Case{Name: "gamelan/tor", Rounds: 1, Limit: 15 * time.Minute, Run: func(m *harness.Meter) error {
		dir, err := os.MkdirTemp("", "gamelan-bench-tor")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		network, err := tornet.Start(m.Context(), dir, tornet.Options{Clients: 3})
		if err != nil {
			return err
		}
		defer network.Stop()
		var probes, firsts []time.Duration
		over := time.Duration(-1 << 62)
		for range torPairs {
			probe, first, err := torPair(m.Context(), network.Clients)
			if err != nil {
				return err
			}
			probes, firsts, over = append(probes, probe), append(firsts, first), max(over, first-probe)
		}
		m.Report(TorProbe, float64(middle(probes)))
		m.Report(TorFirst, float64(middle(firsts)))
		m.Report(TorOver, float64(over))
		for _, end := range []struct {
			end                func(*tornet.Client)
			published, dialled string
		}{{(*tornet.Client).Terminate, TorPublished, TorDialled}, {(*tornet.Client).Kill, "KILL: published ns", TorKilled}} {
			var published, dialled time.Duration
			for range torPairs {
				p, d, err := torReturns(m.Context(), network.Clients, end.end)
				if err != nil {
					return err
				}
				if end.dialled == TorKilled {
					d += p
				}
				published, dialled = max(published, p), max(dialled, d)
			}
			m.Report(end.published, float64(published))
			m.Report(end.dialled, float64(dialled))
		}
		return m.Reported()
	}}
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// torNodes starts two nodes behind the first two clients, and waits until both are published and
// the first knows the second.
func torNodes(ctx context.Context, clients []*tornet.Client) (a, b *gamelan.Node, stop func(), err error) {
	var nodes []*gamelan.Node
	stop = func() {
		for _, n := range nodes {
			_ = n.Close(context.Background())
		}
	}
	for _, c := range clients[:2] {
		host, port, _ := strings.Cut(c.Control, ":")
		config := gamelan.Config{Transport: gamelan.TransportTor, NoDHT: true, Floor: gamelan.NoFloor, KeepAlive: time.Second}
		config.Tor.ControlAddress, config.Tor.NewCircuits = "/ip4/"+host+"/tcp/"+port, true
		config.Tor.ControlAuth = "safecookie=@" + c.Cookie
		n, err := gamelan.Start(ctx, config, gamelan.WithLogger(slog.New(slog.DiscardHandler)), gamelan.WithHandler(gamelan.Handle(func(gamelan.Received) {})))
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if err = torPublished(n); err != nil {
			stop()
			return nil, nil, nil, err
		}
	}
	if _, err = nodes[0].Peers().AddSeed(ctx, nodes[1].Seed()); err != nil {
		stop()
		return nil, nil, nil, err
	}
	return nodes[0], nodes[1], stop, nil
}

// torPublished waits until a node's onion service is published and advertised.
func torPublished(n *gamelan.Node) error {
	for limit := time.Now().Add(torLimit); time.Now().Before(limit); time.Sleep(torPatience) {
		if s, _ := n.Tor(); s.Service.State == tor.Published && strings.Contains(n.Seed(), s.Onion.String()) {
			return nil
		}
	}
	s, _ := n.Tor()
	return fmt.Errorf("the onion service is not published: %s %w", s.Service.State, errors.Join(s.Err, errors.New(s.Trouble())))
}

// torPair has the third client and then the first node meet the second node, both for the first time.
func torPair(ctx context.Context, clients []*tornet.Client) (probe, first time.Duration, err error) {
	a, b, stop, err := torNodes(ctx, clients)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	status, _ := b.Tor()
	begin := time.Now()
	if err := torProbe(clients[2].Socks, string(status.Service.ID)+".onion", tor.DefaultOnionPort); err != nil {
		return 0, 0, err
	}
	probe = time.Since(begin)
	begin = time.Now()
	outcome, err := a.Send(ctx, b.ID(), []byte("hello"))
	if err == nil && outcome.Kind != gamelan.Confirmed {
		err = fmt.Errorf("the first message: %v", outcome)
	}
	return probe, time.Since(begin), err
}

// torProbe asks a SOCKS port for a connection, by hand.
func torProbe(socks, host string, port int) error {
	c, err := net.Dial("tcp4", socks)
	if err != nil {
		return err
	}
	defer c.Close()
	request := append(append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(host))}, host...), byte(port>>8), byte(port))
	if _, err := c.Write(request); err != nil {
		return err
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || answer[3] != 0 {
		return fmt.Errorf("the probe got %x: %w", answer, err)
	}
	return nil
}

// torReturns ends the Tor of the second of two connected nodes and starts it again. It returns the
// times from its readiness to the service's publication, and from there to a connection.
func torReturns(ctx context.Context, clients []*tornet.Client, end func(*tornet.Client)) (published, dialled time.Duration, err error) {
	a, b, stop, err := torNodes(ctx, clients)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	if _, err := a.Dial(ctx, b.ID()); err != nil {
		return 0, 0, err
	}
	end(clients[1])
	for limit := time.Now().Add(torLimit); ; time.Sleep(torPatience) {
		if s, _ := b.Tor(); s.Service.State != tor.Published {
			break
		}
		if time.Now().After(limit) {
			return 0, 0, errors.New("the node does not notice that its Tor has ended")
		}
	}
	if err := clients[1].Start(); err != nil {
		return 0, 0, err
	}
	if err := clients[1].Ready(ctx); err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := torPublished(b); err != nil {
		return 0, 0, err
	}
	published, begin = time.Since(begin), time.Now()
	if err := a.Disconnect(ctx, b.ID()); err != nil {
		return 0, 0, err
	}
	for limit := time.Now().Add(torLimit); ; {
		_, err := a.Dial(ctx, b.ID())
		if err == nil {
			return published, time.Since(begin), nil
		}
		if time.Now().After(limit) {
			return 0, 0, err
		}
	}
}
