package render

import (
	"slices"
	"testing"
)

// TestBestFirst sorts addresses by how many others can reach them, and keeps the order of
// those that are equal.
func TestBestFirst(t *testing.T) {
	want := []string{
		"K::/dns4/node.example.org/tcp/1",
		"K::/ip4/203.0.113.7/tcp/1",
		"K::/ip6/2001:db8::7/tcp/1",
		"K::/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1",
		"K::/ip4/100.64.0.7/tcp/1",
		"K::/ip4/192.168.1.7/tcp/1",
		"K::/ip6/fd00::7/tcp/1",
		"K::/ip4/10.0.0.7/tcp/1",
		"K::/ip4/169.254.0.7/tcp/1",
		"K::/ip4/127.0.0.1/tcp/1",
		"K::/ip6/::1/tcp/1",
	}
	given := slices.Concat(want[9:], want[8:9], want[4:8], want[:4])
	if got := bestFirst(given); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
