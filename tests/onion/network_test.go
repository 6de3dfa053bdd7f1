package onion

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
)

// networkLimit is the time in which the private network has to be up; see package tornet.
const networkLimit = 4 * time.Minute

// private is the network of this test binary.
var private struct {
	start sync.Once
	net   *tornet.Network
	dir   string
	err   error
}

// network returns the private Tor network, which the first test that wants it starts. Its
// clients all run when a test begins; one that ends a client starts it again.
func network(t *testing.T) *tornet.Network {
	t.Helper()
	private.start.Do(func() {
		var steps bytes.Buffer
		if private.dir, private.err = os.MkdirTemp("", "gamelan-tornet"); private.err != nil { //nolint:usetesting // the folder outlives the test that comes first
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), networkLimit)
		defer cancel()
		private.net, private.err = tornet.Start(ctx, private.dir, tornet.Options{Clients: 3, Log: &steps})
		t.Log(steps.String())
	})
	if private.err != nil {
		t.Fatal(private.err)
	}
	return private.net
}

// endNetwork ends the private network, if there is one. No process and no folder are left.
func endNetwork() error {
	if private.net != nil {
		private.net.Stop()
		for _, c := range private.net.Clients {
			if conn, err := net.Dial("tcp4", c.Control); err == nil {
				conn.Close()
				return fmt.Errorf("the control port %s of a client of the private network still listens", c.Control)
			}
		}
	}
	if private.dir == "" {
		return nil
	}
	return os.RemoveAll(private.dir)
}

// torOf makes a client's control port one that a driver can use.
type torOf struct{ *tornet.Client }

func (c torOf) dial() (net.Conn, error) { return net.Dial("tcp4", c.Control) }
