package machines

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// reached returns the verdict that a machine's node has on an address of its own, and whether it
// tells others of it.
func reached(m *bed.Machine, at string) (verdict string, told bool) {
	var v models.Node
	if err := m.Get("/v1/node", &v); err != nil {
		return err.Error(), false
	}
	for _, r := range v.Reach {
		if r.Addr == at {
			return r.Verdict, r.Told
		}
	}
	return "", false
}

const nextnet = "nextnet"

// networkOfThree starts nodes of a public network at three machines: the first one knows the others.
func networkOfThree(net *bed.Bed, a, b, c *bed.Machine) {
	for _, m := range []*bed.Machine{b, c} {
		m.Node("--network", nextnet, "--listen", bed.Listen)
	}
	a.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line(), "--peer", c.Line())
}

// TestReached: a node knows whether others can connect to it, says so, and tells others the address
// of its router when a port is forwarded there.
func TestReached(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	a.Router.NAT()
	networkOfThree(net, a, b, c)
	outside := a.Public().String() + ":" + strconv.Itoa(bed.Port)
	becomes := func(what, verdict string, told bool) {
		t.Helper()
		took := net.Within(patience*3, what, func() bool {
			v, says := reached(a, outside)
			return v == verdict && says == told
		})
		t.Logf("%s: %s at %s after %v", what, verdict, outside, took)
	}
	becomes("no port is forwarded", "not reachable", false)
	if s := a.Status(); !strings.Contains(s, "no, not at "+outside) || !strings.Contains(s, "forward it in the router") {
		t.Errorf("got the status\n%s", s)
	}
	if n, ok := notice(a, "not_reached"); !ok || n.Args["port"] != strconv.Itoa(bed.Port) {
		t.Errorf("got %+v, want not_reached and the port", n)
	}
	for _, m := range []*bed.Machine{b, c} {
		at := m.Addr().String() + ":" + strconv.Itoa(bed.Port)
		net.Within(patience, m.Name+" reachable", func() bool {
			v, told := reached(m, at)
			return v == "reachable" && told
		})
	}
}

// TestReachedForwarded is the same with a forwarded port.
func TestReachedForwarded(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	a.Router.NAT()
	a.Router.Forward(bed.Port)
	networkOfThree(net, a, b, c)
	outside := a.Public().String() + ":" + strconv.Itoa(bed.Port)
	took := net.Within(patience, "the address outside proven", func() bool {
		v, _ := reached(a, outside)
		return v == "reachable"
	})
	t.Logf("reachable after %v", took)
	took = net.Within(patience*3, "the address outside told others", func() bool {
		_, told := reached(a, outside)
		return told
	})
	t.Logf("told after %v", took)
	var own struct{ Addresses []string }
	if err := a.Get("/v1/node", &own); err != nil || len(own.Addresses) != 1 {
		t.Errorf("got the addresses %v, %v, want the one outside alone", own.Addresses, err)
	}
	if s := a.Status(); !strings.Contains(s, outside+", reached by ") || strings.Contains(s, "cannot connect to this node") {
		t.Errorf("got the status\n%s", s)
	}
}
