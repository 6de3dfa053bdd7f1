package product

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// halfOpenFromTor holds 110 set-ups that do not go on, all from loopback, where
// what comes through a Tor service arrives from, and which has no limit of its
// own; honest peers come from there too. A stroke is a set-up.
func halfOpenFromTor() attack {
	const places = 110
	return halfOpen("half-open-tor", false, time.Second, places, func(int) string { return "127.0.0.1" })
}

// halfOpenFromManySources does the same from 28 addresses in 7 networks, with as
// many as the limits of each let in. Honest peers come from other networks.
func halfOpenFromManySources() attack {
	const sources, networks, each = 28, 7, 4
	return halfOpen("half-open-28-sources", true, 5*time.Millisecond, sources*each, func(i int) string {
		i %= sources
		return fmt.Sprintf("127.8.%d.%d", 1+i%networks, 1+i)
	})
}

// halfOpen is an attack by so many set-ups at once, a third of which say nothing, a
// third a byte a second, and a third nothing after the first handshake message.
// Each comes again from the same address, a moment after it was ended.
func halfOpen(name string, placed bool, back time.Duration, places int, from func(i int) string) attack {
	return attack{
		name: name, placed: placed,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			secret, err := identity.NewSecret(rand.Reader)
			if err != nil {
				return nil, err
			}
			first := openingOf(secret.PublicKey())
			ways := []func(c net.Conn){
				func(net.Conn) {},
				func(c net.Conn) { trickle(c, first) },
				func(c net.Conn) { c.Write(first) },
			}
			return func(ctx context.Context, count *atomic.Uint64) error {
				var wg sync.WaitGroup
				for i := range places {
					wg.Go(func() {
						for ctx.Err() == nil {
							c, err := knock(ctx, seed, from(i))
							if err == nil {
								count.Add(1)
								ways[i%len(ways)](c)
								hungUp(c)
								c.Close()
							}
							pause(ctx, back)
						}
					})
				}
				wg.Wait()
				return nil
			}, nil
		},
	}
}

// openingOf is the wire byte and the first handshake message of the holder of an
// ephemeral key.
func openingOf(ephemeral identity.PublicKey) []byte {
	b := []byte{protocol.Tari(protocol.LocalNet).WireByte}
	b = binary.BigEndian.AppendUint16(b, uint16(len(ephemeral)))
	return append(b, ephemeral[:]...)
}

// trickle writes a byte a second.
func trickle(c net.Conn, b []byte) {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}
