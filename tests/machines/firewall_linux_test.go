package machines

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// TestFirewallsAreNamed: who is refused by a firewall reads who refuses it, and what to do. Of one that drops everything the command says so
// after some seconds.
func TestFirewallsAreNamed(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	b.Node("--network", "localnet", "--listen", bed.Listen)
	line := b.Line()
	a.Node("--network", "localnet", "--listen", bed.Listen)
	for _, x := range []struct{ how, want string }{
		{"with icmp admin-prohibited", `a firewall at [0-9.]+ refuses it; open the port of this address in that firewall`},
		{"with icmp host-prohibited", `a firewall at [0-9.]+ refuses it; open the port of this address in that firewall`},
		{"with icmp port-unreachable", `a firewall at [0-9.]+ refuses it; open the port of this address in that firewall`},
		{"with icmp host-unreachable", `[0-9.]+ knows no way to it; check the address and this machine's network`},
		{"with tcp reset", `connection refused; check that the peer is running and listens on this address, and that no firewall refuses it`},
	} {
		b.Router.ClearRules()
		net.Reject(a, b, x.how)
		begin := time.Now()
		p := a.Try("send", line, "hello")
		if !regexp.MustCompile(x.want).MatchString(p.Out()+p.Errs()) || p.Code() == 0 {
			t.Errorf("%s: got exit code %d:\n%s%swant %s", x.how, p.Code(), p.Out(), p.Errs(), x.want)
		}
		if compares := strings.Contains(p.Errs(), "compare KEY"); compares != (x.how == "with tcp reset") {
			t.Errorf("%s: got the advice to compare the line: %v\n%s", x.how, compares, p.Errs())
		}
		t.Logf("%s: %.1f s", x.how, time.Since(begin).Seconds())
	}
	b.Router.ClearRules()
	net.Drop(a, b)
	send := a.Gamelan("send", line, "hello")
	took := net.Within(20*time.Second, "the command says what may be", func() bool {
		return regexp.MustCompile(`without an answer so far: it is away, it hangs, or a firewall drops it`).MatchString(send.Errs())
	})
	t.Logf("dropped: %.1f s", took.Seconds())
	a.Router.ClearRules()
	if send.Code() != 0 {
		t.Errorf("got exit code %d when the firewall is open:\n%s%s", send.Code(), send.Out(), send.Errs())
	}
}
