package assemble

import (
	"context"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/transport"
)

// listenFile is the name of the file in a data directory that holds the address on which
// the node listened last, if Config.Listen was empty. If the file is missing or
// unusable, the node takes a free port.
const listenFile = "listen"

// listenWhereBefore listens on the port that the node had last, because peers know only
// that port. If another program uses it, listenWhereBefore takes a free port and stores
// that one.
func (b *builder) listenWhereBefore(ctx context.Context, t transport.Transport, anyPort ma.Multiaddr) (transport.Listener, error) {
	d, err := datadir.Open(b.DataDir, datadir.Group(b.DataDirGroup))
	if err != nil {
		return nil, datadir.Error(err)
	}
	defer d.Close()
	before, taken := readListenFile(d), error(nil)
	var socket transport.Listener
	if at := samePort(before, anyPort); at != nil {
		socket, taken = t.Listen(ctx, at)
	}
	if socket == nil {
		var err error
		if socket, err = t.Listen(ctx, anyPort); err != nil {
			return nil, err
		}
	}
	now := socket.Multiaddr()
	if taken != nil {
		b.Logger.Warn("the port of before is not free, and peers know no other; choose one with Config.Listen", "before", before, "addr", now, "err", taken)
	}
	if before == nil || !before.Equal(now) {
		if err := d.WriteFile(listenFile, []byte(now.String()+"\n")); err != nil {
			b.Logger.Warn("the port cannot be kept for the next start", "addr", now, "err", err)
		}
	}
	return socket, nil
}

// readListenFile returns the address in the file, or nil if there is no usable one. An
// unusable file is no error, because a free port works as well.
func readListenFile(d *datadir.Dir) ma.Multiaddr {
	b, _, err := d.ReadFile(listenFile, 256, true)
	if err != nil {
		return nil
	}
	a, err := address.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return nil
	}
	return a
}

// samePort returns the address of anyPort with the port of before, or nil if that has none.
func samePort(before, anyPort ma.Multiaddr) ma.Multiaddr {
	if len(before) != 2 || before[1].Code() != ma.P_TCP || len(anyPort) != 2 || anyPort[1].Code() != ma.P_TCP {
		return nil
	}
	return ma.Multiaddr{anyPort[0], before[1]}
}
