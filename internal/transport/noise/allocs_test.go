//go:build !race

package noise

import (
	"net"
	"runtime"
	"testing"

	flynn "github.com/flynn/noise"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Under the race detector a pool forgets some of what it is given.
func TestHashStatesAllocateNothing(t *testing.T) {
	s, key := &suite{CipherFunc: flynn.CipherChaChaPoly}, []byte("key")
	if got := testing.AllocsPerRun(200, func() {
		s.borrow()
		for range 28 {
			s.Hash().Write(key)
		}
		s.giveBack()
	}); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

// Both ends of a handshake allocate 21 kB in 220 pieces. Without the pool of hash states it is 46 kB in 283.
func TestHandshakeAllocations(t *testing.T) {
	client, server := Config{Pattern: protocol.XX, Static: newSecret(t)}, Config{Pattern: protocol.XX, Static: newSecret(t)}
	run := func() {
		x, y := net.Pipe()
		c, s := shake(x, y, client, server)
		if c.err != nil || s.err != nil {
			t.Fatal(c.err, s.err)
		}
	}
	run()
	const rounds = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		run()
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / rounds; got > 26_000 {
		t.Errorf("got %d bytes a handshake, want 21 kB", got)
	}
	if got := (after.Mallocs - before.Mallocs) / rounds; got > 250 {
		t.Errorf("got %d allocations a handshake, want 220", got)
	}
}
