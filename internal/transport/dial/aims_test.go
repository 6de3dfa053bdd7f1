package dial_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
)

// TestAims: four dials in a minute go to one address, whatever is dialled beside it.
func TestAims(t *testing.T) {
	a, begin := dial.NewAims(), time.Unix(1000, 0)
	for _, tt := range []struct {
		second int
		ip     string
		want   bool
	}{
		{0, "8.8.8.8", true},
		{1, "8.8.8.8", true},
		{2, "::ffff:8.8.8.8", true},
		{2, "8.8.8.9", true},
		{3, "8.8.8.8", true},
		{4, "8.8.8.8", false},
		{59, "8.8.8.8", false},
		{60, "8.8.8.8", true}, // the first is a minute ago
		{60, "8.8.8.8", false},
		{61, "8.8.8.8", true},
		{61, "2a00:1:1:1::1", true},
		{61, "2a00:1:1:1::2", true},
		{61, "2a00:1:1:1:ffff::3", true},
		{61, "2a00:1:1:1::4", true},
		{61, "2a00:1:1:1::5", false}, // of one /64
		{61, "2a00:1:1:2::5", true},
	} {
		if got := a.IP(begin.Add(time.Duration(tt.second)*time.Second), netip.MustParseAddr(tt.ip)); got != tt.want {
			t.Errorf("%s after %d s: got %v, want %v", tt.ip, tt.second, got, tt.want)
		}
	}
}

// TestAimsAreBounded: when there is no room to remember, nothing else is dialled, and after a
// minute there is room again.
func TestAimsAreBounded(t *testing.T) {
	a, now := dial.NewAims(), time.Unix(1000, 0)
	permitted := 0
	for i := range 10_000 {
		if a.Name(now, fmt.Sprint(i)) {
			permitted++
		}
	}
	if permitted != 8192 || a.Len() != 8192 {
		t.Errorf("got %d dials, %d remembered, want 8192", permitted, a.Len())
	}
	if !a.Name(now, "1") {
		t.Error("got no dial of an address that is remembered, want a second one")
	}
	if !a.Name(now.Add(dial.AimTime), "new") || a.Len() != 1 {
		t.Errorf("a minute later: got %d remembered, want the new one alone", a.Len())
	}
}
