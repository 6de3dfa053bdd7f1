package tcp_test

import (
	"errors"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
	"github.com/gamelan-p2p/gamelan/transport/transporttest"
)

// TestOnionNeedsAProxy dials onion services without one: nothing is sent, and no name server
// is asked.
//
// conforms: comms 18
func TestOnionNeedsAProxy(t *testing.T) {
	var server transporttest.NameServer
	tr := tcp.New(tcp.Options{Resolver: server.Resolver()})
	for _, text := range []string{"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", "/onion/aaimaq4ygg2iegci:80"} {
		a := ma.StringCast(text)
		_, err := tr.Dial(t.Context(), a)
		de, ok := errors.AsType[*transport.DialError](err)
		if !ok || de.Stage != transport.StageAddress || !errors.Is(err, transport.ErrUnsupported) || errors.Is(err, transport.ErrUnreachable) || tr.Handles(a) {
			t.Errorf("%s: got %v, want ErrUnsupported and no other try", a, err)
		}
	}
	if n := server.Asked(); n != 0 {
		t.Errorf("got %d questions to the name server, want none", n)
	}
}
