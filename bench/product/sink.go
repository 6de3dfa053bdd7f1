package product

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// sinkVariable is set in a process that reads messages of the DHT and forgets
// them.
const sinkVariable = "GAMELAN_BENCH_SINK"

// Sink is the other process of SendDHT: it does that and reports true if this is
// one. The line that it gets ready with is its seed. It is the wire of a node with
// the DHT and nothing above it, so that no time goes into what it reads.
func Sink() (was bool, err error) {
	if os.Getenv(sinkVariable) == "" {
		return false, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return true, err
	}
	defer l.Close()
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return true, err
	}
	address := ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port))
	cfg, err := setUp(secret, identity.FeatureNode, address)
	if err != nil {
		return true, err
	}
	go swallowAll(l, cfg)
	return true, untilTold(secret.PublicKey().String()+"::"+address.String(), func() error { return nil }, nil)
}

// setUp is the set-up of a connection by a node with the DHT, or a client, that can be reached
// at the address.
func setUp(secret *identity.Secret, features identity.Features, address ma.Multiaddr) (upgrade.Config, error) {
	claim, err := identity.SignClaim(secret, features, [][]byte{address.Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		return upgrade.Config{}, err
	}
	return upgrade.Config{
		Profile: protocol.Tari(protocol.LocalNet), Secret: secret,
		Local: func() identify.Message {
			return identify.Message{Claim: claim, Protocols: []protocol.ID{protocol.MessagingID, protocol.DHTMarker}, UserAgent: "gamelan/bench"}
		},
	}, nil
}

// swallowAll reads all that comes on all connections.
func swallowAll(l net.Listener, cfg upgrade.Config) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go swallow(c, cfg)
	}
}

// swallow reads all that comes on one connection.
func swallow(c net.Conn, cfg upgrade.Config) {
	r, err := upgrade.Inbound(context.Background(), c, cfg)
	if err != nil {
		return
	}
	swallowSession(r.Session, cfg)
}

// swallowSession reads all that comes on the peer's substreams.
func swallowSession(session *mux.Session, cfg upgrade.Config) {
	for {
		s, err := session.Accept()
		if err != nil {
			return
		}
		go func(s *mux.Stream) {
			defer s.Close()
			known := func(id protocol.ID) bool { return id == protocol.MessagingID }
			if _, err := negotiate.Accept(s, cfg.Profile.Limits.NegotiationRounds, known); err == nil {
				io.Copy(io.Discard, s)
			}
		}(s)
	}
}
