package wirecheck

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/transport"
)

// maxRecord is how many bytes of one connection wire keeps.
const maxRecord = 256 << 10

// rawConn is a raw connection that keeps the first bytes it received.
type rawConn struct{ rawpeer.Wire }

// dial connects to the target.
func (p *probe) dial() (*rawConn, error) {
	c, err := p.Dial(p.ctx)
	if err != nil {
		return nil, &setupError{"dial", err}
	}
	stop := closeWith(p.ctx.Done(), c)
	p.opened = append(p.opened, stop)
	return &rawConn{rawpeer.Wire{Conn: c, Max: maxRecord}}, nil
}

// closeWith closes c when done is closed. The returned function returns once that is
// done.
func closeWith(done <-chan struct{}, c io.Closer) func() {
	var w sync.WaitGroup
	w.Go(func() {
		<-done
		c.Close()
	})
	return w.Wait
}

// send writes bytes.
func (w *rawConn) send(b ...byte) error { return write(w, b) }

// write writes bytes. Of the write's errors it returns only a timeout: the next read
// reports the connection's end.
func write(c net.Conn, b []byte) error {
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(b); err != nil && transport.IsTimeout(err) {
		return differs("that it reads what is sent", "no room to write %s within %v", count(len(b), "byte"), patience)
	}
	return nil
}

// deadliner is a reader with a deadline.
type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// drain reads until the connection ends or the time is over. It reports whether the
// connection ended.
func drain(r deadliner, d time.Duration) (got []byte, ended bool) {
	r.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 4<<10)
	for len(got) < maxRecord {
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			return got, !transport.IsTimeout(err)
		}
	}
	return got, false
}

// silentEnd checks that the connection ends and that nothing arrives before.
func (w *rawConn) silentEnd(within time.Duration) error {
	const want = "the connection closed with nothing sent"
	got, ended := drain(w, within)
	switch {
	case len(got) > 0:
		return differsAt("what it sent", 0, want, "%s", around(got, 0))
	case !ended:
		return differs(want, "an open connection after %v", within)
	}
	return nil
}

// silentEndAfter is silentEnd for a time limit of the node: the end must come at about
// limit.
func (w *rawConn) silentEndAfter(limit time.Duration) error {
	began := time.Now()
	if err := w.silentEnd(limit + late); err != nil {
		return err
	}
	return notEarly(began, limit)
}

// The check accepts a node's time limit that is early or late by less than this.
const (
	early = 500 * time.Millisecond
	late  = 2500 * time.Millisecond
)

func notEarly(began time.Time, limit time.Duration) error {
	if took := time.Since(began); took < limit-early {
		return differs("the end after "+limit.String(), "it after %v", took.Round(time.Millisecond))
	}
	return nil
}

// message1 is the first message of the handshake, as a frame: spec: comms 4.4.
func (p *probe) message1() []byte {
	key := p.secret.PublicKey() // as good an ephemeral as any: it is not used further
	return append([]byte{0, 32}, key[:]...)
}

// errOtherKey reports that the node has another key than the one to be checked.
var errOtherKey = errors.New("the node has another key")

// shake does everything up to the end of the handshake. By default it sends the wire
// byte first.
func (p *probe) shake(w *rawConn, prefix ...byte) (*noise.Conn, error) {
	if prefix == nil {
		prefix = []byte{p.wireByte()}
	}
	return p.handshake(w, prefix)
}

func (p *probe) handshake(w *rawConn, prefix []byte) (*noise.Conn, error) {
	c, err := noise.Client(w, noise.Config{
		Static: p.secret, Prefix: prefix, MessageTimeout: patience,
		Check: func(k identity.PublicKey) error {
			if k != p.Key {
				return errOtherKey
			}
			return nil
		},
	})
	if err != nil {
		return nil, &setupError{"noise", err}
	}
	return c, nil
}

func (p *probe) wireByte() byte { return p.Network.WireByte(p.Release) }

// secure dials and does the handshake.
func (p *probe) secure() (*rawConn, *noise.Conn, error) {
	w, err := p.dial()
	if err != nil {
		return nil, nil, err
	}
	c, err := p.shake(w)
	return w, c, err
}
