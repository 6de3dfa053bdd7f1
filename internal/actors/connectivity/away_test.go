package connectivity

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/transport"
)

// failedDial is a dial of a peer that has failed at an address.
func failedDial(n byte, at string, err error) actors.DialFailed {
	addr := ma.StringCast(at)
	return actors.DialFailed{Peer: identity.NodeID{n}, Err: err, Attempts: []actors.DialAttempt{{Addr: addr, Err: &transport.DialError{Addr: addr, Stage: transport.StageConnect, Err: err}}}}
}

// TestAway: what an offline node has tried is said in a few words, of one peer that matters most.
func TestAway(t *testing.T) {
	now := time.Unix(1e9, 0)
	kind := func(peer identity.NodeID) (string, int) {
		if peer[0] == 1 {
			return "seed", 0
		}
		return "node", 2
	}
	const seed, other = "/ip4/203.0.113.10/tcp/18189", "/dns4/example.org/tcp/1"
	for want, failed := range map[string][]actors.DialFailed{
		"": nil,
		"203.0.113.10:18189 (seed) refuses connections, tried once": {failedDial(1, seed, transport.ErrRefused)},
		"no answer from 203.0.113.10:18189 (seed), tried twice":     {failedDial(1, seed, transport.ErrTimeout), failedDial(1, seed, transport.ErrTimeout)},
		"no route to 203.0.113.10:18189 (seed), tried once, and node " + identity.NodeID{2}.String(): {
			failedDial(2, other, transport.ErrRefused), failedDial(2, other, transport.ErrRefused),
			failedDial(1, seed, fmt.Errorf("dial tcp4: connect: %w", syscall.ENETUNREACH)),
		},
		"the name is not resolved: /dns4/example.org/tcp/1 (node), tried once":      {failedDial(2, other, transport.ErrResolve)},
		"no answer from 203.0.113.10:18189 (seed), tried once":                      {failedDial(1, seed, syscall.EHOSTUNREACH)},
		"this machine forbids connections to 203.0.113.10:18189 (seed), tried once": {failedDial(1, seed, transport.ErrPermission)},
		"seed: no address of the peer, tried once":                                  {{Peer: identity.NodeID{1}, Err: errors.New("no address of the peer")}},
		"203.0.113.10:18189 (seed): of another network, tried 3 times": {
			failedDial(1, seed, errors.New("of another network")), failedDial(1, seed, errors.New("of another network")),
			failedDial(1, seed, context.Canceled),
			{Peer: identity.NodeID{1}, Err: actors.ErrDialCancelled}, // say nothing
			failedDial(1, seed, errors.New("of another network")),
		},
	} {
		var a away
		a.becomes(now, connpool.Offline)
		for _, m := range failed {
			a.failed(m)
		}
		if got, code := a.text(kind); got != want || (code == nil) != (want == "") {
			t.Errorf("got %q with the code %v, want %q", got, code, want)
		}
		a.becomes(now.Add(time.Minute), connpool.Degraded)
		if !a.lacks.Equal(now) || !a.since.Equal(now.Add(time.Minute)) || a.tried != nil {
			t.Errorf("with a client: got %+v, want not online since before, and nothing tried", a)
		}
	}
	var b away
	b.becomes(now, connpool.Offline)
	for i := range 50 { // online for a second, now and then
		b.becomes(now.Add(time.Duration(i)*time.Minute), connpool.Online)
		b.becomes(now.Add(time.Duration(i)*time.Minute+time.Second), connpool.Offline)
	}
	if !b.lacks.Equal(now) {
		t.Errorf("online for a second: got not online since %v, want since the beginning", b.lacks.Sub(now))
	}
	end := now.Add(time.Hour)
	b.becomes(end, connpool.Online)
	if b.becomes(end.Add(settled), connpool.Degraded); !b.lacks.Equal(end.Add(settled)) {
		t.Errorf("after a while online: got not online since %v, want since then", b.lacks.Sub(now))
	}
	var many away
	for i := range 200 {
		many.failed(failedDial(byte(i), seed, transport.ErrRefused))
	}
	if got, _ := many.text(kind); len(many.tried) != maxTried || got != "203.0.113.10:18189 (seed) refuses connections, tried once, and more than 63 other peers" {
		t.Errorf("got %d peers remembered, %q", len(many.tried), got)
	}
}
