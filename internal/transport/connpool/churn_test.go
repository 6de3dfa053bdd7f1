package connpool

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// churner is a connection whose peer opens substreams and resets them as fast as it
// is read.
type churner struct {
	ConnChurn
	origin netip.Prefix
	free   time.Time // read again from then on
	ended  int
	over   bool
}

func (p *churner) churn(c *Churn, now time.Time) {
	for !p.free.After(now) && !p.over && p.ended < 100_000 {
		p.ended++
		wait, ok := c.Ended(now, &p.ConnChurn, p.origin)
		p.free, p.over = now.Add(wait), !ok
	}
}

// churned runs peers for so long and returns how many of their substreams ended.
func churned(c *Churn, from time.Time, d time.Duration, all ...*churner) (n int) {
	for t := time.Duration(0); t < d; t += 5 * time.Millisecond {
		for _, p := range all {
			before := p.ended
			p.churn(c, from.Add(t))
			n += p.ended - before
		}
	}
	return n
}

// TestChurn has peers churn alone, together, again and again as others, and beside
// others: those of one source have 500 and then 100 a second together, beside 20 of
// each connection's own.
func TestChurn(t *testing.T) {
	six, eight := netip.MustParsePrefix("6.6.6.6/32"), netip.MustParsePrefix("8.8.8.8/32")
	within := func(what string, got, want int) {
		t.Helper()
		if got < want*98/100 || got > want*102/100+1 {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	var c Churn
	p := &churner{origin: six}
	within("one at once", churned(&c, reapTime, time.Millisecond, p), 520)
	within("in the minute after that", churned(&c, reapTime, time.Minute, p), 60*101)
	within("another source", churned(&c, reapTime, time.Millisecond, &churner{origin: eight}), 520)

	now := reapTime.Add(2 * time.Minute)
	var many []*churner
	for range 10 {
		many = append(many, &churner{origin: six})
	}
	within("ten connections", churned(&c, now, 10*time.Second, many...), 10*(20+10)+500+1000)

	now = now.Add(time.Minute)
	got := 0
	for i := range 1000 { // each comes when the last one is held back
		got += churned(&c, now.Add(time.Duration(i)*10*time.Millisecond), 10*time.Millisecond, &churner{origin: six})
	}
	within("ever new ones", got, 1000*(20+1)+500)
}

// TestChurnWaits has more connections of one source churn than may wait: none waits
// for more than 250 ms, and the others end. Nobody waits for what is his own.
func TestChurnWaits(t *testing.T) {
	var c Churn
	origin := netip.MustParsePrefix("127.0.0.0/8")
	over := 0
	for range 1000 {
		var conn ConnChurn
		for range 21 {
			wait, ok := c.Ended(reapTime, &conn, origin)
			if wait > 250*time.Millisecond {
				t.Fatalf("got a wait of %v, want 250ms at most", wait)
			}
			if !ok {
				over++
			}
		}
	}
	if want := 1000 - 500 - 25; over != want {
		t.Errorf("got %d connections ended, want %d", over, want)
	}
	var conn ConnChurn
	for range 20 {
		if wait, ok := c.Ended(reapTime, &conn, origin); wait != 0 || !ok {
			t.Errorf("got a wait of %v, %v for what is the connection's own", wait, ok)
		}
		c.Agreed(&conn, origin)
	}
	for range 20 {
		if wait, ok := c.Ended(reapTime, &conn, origin); wait != 0 || !ok {
			t.Errorf("got a wait of %v, %v after as many were taken back", wait, ok)
		}
	}
}

// TestRatesAreBounded has more sources than are remembered: those are forgotten that
// are full, then those that will be soonest.
func TestRatesAreBounded(t *testing.T) {
	var all rates
	r := rate{burst: 10, every: time.Second}
	source := func(i int) netip.Prefix {
		return netip.MustParsePrefix(fmt.Sprintf("8.%d.%d.%d/32", i>>16, i>>8&255, i&255))
	}
	for range 10 {
		all.take(reapTime, source(1), r, 0)
	}
	for i := range 3 * maxRated {
		all.take(reapTime, source(i+2), r, 0)
	}
	if len(all) > maxRated {
		t.Errorf("got %d sources remembered, want %d at most", len(all), maxRated)
	}
	if _, ok := all.take(reapTime, source(1), r, 0); ok {
		t.Error("got the source forgotten that has used up what it has")
	}
	for i := range maxRated {
		all.take(reapTime.Add(time.Minute), source(i+1_000_000), r, 0)
	}
	if len(all) != maxRated {
		t.Errorf("got %d sources remembered a minute later, want the %d new ones", len(all), maxRated)
	}
}

// TestChurnAgreedLate has a peer whose substreams all end before anybody has seen that
// their protocol was agreed on: however many there are, none waits.
func TestChurnAgreedLate(t *testing.T) {
	var c Churn
	var conn ConnChurn
	origin := netip.MustParsePrefix("127.0.0.0/8")
	for i := range 1000 {
		for range 40 {
			if wait, ok := c.Ended(reapTime, &conn, origin); wait != 0 || !ok {
				t.Fatalf("got a wait of %v, %v in round %d", wait, ok, i)
			}
		}
		for range 40 {
			c.Agreed(&conn, origin)
		}
	}
	within := churned(&c, reapTime, time.Millisecond, &churner{origin: origin})
	if within < 520 || within > 521 {
		t.Errorf("got %d for another connection after that, want 520", within)
	}
}
