package udp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// MaxDatagram is the longest datagram that UDP over IPv4 can carry, in bytes.
const MaxDatagram = 65_507

// ReceiveBuffer is what [Socket.Receive] needs so that it cuts no datagram, in bytes.
const ReceiveBuffer = 65_536

// What [Socket.Send] fails with, beside [transport.ErrClosed] and
// [transport.ErrUnsupported].
var (
	// ErrTooLong reports a datagram above [MaxDatagram].
	ErrTooLong = errors.New("udp: datagram too long")
	// ErrFull reports that too much waits to be sent.
	ErrFull = errors.New("udp: too many datagrams wait to be sent")
)

// Options are the limits of a [Socket]. A zero number stands for its default, named after
// the semicolon.
type Options struct {
	// Answers and Others are how many datagrams of each kind may wait to be sent; 1,024
	// each.
	Answers, Others int
	// Bytes is how many bytes may wait to be sent, of each kind; 4 MiB.
	Bytes int
	// SystemBuffer is how many bytes the system is asked to keep for the socket in each
	// direction; 1 MiB. Most systems give less, and say nothing.
	SystemBuffer int
}

// Socket is a bound datagram socket. Get one from [Listen]. Its methods may be called from
// any goroutine, but only one at a time may be in [Socket.Receive], and one in
// [Socket.Transmit].
type Socket struct {
	conn  *net.UDPConn
	addr  netip.AddrPort
	local *locals // nil unless the socket is bound to all addresses, and can tell them apart
	queue *queue

	counts struct {
		in, out, bytesIn, bytesOut, refused, failed atomic.Uint64
	}
	lastFailed atomic.Pointer[SendError]
	closing    sync.Once
}

// Counts are what a [Socket] has done.
type Counts struct {
	In, BytesIn, Out, BytesOut uint64 // datagrams and bytes
	Refused                    uint64 // datagrams that [Socket.Send] did not take
	Failed                     uint64 // datagrams that the system did not send
	Last                       error  // a *[SendError], of the last of them; nil if there is none
}

// SendError reports a datagram that the system did not send.
type SendError struct {
	To    netip.AddrPort
	Size  int // in bytes
	Cause error
}

// Error names the receiver, the size and the cause.
func (e *SendError) Error() string {
	return fmt.Sprintf("udp: send %d bytes to %s: %v; check this machine's network and its firewall", e.Size, e.To, e.Cause)
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// Listen binds a, which is /ip4/…/udp/… or /ip6/…/udp/…; with port 0 the system chooses the
// port. A socket of IPv6 takes no datagrams of IPv4. The error is a *[transport.ListenError].
// The end of ctx cancels only the binding.
func Listen(ctx context.Context, a ma.Multiaddr, o Options) (*Socket, error) {
	at, ok := AddrPort(a)
	if !ok {
		return nil, &transport.ListenError{Addr: a, Err: transport.ErrUnsupported}
	}
	network := "udp6"
	if at.Addr().Is4() {
		network = "udp4"
	}
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, network, at.String())
	if err != nil {
		return nil, &transport.ListenError{Addr: a, Err: transport.Classify(err)}
	}
	s := &Socket{conn: c.(*net.UDPConn), queue: newQueue(o)}
	s.addr = unmapped(s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	if at.Addr().IsUnspecified() && wantDestinations(s.conn, at.Addr().Is4()) == nil {
		s.local = newLocals()
	}
	buffer := cmp.Or(o.SystemBuffer, 1<<20)
	_ = s.conn.SetReadBuffer(buffer) // a smaller one works as well
	_ = s.conn.SetWriteBuffer(buffer)
	return s, nil
}

// AddrPort returns where the multiaddr /ip4/…/udp/… or /ip6/…/udp/… leads; ok is false for
// any other.
func AddrPort(a ma.Multiaddr) (at netip.AddrPort, ok bool) {
	ip, ok := transport.IP(a)
	if !ok || len(a) != 2 || a[1].Code() != ma.P_UDP {
		return netip.AddrPort{}, false
	}
	port := a[1].RawValue()
	return netip.AddrPortFrom(ip, uint16(port[0])<<8|uint16(port[1])), true
}

// unmapped returns the address without the IPv6 form of IPv4.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Multiaddr returns the bound address, with the real port.
func (s *Socket) Multiaddr() ma.Multiaddr { return transport.FromUDPAddrPort(s.addr) }

// Receive waits for the next datagram, writes it into buffer, which should have
// [ReceiveBuffer] bytes, and returns its length and its sender. After Close the error
// matches [transport.ErrClosed]; any other is temporary, and Receive may be called again.
func (s *Socket) Receive(buffer []byte) (n int, from netip.AddrPort, err error) {
	if s.local == nil {
		n, from, err = s.conn.ReadFromUDPAddrPort(buffer)
	} else {
		var control [controlSize]byte
		var c int
		n, c, _, from, err = s.conn.ReadMsgUDPAddrPort(buffer, control[:])
		if err == nil {
			s.local.note(unmapped(from), control[:c])
		}
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return 0, netip.AddrPort{}, fmt.Errorf("%w: receive on %s", transport.ErrClosed, s.Multiaddr())
	case err != nil:
		return 0, netip.AddrPort{}, fmt.Errorf("udp: receive on %s: %w", s.Multiaddr(), err)
	}
	s.counts.in.Add(1)
	s.counts.bytesIn.Add(uint64(n))
	return n, unmapped(from), nil
}

// Send queues a datagram, which is the socket's from then on, and never waits. An answer
// leaves before all others that wait. Send fails with [ErrTooLong], with [ErrFull], with
// [transport.ErrUnsupported] for a receiver of the other version of IP, or with
// [transport.ErrClosed]. What the system makes of the datagram is in [Socket.Counts].
func (s *Socket) Send(to netip.AddrPort, datagram []byte, answer bool) error {
	var err error
	switch {
	case len(datagram) > MaxDatagram:
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(datagram), MaxDatagram)
	case to.Addr().Is4() != s.addr.Addr().Is4():
		err = fmt.Errorf("%w: %s, from %s", transport.ErrUnsupported, to, s.Multiaddr())
	default:
		err = s.queue.add(waiting{to, datagram}, answer)
	}
	if err != nil {
		s.counts.refused.Add(1)
	}
	return err
}

// Transmit sends what waits, and what is queued later, until Close. The error matches
// [transport.ErrClosed].
func (s *Socket) Transmit() error {
	for {
		w, ok := s.queue.take()
		if !ok {
			return fmt.Errorf("%w: send on %s", transport.ErrClosed, s.Multiaddr())
		}
		if err := s.write(w); err != nil {
			s.counts.failed.Add(1)
			s.lastFailed.Store(&SendError{w.to, len(w.datagram), transport.Classify(err)})
			continue
		}
		s.counts.out.Add(1)
		s.counts.bytesOut.Add(uint64(len(w.datagram)))
	}
}

// Flush waits until [Socket.Transmit] has sent all that waits. It fails with the error of ctx,
// or with [transport.ErrClosed].
func (s *Socket) Flush(ctx context.Context) error {
	switch {
	case s.queue.flush(ctx):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("udp: flush %s: %w", s.Multiaddr(), ctx.Err())
	}
	return fmt.Errorf("%w: flush %s", transport.ErrClosed, s.Multiaddr())
}

func (s *Socket) write(w waiting) (err error) {
	if s.local != nil {
		if from, ok := s.local.of(w.to); ok {
			_, _, err = s.conn.WriteMsgUDPAddrPort(w.datagram, sendFrom(from), w.to)
			return err
		}
	}
	_, err = s.conn.WriteToUDPAddrPort(w.datagram, w.to)
	return err
}

// Counts returns what the socket has done.
func (s *Socket) Counts() Counts {
	c := Counts{
		In: s.counts.in.Load(), BytesIn: s.counts.bytesIn.Load(), Out: s.counts.out.Load(), BytesOut: s.counts.bytesOut.Load(),
		Refused: s.counts.refused.Load(), Failed: s.counts.failed.Load(),
	}
	if last := s.lastFailed.Load(); last != nil {
		c.Last = last
	}
	return c
}

// Close ends both loops. What waits is not sent; [Socket.Flush] first sends it. Closing twice
// does no harm.
func (s *Socket) Close() (err error) {
	s.closing.Do(func() {
		s.queue.close()
		err = s.conn.Close()
	})
	return err
}
