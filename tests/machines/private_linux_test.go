package machines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// member is a machine of the private network with its copy of the file and its node.
type member struct {
	*bed.Machine
	file string
	node *bed.Process
}

// TestPrivateNetwork makes a private network of five machines as docs/private-network.md does. A sixth machine has
// everything but the secret. Then the secret changes, in three steps, while messages go.
func TestPrivateNetwork(t *testing.T) {
	net, err := bed.Start("A", "B", "C", "D", "E", "X")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	net.Use(t)
	dir := t.TempDir()
	var all []*member
	for _, name := range []string{"A", "B", "C", "D", "E"} {
		all = append(all, &member{Machine: net.Machine(name), file: filepath.Join(dir, name+config.NetworkSuffix)})
	}
	a, x := all[0], net.Machine("X")
	a.Run("network", "create", "acme", "--file", a.file)
	a.node = a.Node("--network", a.file)
	if p := a.Shell(fmt.Sprintf(`gamelan network add %s "$(gamelan id --address)"`, a.file)); p.Code() != 0 {
		t.Fatalf("got exit code %d:\n%s", p.Code(), p.Errs())
	}
	distribute := func() {
		t.Helper()
		b, err := os.ReadFile(a.file)
		for _, m := range all[1:] {
			if err == nil {
				err = os.WriteFile(m.file, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	distribute()
	for _, m := range all[1:] {
		m.node = m.Node("--network", m.file)
	}
	for i, m := range all {
		for _, to := range all[i+1:] {
			took := net.Within(patience, m.Name+" and "+to.Name+" are connected", func() bool { return m.Connected(to.Machine) })
			t.Logf("%s and %s: after %v", m.Name, to.Name, took)
		}
	}

	// The intruder: name, seeds and addresses, and a secret of its own.
	theirs := filepath.Join(dir, "theirs"+config.NetworkSuffix)
	x.Run("network", "create", "acme", "--file", theirs)
	for _, m := range all {
		x.Run("network", "add", theirs, m.Line())
	}
	x.Node("--network", theirs)
	const says = "its secret of acme differs from this node's, or it is busy, refuses this node, or is of another network"
	for _, command := range [][]string{{"status"}, {"why", a.Key()}, {"send", a.Key(), "hello"}} {
		net.Within(patience, "the intruder's "+command[0]+" names the secret", func() bool {
			p := x.Try(command...)
			return strings.Contains(strings.Join(strings.Fields(p.Out()+p.Errs()), " "), says)
		})
	}
	var seen models.Admission
	net.Within(patience, "A names the intruder", func() bool {
		return a.Get("/v1/admission", &seen) == nil && len(seen.Private.WithoutSecret) == 1
	})
	if got, want := seen.Private.WithoutSecret[0].Source, x.Addr().String()+"/32"; got != want {
		t.Errorf("got the source %s, want %s", got, want)
	}
	if got := strings.Count(a.node.Errs(), "the dialer has not the secret of acme"); got == 0 || got > 5 || !strings.Contains(a.node.Errs(), x.Addr().String()) {
		t.Errorf("got %d lines about it, want few, with its address:\n%s", got, a.node.Errs())
	}
	if s := a.Status(); !strings.Contains(strings.Join(strings.Fields(s), " "), "a dialer from "+x.Addr().String()+"/32 has not the secret of acme") {
		t.Errorf("got the status\n%s", s)
	}

	// The secret changes while messages go from B to C and from D to A.
	flows := []*traffic{startTraffic(all[1].Machine, all[2].Machine), startTraffic(all[3].Machine, a.Machine)}
	for _, step := range []struct {
		name  string
		order []int
		says  string
	}{
		{"begin", []int{0, 1, 2, 3, 4}, "as well."},
		{"switch", []int{4, 2, 0, 3, 1}, "as well."},
		{"end", []int{3, 4, 1, 0, 2}, "accepts no other."},
	} {
		a.Run("network", "rotate", step.name, a.file)
		distribute()
		for _, i := range step.order {
			m := all[i]
			before := strings.Count(m.node.Errs(), step.says)
			m.node.Signal(syscall.SIGHUP)
			net.Within(patience, m.Name+" takes the file over", func() bool { return strings.Count(m.node.Errs(), step.says) > before })
			for _, to := range all {
				if to == m {
					continue
				}
				m.Try("disconnect", to.Key())
				m.Run("dial", to.Key())
			}
		}
	}
	for _, f := range flows {
		if o := f.result(t); len(o.said["failed"])+len(o.said["in doubt"]) > 0 || len(o.said["confirmed"]) == 0 {
			t.Errorf("%s to %s: %v, want all confirmed", f.from.Name, f.to.Name, o)
		} else {
			t.Logf("%s to %s: %v", f.from.Name, f.to.Name, o)
		}
	}
	for _, m := range all {
		if m.Connected(x) {
			t.Errorf("%s is connected with the intruder", m.Name)
		}
		var node models.Node
		if err := m.Get("/v1/node", &node); err != nil || node.Network != "acme" || !node.Private {
			t.Errorf("%s: got %+v, %v, want it on acme", m.Name, node, err)
		}
	}
}
