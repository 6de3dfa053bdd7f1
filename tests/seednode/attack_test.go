package seednode_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/gamelan-p2p/gamelan/kad/seed"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

// TestProbesOfAFlood sends more PINGs, each from another port, than there may be requests under
// way. Each gets a probe that nobody answers. The node finds as many values of an honest node
// afterwards as before.
//
// conforms: kad 8
func TestProbesOfAFlood(t *testing.T) {
	honest := start(t, seednode.Config{Calm: true})
	const values = 20
	for i := range 2 * values { // before it knows anybody, so that they stay there
		if err := honest.Save(fmt.Append(nil, i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	s, c := service(t, seed.UDPOptions{})
	if _, err := s.Connect(t.Context(), honest.Address()); err != nil {
		t.Fatal(err)
	}
	knows := func(from int) (found int) {
		for i := range values {
			if r, err := s.Query(t.Context(), fmt.Append(nil, from+i)); err == nil && string(r) == "value" {
				found++
			}
		}
		return found
	}
	if got := knows(0); got != values {
		t.Fatalf("control: got %d of %d values", got, values)
	}
	const pings = 1200
	to := net.UDPAddrFromAddrPort(call(t, c).to)
	for i := range pings {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.WriteToUDP(seednode.Datagram{MessageID: randomBytes(), Sender: randomBytes(), Tag: seednode.ReqPing}.Encode(), to); err != nil {
			t.Error(err)
		}
		conn.Close()
		if i%50 == 49 { // no more than the system's buffer takes
			pause := call(t, c)
			pause.ask(seednode.Datagram{Tag: seednode.ReqPing})
			pause.until(seednode.ResPong)
		}
	}
	if got := knows(values); got != values {
		t.Errorf("after %d PINGs: got %d of %d values", pings, got, values)
	}
}
