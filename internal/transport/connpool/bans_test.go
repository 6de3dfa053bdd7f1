package connpool

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// conforms: comms 123
func TestBans(t *testing.T) {
	friend := identity.NodeID{1}
	b := Bans{Allowed: func(id identity.NodeID) bool { return id == friend }}
	stranger := identity.NodeID{2}
	bad := errors.New("bad")
	for _, c := range []struct {
		name string
		err  error
		want Verdict
	}{
		{"no violation", fmt.Errorf("read: %w", bad), Verdict{}},
		{"none at all", nil, Verdict{}},
		{"2 min", protocol.Violated("identity", protocol.BanShort, bad), Verdict{true, 2 * time.Minute, protocol.Low}},
		{"2 h, wrapped", fmt.Errorf("upgrade: %w", protocol.Violated("negotiation", protocol.BanLong, bad)), Verdict{true, 2 * time.Hour, protocol.High}},
		{"what it says, not its severity", &protocol.Violation{Severity: protocol.High, Ban: protocol.BanMedium, Err: bad}, Verdict{true, 10 * time.Minute, protocol.High}},
		{"low", &protocol.Violation{Severity: protocol.Low, Err: bad}, Verdict{true, 10 * time.Minute, protocol.Low}},
		{"medium", &protocol.Violation{Severity: protocol.Medium, Err: bad}, Verdict{true, 10 * time.Minute, protocol.Medium}},
		{"high", &protocol.Violation{Severity: protocol.High, Err: bad}, Verdict{true, 2 * time.Hour, protocol.High}},
		{"sentinel alone", fmt.Errorf("handler: %w", protocol.ErrViolation), Verdict{true, 10 * time.Minute, protocol.Medium}},
	} {
		if got := b.Offence(stranger, c.err); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		want := Verdict{Close: c.want.Close, Severity: c.want.Severity}
		if got := b.Offence(friend, c.err); got != want {
			t.Errorf("%s, spared: got %+v, want %+v", c.name, got, want)
		}
		if got := (Bans{}).Offence(friend, c.err); got != c.want {
			t.Errorf("%s, without a list: got %+v, want %+v", c.name, got, c.want)
		}
	}
	if got, want := b.Request(stranger, time.Hour), (Verdict{Close: true, Ban: time.Hour}); got != want {
		t.Errorf("got %+v on request, want %+v", got, want)
	}
	if got := b.Request(friend, time.Hour); got != (Verdict{}) {
		t.Errorf("got %+v on request for a spared peer, want nothing", got)
	}
	if got := b.Request(stranger, 0); got != (Verdict{}) {
		t.Errorf("got %+v for no time at all, want nothing", got)
	}
}

func TestThirdPanicWithinAMinuteCloses(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(1000+int64(seconds), 0) }
	var p Panics[string]
	for _, c := range []struct {
		second int
		conn   string
		want   bool
	}{
		{0, "a", false},
		{1, "a", false},
		{2, "b", false},
		{3, "b", false},
		{59, "a", true},
		{59, "a", false},
		{60, "a", false}, // counted afresh
		{62, "b", false}, // its first is a minute old
	} {
		if got := p.Count(at(c.second), c.conn); got != c.want {
			t.Errorf("second %d, %s: got %v, want %v", c.second, c.conn, got, c.want)
		}
	}
	p = Panics[string]{}
	for i, second := range []int{0, 30, 60, 90, 120} { // never three in less than a minute
		if p.Count(at(second), "c") {
			t.Errorf("panic %d at second %d: got it closed, want not", i, second)
		}
	}
	if !p.Count(at(149), "c") {
		t.Error("got it open at the third panic within 59 s, want it closed")
	}
	p.Count(at(0), "d")
	p.Count(at(0), "d")
	p.Forget("d")
	p.Forget("d")
	if p.Count(at(1), "d") {
		t.Error("got a new connection of that name closed, want the count forgotten")
	}
}

func TestPanicsAreBounded(t *testing.T) {
	var p Panics[int]
	for i := range 2 * maxTracked {
		p.Count(time.Unix(0, 0), i)
	}
	if p.times.Len() != maxTracked {
		t.Errorf("got %d connections remembered, want %d", p.times.Len(), maxTracked)
	}
}
