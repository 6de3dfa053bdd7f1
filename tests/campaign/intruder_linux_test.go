//go:build campaign

package campaign

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// firstMessage is how long the wire byte and the first message of a private network are together.
const firstMessage = 1 + 48

// privateNetwork makes the network of a pair, and returns its file.
func privateNetwork(t *testing.T, bin, dir string) (file string, network *gamelan.PrivateConfig) {
	t.Helper()
	file = filepath.Join(dir, "acme.network")
	create := exec.Command(bin, "network", "create", "acme")
	create.Dir = dir
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("gamelan network create: %v\n%s", err, out)
	}
	n, err := gamelan.ReadNetwork(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, &n
}

// intrusions are what somebody does who has all of a private network but its secret, and who has
// heard others connect.
func (a *attacker) intrusions(file string) ([]attackKind, error) {
	network, err := gamelan.ReadNetwork(file)
	if err != nil {
		return nil, err
	}
	heard, err := a.eavesdrop(protocol.Private(network.Name, network.Secret, nil))
	if err != nil {
		return nil, err
	}
	other, err := protocol.NewNetworkSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	random := func() []byte {
		b := make([]byte, firstMessage)
		_, _ = rand.Read(b)
		b[0] = heard[0]
		return b
	}
	junk := func() []byte { return append(append([]byte(nil), heard...), random()...) }
	return []attackKind{
		{"another secret", 8, a.strangers(protocol.Private(network.Name, other, nil))},
		{"no secret", 4, a.strangers(protocol.Tari(protocol.LocalNet))},
		{"random first messages", 8, a.says(random, 0)},
		{"replays of a member's first message", 8, a.says(func() []byte { return heard }, 0)},
		{"replays that wait", 30, a.says(func() []byte { return heard }, 5*time.Second)},
		{"replays and junk", 4, a.says(junk, 0)},
		{"half a first message", 30, a.says(func() []byte { return heard[:20] }, 5*time.Second)},
		{"half-open set-ups", 30, a.says(func() []byte { return heard[:1] }, 5*time.Second)},
	}, nil
}

// eavesdrop returns the wire byte and the first message of a member that dials.
func (a *attacker) eavesdrop(member protocol.Profile) ([]byte, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	tapped := *a
	tapped.profile = member
	tapped.to = ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port))
	go func() { _, _, _ = tapped.connect(context.Background()) }()
	c, err := l.Accept()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	heard := make([]byte, firstMessage)
	_, err = io.ReadFull(c, heard)
	return heard, err
}

// strangers dials by a profile that is not the node's. To be let in is a fault.
func (a *attacker) strangers(profile protocol.Profile) func(context.Context) error {
	stranger := *a
	stranger.profile = profile
	return func(ctx context.Context) error {
		for range 50 {
			s, c, err := stranger.connect(ctx)
			if err == nil {
				c.Close()
				s.Close()
				fmt.Fprintln(os.Stderr, "INTRUDED: a node without the secret is let in")
				os.Exit(1)
			}
		}
		return nil
	}
}

// says writes something in place of a handshake, and stays for a while.
func (a *attacker) says(what func() []byte, stays time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		for range 20 {
			c, err := tcp.New(tcp.Options{}).Dial(ctx, a.to)
			if err != nil {
				return err
			}
			_, err = c.Write(what())
			pause(ctx, stays)
			c.Close()
			if err != nil || stays > 0 {
				return err
			}
		}
		return nil
	}
}
