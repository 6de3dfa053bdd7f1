package product

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// comesAgain is what an attacker waits after a connection that it did not get.
const comesAgain = 10 * time.Millisecond

// again strikes on one connection, as another identity each time that the last
// connection ended. It fails if it cannot connect at all.
func again(ctx context.Context, seed string, strike func(w *writer) error) error {
	return repeat(ctx, func() error {
		w, err := dialNew(seed)
		if err != nil {
			return err
		}
		defer w.session.Close()
		for ctx.Err() == nil && strike(w) == nil {
		}
		return nil
	})
}

// dialNew is dial as an identity that nobody has seen before.
func dialNew(seed string) (*writer, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	return dial(seed, secret)
}

// sessionNew is dialSession as an identity that nobody has seen before.
func sessionNew(seed string) (*mux.Session, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	return dialSession(seed, secret)
}

// batch writes messages and counts them.
func (w *writer) batch(all []entry, count *atomic.Uint64) error {
	_, err := messaging.WriteFrames(w.stream, all)
	if err == nil {
		count.Add(uint64(len(all)))
	}
	return err
}

// hasRead ends the substream, and waits until the node has read all of it.
func (w *writer) hasRead() error {
	if err := w.stream.CloseWrite(); err != nil {
		return err
	}
	w.stream.SetReadDeadline(time.Now().Add(sendWithin))
	_, err := io.Copy(io.Discard, w.stream)
	return err
}

// repeat calls strike until ctx ends, after a pause where it failed. It fails if
// strike never succeeded.
func repeat(ctx context.Context, strike func() error) error {
	var last error
	struck := false
	for ctx.Err() == nil {
		if err := strike(); err == nil {
			struck = true
			continue
		} else {
			last = err
		}
		pause(ctx, comesAgain)
	}
	if struck {
		return nil
	}
	return errors.Join(errors.New("no stroke succeeded"), last)
}

// shake connects to the node of a seed from an address, and does the handshake.
func shake(ctx context.Context, seed, from string, secret *identity.Secret) (net.Conn, error) {
	c, err := knock(ctx, seed, from)
	if err != nil {
		return nil, err
	}
	secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{protocol.Tari(protocol.LocalNet).WireByte}})
	if err != nil {
		c.Close()
		return nil, err
	}
	return secure, nil
}

// enter sets a connection up, as an identity that nobody has seen before, as far as
// the identity exchange goes.
func enter(ctx context.Context, seed, from string) (net.Conn, *identity.Secret, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c, err := enterAs(ctx, seed, from, secret, identity.FeatureNode)
	return c, secret, err
}

// enterAs is enter as the holder of a key, with these features.
func enterAs(ctx context.Context, seed, from string, secret *identity.Secret, features identity.Features) (net.Conn, error) {
	cfg, err := setUp(secret, features, nowhere)
	if err != nil {
		return nil, err
	}
	says, err := identify.Append(nil, 0, cfg.Local())
	if err != nil {
		return nil, err
	}
	c, err := shake(ctx, seed, from, secret)
	if err != nil {
		return nil, err
	}
	if _, err = c.Write(says); err == nil {
		_, err = identify.Read(c, cfg.Profile)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// hungUp waits until the other side has closed a connection.
func hungUp(c net.Conn) { io.Copy(io.Discard, c) }

// wait waits for something that the node does.
func wait(ctx context.Context, done func() bool) error {
	const every = time.Millisecond
	for !done() {
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
