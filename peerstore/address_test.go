package peerstore

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// conforms: comms 131
func TestScore(t *testing.T) {
	now := begin
	seen := func(ago time.Duration, latency ...time.Duration) Address {
		a := Address{LastSeen: now.Add(-ago), LastAttempted: now.Add(-ago)}
		for _, l := range latency {
			a.Latency = a.Latency.with(l)
		}
		return a
	}
	for _, c := range []struct {
		name  string
		a     Address
		score int
		ok    bool
	}{
		{"untouched", Address{}, 0, false},
		{"just seen, 50 ms", seen(0, 50*time.Millisecond), 1000, true},
		{"seen 100 s ago, no latency", seen(100 * time.Second), 900, true},
		{"seen 100 s ago, 999 ms", seen(100*time.Second, 999*time.Millisecond), 891, true},
		{"just seen, 1 s", seen(0, time.Second), 990, true},
		{"just seen, 1 min", seen(0, time.Minute), 900, true},
		{"just seen, an hour of latency", seen(0, time.Hour), 900, true},
		{"seen 799.9 s ago", seen(799*time.Second + 900*time.Millisecond), 201, true},
		{"seen 800 s ago", seen(800 * time.Second), 200, true},
		{"seen a year ago", seen(365 * 24 * time.Hour), 200, true},
		{"seen in the future", seen(-time.Hour), 1000, true},
		{"attempted only", Address{LastAttempted: now}, 200, true},
		{"failed", Address{LastSeen: now, LastAttempted: now, LastFailure: "refused"}, 0, true},
	} {
		if got, ok := c.a.Score(now); got != c.score || ok != c.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, got, ok, c.score, c.ok)
		}
	}
}

// conforms: comms 131
func TestAverageStopsCountingAtAHundred(t *testing.T) {
	var a Average
	for range 100 {
		a = a.with(100 * time.Millisecond)
	}
	if a.Count != 100 || a.Mean != 100*time.Millisecond {
		t.Fatalf("got %+v, want 100 samples of 100 ms", a)
	}
	a = a.with(201 * time.Millisecond)
	if want := (Average{Mean: 101 * time.Millisecond, Count: 100}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if got, want := (Average{Mean: 10, Count: 1}).with(20), (Average{Mean: 15, Count: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// conforms: comms 130; dht 135
func TestOnlyTheTenBestAddressesStay(t *testing.T) {
	var list []Address
	for i := range 14 {
		a := Address{Addr: addrN(i), Source: PeerConnection}
		a.seen(begin.Add(-time.Duration(i%7) * time.Minute)) // two of each score
		list = append(list, a)
	}
	list[0].failed(begin, "refused") // the worst of all
	got := ""
	for _, a := range rank(list, begin) {
		for i := range 14 {
			if a.Addr.Equal(addrN(i)) {
				got += fmt.Sprint(i, " ")
			}
		}
	}
	if want := "7 1 8 2 9 3 10 4 11 5 "; got != want {
		t.Errorf("got %s, want %s: best first, equal ones as they were", got, want)
	}
}

// conforms: comms 112
func TestOrderOfAddresses(t *testing.T) {
	good, slow, untried, early, late, cut, cutGood := Address{Addr: addrN(1)}, Address{Addr: addrN(2)}, Address{Addr: addrN(3)},
		Address{Addr: addrN(4)}, Address{Addr: addrN(5)}, Address{Addr: addrN(6)}, Address{Addr: addrN(7)}
	good.seen(begin)
	slow.seen(begin)
	slow.Latency = Average{Mean: 5 * time.Second, Count: 1}
	early.seen(begin.Add(-time.Second)) // that it once worked does not make it come first
	early.failed(begin, "refused")
	late.failed(begin.Add(3*time.Second), "refused")
	cut.LastAttempted = begin.Add(time.Second) // nothing is known of how it ended
	cutGood.seen(begin)
	cutGood.LastAttempted = begin.Add(2 * time.Second)
	want := []Address{good, slow, untried, early, cut, cutGood, late}
	list := slices.Clone(want)
	slices.Reverse(list)
	for i, a := range rank(list, begin.Add(time.Minute)) {
		if !a.Addr.Equal(want[i].Addr) {
			t.Errorf("place %d: got %v, want %v", i, a.Addr, want[i].Addr)
		}
	}
}

// A new address of a peer whose others have all failed is not the one that is cut.
func TestUntriedAddressIsKept(t *testing.T) {
	var list []Address
	for i := range 11 {
		a := Address{Addr: addrN(i), Source: PeerConnection}
		if i < 10 {
			a.failed(begin.Add(time.Duration(i)*time.Second), "refused")
		}
		list = append(list, a)
	}
	list = rank(list, begin.Add(time.Minute))
	if len(list) != 10 || find(list, addrN(10)) != 0 || find(list, addrN(9)) >= 0 {
		t.Errorf("got %v, want the new address first and the one that failed last cut", list)
	}
}

// conforms: V 11
func TestConfiguredAddressesAreCutLast(t *testing.T) {
	list := []Address{{Addr: addrN(99), Source: Config, LastFailure: "refused", LastAttempted: begin}}
	for i := range 10 {
		a := Address{Addr: addrN(i), Source: PeerConnection}
		a.seen(begin)
		list = append(list, a)
	}
	list = rank(list, begin)
	if len(list) != 10 || find(list, addrN(99)) != 9 || find(list, addrN(9)) >= 0 {
		t.Errorf("got %v, want the configured address kept as the last of ten", list)
	}
	for i := range 12 {
		list = append(list, Address{Addr: addrN(100 + i), Source: Config})
	}
	if list = rank(list, begin); len(list) != 10 {
		t.Errorf("got %d configured addresses, want at most 10", len(list))
	}
}

// conforms: comms 132
func TestOfflineMeansEveryAddressFailed(t *testing.T) {
	p := Peer{}
	if p.Offline() {
		t.Error("got a peer without addresses offline, want not: nothing failed")
	}
	bad := Address{Addr: addrN(1)}
	bad.failed(begin.Add(time.Second), "refused")
	worse := Address{Addr: addrN(2)}
	worse.failed(begin, "timed out")
	p.Addresses = []Address{bad, worse}
	if !p.Offline() {
		t.Error("got online with every address failed, want offline")
	}
	if got := p.OfflineSince(); !got.Equal(begin) {
		t.Errorf("got offline since %v, want the earliest attempt, %v", got, begin)
	}
	p.Addresses = append(p.Addresses, Address{Addr: addrN(3)})
	if p.Offline() || !p.OfflineSince().IsZero() {
		t.Error("got offline with an untried address, want online")
	}
	p.Addresses = p.Addresses[:2]
	p.Addresses[1].seen(begin.Add(time.Minute))
	if p.Offline() || p.Addresses[1].Attempts != 0 {
		t.Errorf("got %+v, want online with the counter at 0", p.Addresses[1])
	}
}

// conforms: comms 133
func TestActivePeers(t *testing.T) {
	seen := func(ago time.Duration) Peer {
		return Peer{Addresses: []Address{{Addr: addrN(1)}, {Addr: addrN(2), LastSeen: begin.Add(-ago)}}}
	}
	banned := seen(0)
	banned.BannedUntil = begin.Add(time.Second)
	over := seen(0)
	over.BannedUntil = begin
	for name, c := range map[string]struct {
		p    Peer
		want bool
	}{
		"just seen":        {seen(0), true},
		"seen 7 days ago":  {seen(7 * 24 * time.Hour), true},
		"a second longer":  {seen(7*24*time.Hour + time.Second), false},
		"never seen":       {Peer{Addresses: []Address{{Addr: addrN(1)}}}, false},
		"banned":           {banned, false},
		"ban is just over": {over, true},
	} {
		if got := c.p.Active(begin); got != c.want {
			t.Errorf("%s: got active %v, want %v", name, got, c.want)
		}
	}
}
