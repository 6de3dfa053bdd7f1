package limit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

const victim overlay.Address = "/ip4/93.184.216.34/udp/9"

// TestFirstContact counts the bytes of the first datagrams from an address (spec: kad
// B10.3).
//
// conforms: kad 7
func TestFirstContact(t *testing.T) {
	const ping, pong, probe, find, listOfOne, listOfTwo = 60, 60, 88, 88, 134, 200
	p := limit.NewProofs()
	if p.Send(victim, 1, start) || p.Probe(victim, overlay.ID{1}, 1, start) {
		t.Fatal("got a datagram sent to an address that sent nothing")
	}
	p.Received(victim, ping, start)
	if !p.Send(victim, pong, start) || !p.Probe(victim, overlay.ID{1}, probe, start) {
		t.Fatal("a PING: got no PONG and probe, which are 148 of 180 bytes")
	}
	if p.Send(victim, 33, start) || !p.Send(victim, 32, start) {
		t.Error("a PING: got more or less than 180 bytes in all")
	}
	p = limit.NewProofs()
	p.Received(victim, find, start)
	if !p.Probe(victim, overlay.ID{1}, probe, start) || p.Send(victim, listOfTwo, start) || !p.Send(victim, listOfOne, start) {
		t.Error("a FIND_NODE: want the probe and a list of one, 222 of 264 bytes, and no more")
	}
}

// TestAmplification sends datagrams of random sizes from several addresses, and tries to
// send answers and probes of all sizes, for hours in which some are proven. What an address
// without proof got is never more than three times what it sent since it had none.
//
// conforms: kad 7
func TestAmplification(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := limit.NewProofs()
	now := start
	in, out := map[overlay.Address]int{}, map[overlay.Address]int{}
	sent := 0
	for range 200_000 {
		a := overlay.Address(fmt.Sprintf("/ip4/93.184.216.%d/udp/9", r.IntN(20)))
		now = now.Add(time.Duration(r.IntN(20)) * time.Second)
		switch n := 1 + r.IntN(2000); r.IntN(60) {
		case 0:
			p.Prove(a, overlay.ID{1}, now)
			in[a], out[a] = 0, 0
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
			if !p.Reached(a, now) {
				in[a] += n
			}
			p.Received(a, n, now)
		default:
			if reached := p.Reached(a, now); (p.Send(a, n, now) || p.Probe(a, overlay.ID{1}, n/10, now)) && !reached {
				out[a] += n / 10 // at least
				sent++
			}
		}
		if out[a] > limit.Amplification*in[a] {
			t.Fatalf("%s: got %d bytes for %d", a, out[a], in[a])
		}
	}
	if sent < 1000 {
		t.Fatalf("got %d datagrams sent, so the test proves little", sent)
	}
}

// TestAmplificationExactly is the same with all bytes counted: one address, without proof.
//
// conforms: kad 7
func TestAmplificationExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	p := limit.NewProofs()
	now, in, out := start, 0, 0
	for range 100_000 {
		now = now.Add(time.Duration(r.IntN(10)) * time.Second)
		n := 1 + r.IntN(2000)
		switch r.IntN(4) {
		case 0:
			p.Received(victim, n, now)
			in += n
		case 1:
			if p.Probe(victim, overlay.ID{1}, 88, now) {
				out += 88
			}
		default:
			if p.Send(victim, n, now) {
				out += n
			}
		}
		if out > limit.Amplification*in {
			t.Fatalf("got %d bytes for %d", out, in)
		}
	}
	if out < in {
		t.Errorf("got %d bytes for %d, so the test proves little", out, in)
	}
}

// TestProbes of one address are ten seconds apart, and stop with the proof.
func TestProbes(t *testing.T) {
	p := limit.NewProofs()
	p.Received(victim, 10_000, start)
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {time.Second, false}, {10*time.Second - 1, false}, {10 * time.Second, true}, {19 * time.Second, false}, {20 * time.Second, true}} {
		if got := p.Probe(victim, overlay.ID{1}, 88, start.Add(c.at)); got != c.want {
			t.Errorf("after %s: got a probe %t, want %t", c.at, got, c.want)
		}
	}
	p.Prove(victim, overlay.ID{1}, start.Add(30*time.Second))
	if p.Probe(victim, overlay.ID{1}, 88, start.Add(limit.FreshLife)) {
		t.Error("with a proof: got a probe")
	}
	// A node that starts again has another id.
	again := start.Add(30*time.Second + limit.FreshLife/2)
	if !p.Probe(victim, overlay.ID{2}, 88, again) || p.Probe(victim, overlay.ID{2}, 88, again.Add(limit.ProbeEvery-1)) {
		t.Error("another id: got no probe, or a second one before its time")
	}
	p.Prove(victim, overlay.ID{2}, again)
	if p.Probe(victim, overlay.ID{2}, 88, again.Add(limit.FreshLife-1)) {
		t.Error("with a proof for the other id: got a probe")
	}
	// A stale proof is renewed, with a probe each second as far as its bytes allow that.
	stale := again.Add(limit.FreshLife)
	if p.Probe(victim, overlay.ID{2}, 88, stale) {
		t.Error("a stale proof: got a probe for no byte")
	}
	p.Received(victim, 88, stale)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {limit.AgainEvery - 1, false}, {limit.AgainEvery, true}, {2 * limit.AgainEvery, true}, {3 * limit.AgainEvery, false}} {
		if got := p.Probe(victim, overlay.ID{2}, 88, stale.Add(c.after)); got != c.want {
			t.Errorf("a stale proof, after %s: got a probe %t, want %t", c.after, got, c.want)
		}
	}
}

// TestProof lasts twelve hours, for one node at one address.
//
// conforms: kad 8
func TestProof(t *testing.T) {
	p := limit.NewProofs()
	p.Received(victim, 88, start)
	if p.Proven(victim, overlay.ID{1}, start) || p.Reached(victim, start) {
		t.Fatal("got an address proven by its own datagram")
	}
	p.Prove(victim, overlay.ID{1}, start)
	almost := start.Add(12*time.Hour - 1)
	for name, c := range map[string]struct {
		at   overlay.Address
		id   overlay.ID
		now  time.Time
		want bool
	}{
		"at once":         {victim, overlay.ID{1}, start, true},
		"almost 12 h":     {victim, overlay.ID{1}, almost, true},
		"12 h":            {victim, overlay.ID{1}, start.Add(12 * time.Hour), false},
		"another node":    {victim, overlay.ID{2}, start, false},
		"another port":    {"/ip4/93.184.216.34/udp/10", overlay.ID{1}, start, false},
		"another address": {"/ip4/93.184.216.35/udp/9", overlay.ID{1}, start, false},
	} {
		if got := p.Proven(c.at, c.id, c.now); got != c.want {
			t.Errorf("%s: got proven %t, want %t", name, got, c.want)
		}
	}
	if got := p.Room(victim, start.Add(limit.FreshLife-1)); got != math.MaxInt {
		t.Errorf("with a fresh proof: got room for %d bytes, want no limit", got)
	}
	p.Received(victim, 100, almost)
	if got := p.Room(victim, almost); got != 300 {
		t.Errorf("with a stale proof: got room for %d bytes, want 300", got)
	}
	if got := p.Room(victim, start.Add(12*time.Hour)); got != 0 {
		t.Errorf("after 12 h: got room for %d bytes, want none", got)
	}
}

// TestAccounts are forgotten after ten minutes, with what was sent and what was received.
func TestAccounts(t *testing.T) {
	p := limit.NewProofs()
	p.Received(victim, 100, start)
	p.Send(victim, 100, start)
	if got := p.Room(victim, start.Add(10*time.Minute-1)); got != 200 {
		t.Errorf("got room for %d bytes, want 200", got)
	}
	if got := p.Room(victim, start.Add(10*time.Minute)); got != 0 {
		t.Errorf("after ten minutes: got room for %d bytes, want none", got)
	}
	p.Received(victim, 10, start.Add(10*time.Minute))
	if got := p.Room(victim, start.Add(10*time.Minute)); got != 30 {
		t.Errorf("anew: got room for %d bytes, want 30", got)
	}
}
