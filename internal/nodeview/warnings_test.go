//go:build unix

package nodeview

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestFewFiles(t *testing.T) {
	if got := FewFiles(1000, 1000); got != nil {
		t.Errorf("with enough: got %q, want no warning", got)
	}
	got := strings.Join(FewFiles(1000, 40).Texts(), "")
	for _, want := range []string{"40 files open", "need 1,000", "ulimit -n", "LimitNOFILE"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

func TestInboundTroubleInWords(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name, got string
		want      []string
	}{
		{"no descriptors", deaf(connections.InboundTrouble{Err: syscall.EMFILE, FailedAt: now.Add(-time.Second)}, now).String(), []string{"too many open files", "1s ago", "ulimit -n", "LimitNOFILE"}},
		{"another cause", deaf(connections.InboundTrouble{Err: syscall.EPERM, FailedAt: now}, now).String(), []string{"not permitted"}},
		{"a full source", strings.Join(limitWarning(connections.InboundTrouble{
			Limit: protocol.LimitError{Name: "MaxInboundPerSource", Limit: 32, Scope: netip.MustParsePrefix("10.0.0.7/32")}, LimitedAt: now,
		}, now).Texts(), ""), []string{"10.0.0.7/32", "connections.max_inbound_per_source is 32", "connections.exempt_sources"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: got %q, want %q in it", c.name, c.got, want)
			}
		}
	}
	if strings.Contains(deaf(connections.InboundTrouble{Err: syscall.EPERM}, now).String(), "ulimit") {
		t.Error("a cause other than descriptors names ulimit")
	}
	if got := limitWarning(connections.InboundTrouble{Limit: protocol.LimitError{Name: "MaxInbound", Limit: 5}, LimitedAt: now}, now); got != nil {
		t.Errorf("got %q of a limit of no source, want none", got)
	}
}
