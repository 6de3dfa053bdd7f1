package requests

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

const ms = time.Millisecond

// TestRTT measures as RFC 6298 does: the first time alone, then an eighth and a fourth.
//
// conforms: kad 35
func TestRTT(t *testing.T) {
	var r overlay.RTT
	for _, step := range []struct{ took, smoothed, variation time.Duration }{
		{80 * ms, 80 * ms, 40 * ms},
		{160 * ms, 90 * ms, 50 * ms},
		{10 * ms, 80 * ms, 57500 * time.Microsecond},
	} {
		r.Observe(step.took)
		if r.Smoothed != step.smoothed || r.Variation != step.variation {
			t.Errorf("after %v: got %v ± %v, want %v ± %v", step.took, r.Smoothed, r.Variation, step.smoothed, step.variation)
		}
	}
}

// TestResend names the requests that are sent again.
//
// conforms: kad 10, 34
func TestResend(t *testing.T) {
	for _, x := range []struct {
		path Path
		verb overlay.Verb
		want bool
	}{
		{Path{Datagram: true}, overlay.Ping, true},
		{Path{Datagram: true}, overlay.FindNode, true},
		{Path{Datagram: true}, overlay.FindValue, true},
		{Path{Datagram: true}, overlay.Store, false},
		{Path{}, overlay.FindNode, false},
		{Path{Datagram: true, Seed: true}, overlay.FindNode, true},
		{Path{Datagram: true, Seed: true, Young: true}, overlay.FindNode, false},
	} {
		if got := x.path.Resend(x.verb); got != x.want {
			t.Errorf("%+v, %v: got %v, want %v", x.path, x.verb, got, x.want)
		}
	}
}

// TestTimeouts compares the limits with those of kad B6.1 and B6.2.
//
// conforms: kad 10, 35
func TestTimeouts(t *testing.T) {
	for _, x := range []struct {
		name       string
		rtt        overlay.RTT
		path       Path
		soft, hard time.Duration
	}{
		{"unknown", overlay.RTT{}, Path{}, 200 * ms, time.Second},
		{"measured", overlay.RTT{Smoothed: 100 * ms, Variation: 50 * ms}, Path{}, 200 * ms, 500 * ms},
		{"measured, varies", overlay.RTT{Smoothed: 200 * ms, Variation: 100 * ms}, Path{}, 400 * ms, 800 * ms},
		{"very near", overlay.RTT{Smoothed: ms, Variation: ms}, Path{}, 50 * ms, 500 * ms},
		{"very far", overlay.RTT{Smoothed: 2 * time.Second, Variation: time.Second}, Path{}, 500 * ms, 3 * time.Second},
		{"to be dialled", overlay.RTT{Smoothed: 100 * ms, Variation: 50 * ms}, Path{Dial: true}, 500 * ms, 5 * time.Second},
		{"Tor", overlay.RTT{}, Path{Tor: true, Dial: true}, 2 * time.Second, 10 * time.Second},
		{"seed", overlay.RTT{Smoothed: 100 * ms, Variation: 50 * ms}, Path{Seed: true}, 500 * ms, 3 * time.Second},
		{"seed, just met", overlay.RTT{Smoothed: 100 * ms, Variation: 50 * ms}, Path{Seed: true, Young: true}, 500 * ms, 10 * time.Second},
	} {
		if soft, hard := Timeouts(x.rtt, x.path); soft != x.soft || hard != x.hard {
			t.Errorf("%s: got %v and %v, want %v and %v", x.name, soft, hard, x.soft, x.hard)
		}
	}
	if YoungFor != time.Minute {
		t.Errorf("a seed contact is young for %v, want a minute", YoungFor)
	}
}
