package machines

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// must runs lines of the shell on a machine.
func must(t *testing.T, m *bed.Machine, lines string) {
	t.Helper()
	if p := m.Shell("set -e\n" + lines); p.Code() != 0 {
		t.Fatalf("%s: got exit code %d\n%s%s", m.Name, p.Code(), p.Out(), p.Errs())
	}
}

// TestDialsThatThisMachineStops: rules, routes and ports of the own machine keep a dial from the network, and the doctor says which.
func TestDialsThatThisMachineStops(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	b.Node("--network", localnet, "--listen", bed.Listen)
	line := func(ip string) string { return fmt.Sprintf("%s::/ip4/%s/tcp/%d", b.Key(), ip, bed.Port) }
	a.Node("--network", localnet, "--listen", bed.Listen)
	f := new(faults)
	must(t, a, "ip route add prohibit 11.9.9.9/32; ip route add blackhole 11.9.9.8/32")
	f.doctor(t, told{fault: "a rule forbids it"}, "dial_forbidden", a, line("11.9.9.9"))
	f.doctor(t, told{fault: "an error without a name"}, "dial_failed", a, line("11.9.9.8"))
	c, err := a.DialFrom(40000, fmt.Sprintf("%s:%d", b.Addr(), bed.Port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must(t, a, `sysctl -w net.ipv4.ip_local_port_range="40000 40000"`)
	f.doctor(t, told{fault: "no free port"}, "dial_no_port", a, b.Line())
	must(t, a, `sysctl -w net.ipv4.ip_local_port_range="32768 60999"; ip route del default`)
	f.doctor(t, told{fault: "no route"}, "dial_no_route", a, line("11.9.9.7"))
}

// TestListenerIsSilent: a firewall of the own machine closes the port for it, too.
func TestListenerIsSilent(t *testing.T) {
	a := fresh(t).Machine("A")
	a.Node("--network", localnet, "--listen", bed.Listen)
	must(t, a, fmt.Sprintf("nft 'table inet closed { chain in { type filter hook input priority 0; tcp dport %d drop; }; }'", bed.Port))
	new(faults).doctor(t, told{fault: "the port is closed here"}, "listener_silent", a)
}

// TestLoopbackOnly: a node knows others, and listens where its own machine alone reaches it.
func TestLoopbackOnly(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	b.Node("--network", localnet, "--listen", bed.Listen)
	a.Node("--network", localnet, "--listen", "/ip4/127.0.0.1/tcp/18189", "--peer", b.Line())
	says(t, net, a, "loopback_only")
}

// says waits until the node of a machine says a code.
func says(t *testing.T, net *bed.Bed, m *bed.Machine, code string) {
	t.Helper()
	took := net.Within(patience*3, m.Name+" says "+code, func() bool {
		_, ok := notice(m, code)
		return ok
	})
	t.Logf("%s says %s after %v", m.Name, code, took)
}

// TestAddressesThatAreWrong: a node tells what is wrong with where it listens and with what it tells others.
func TestAddressesThatAreWrong(t *testing.T) {
	net := fresh(t)
	a, b, c, d := net.Machine("A"), net.Machine("B"), net.Machine("C"), net.Machine("D")
	// It tells others an address at which nobody is.
	a.Router.NAT()
	a.Router.Forward(bed.Port)
	for _, m := range []*bed.Machine{b, c} {
		m.Node("--network", nextnet, "--listen", bed.Listen)
	}
	a.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line(), "--peer", c.Line(), "--public-address", fmt.Sprintf("/ip4/11.4.0.99/tcp/%d", bed.Port))
	// It listens on an address that the machine has no longer.
	d.Node("--network", nextnet, "--listen", fmt.Sprintf("/ip4/%s/tcp/%d", d.Addr(), bed.Port), "--peer", b.Line())
	d.ChangeAddress()
	says(t, net, d, "listen_gone")
	says(t, net, a, "wrong_public_address")
}

// TestBlockedHere: a firewall of the own machine lets nobody in, in each kind of network. Others find it out, and status, health, doctor and
// why say so on the machine itself.
func TestBlockedHere(t *testing.T) {
	for _, network := range []string{localnet, "acme.network"} {
		t.Run(network, func(t *testing.T) {
			net := fresh(t)
			a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
			if network != localnet {
				b.Run("network", "create", "acme", "--file", network)
				file := b.Start(nil, "cat", network)
				file.Code()
				for _, m := range []*bed.Machine{a, c} {
					must(t, m, "umask 077; cat > "+network+" <<'X'\n"+file.Out()+"\nX")
				}
			}
			must(t, a, fmt.Sprintf("nft 'table inet closed { chain in { type filter hook input priority 0; iif eth0 tcp dport %d drop; }; }'", bed.Port))
			b.Node("--network", network, "--listen", bed.Listen)
			gone := c.Node("--network", network, "--listen", bed.Listen, "--peer", b.Line())
			a.Node("--network", network, "--listen", bed.Listen, "--peer", b.Line(), "--peer", c.Line())
			says(t, net, a, "not_reached")
			for _, command := range []string{"status", "health", "doctor"} {
				if out := a.Run(command); !strings.Contains(strings.Join(strings.Fields(out), " "), "others cannot connect to this node") {
					t.Errorf("%s: got\n%s", command, out)
				}
			}
			gone.End()
			net.Within(patience, "C is away", func() bool { return !a.Connected(c) })
			why := strings.Join(strings.Fields(a.Run("why", c.Key())), " ")
			if !strings.Contains(why, "others cannot connect to this node") {
				t.Errorf("why: got\n%s", why)
			}
			t.Log(why)
		})
	}
}
