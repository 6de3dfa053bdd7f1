package dht_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
)

// TestRelaysLeaveRoomForOurs has as much relayed to slow peers as may be: our
// own messages are sent all the same.
func TestRelaysLeaveRoomForOurs(t *testing.T) {
	var lines strings.Builder
	for i := range 40 {
		fmt.Fprintf(&lines, "%c node connected\n", 'A'+i)
	}
	lines.WriteString("~ node connected\n")
	d := newDesk(t, lines.String(), nil)
	for i := range 40 {
		d.paced[idOf(string(rune('A'+i)))] = true
	}
	for i := range 8000 {
		e := relayed(1)
		e.Header.Tag = uint64(i)
		d.o.Relay(d.now, d.relayed(string(rune('!'+i%10)), e, dht.Random{N: 20}))
	}
	if _, copies := d.o.Len(); copies < dht.MaxCopies/2-20 || copies > dht.MaxCopies/2 {
		t.Fatalf("got %d copies relayed, want half of %d", copies, dht.MaxCopies)
	}
	d.send(dht.Message{To: dht.Direct{Peer: idOf("~")}, Type: 200, Body: []byte("hello")})
	if len(d.writes) != 1 {
		t.Errorf("got %d written of our own, want it", len(d.writes))
	}
}
