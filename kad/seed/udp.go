package seed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/internal/transport/udp"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// UDPOptions configure a [UDP]. The zero value works.
type UDPOptions struct {
	// Listen is the multiaddr of the socket; "": /ip4/127.0.0.1/udp/0. With port 0 the system
	// chooses the port, which the network then keeps.
	Listen string
	// Addresses are further addresses at which others reach the socket, for instance that of
	// a router.
	Addresses []kad.Address
	// IDLen is the length of ids in bytes, as the [kad.Hasher] of the client makes them; 0: 20.
	IDLen int
	// MaxValue is the longest value of an own STORE in bytes; 0: 1,304, above which datagrams
	// are fragmented. At most 65,411, with ids of 20 bytes.
	MaxValue int
	// Socket are the limits of the socket.
	Socket SocketOptions
}

// SocketOptions are the limits of the socket of a [UDP]. A zero number stands for its
// default, named after the semicolon.
type SocketOptions struct {
	// Answers and Others are how many datagrams of each kind may wait to be sent; 1,024
	// each.
	Answers, Others int
	// Bytes is how many bytes may wait to be sent, of each kind; 4 MiB.
	Bytes int
	// SystemBuffer is how many bytes the system is asked to keep for the socket in each
	// direction; 1 MiB. Most systems give less, and say nothing.
	SystemBuffer int
}

// UDP returns the network of the overlay Seed over UDP: the protocol of the program that
// the DHT began as, to the byte. It fails with an error that matches [kad.ErrConfig], or with a
// [*kad.TooLarge] for a MaxValue that no datagram can carry.
//
// spec: kad A6, A9
func UDP(o UDPOptions) (kad.Network, error) {
	if o.Listen == "" {
		o.Listen = "/ip4/127.0.0.1/udp/0"
	}
	if o.IDLen == 0 {
		o.IDLen = overlay.SHA1.Size()
	}
	listen, err := ma.NewMultiaddr(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: Listen: %w", kad.ErrConfig, err)
	}
	at, ok := udp.AddrPort(listen)
	if !ok {
		return nil, fmt.Errorf("%w: Listen %s: want /ip4/…/udp/… or /ip6/…/udp/…", kad.ErrConfig, listen)
	}
	codec, err := seedwire.NewCodec(o.IDLen, o.MaxValue)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kad.ErrConfig, err)
	}
	n := &seedUDP{o: o, codec: codec, listen: listen, protocols: "ip4/udp"}
	if at.Addr().Is6() {
		n.protocols = "ip6/udp"
	}
	return n, nil
}

// seedUDP is the settings of a socket. listen has the port once that is bound; only the
// gateway's actor uses it.
type seedUDP struct {
	o         UDPOptions
	codec     seedwire.Codec
	listen    ma.Multiaddr
	protocols string
}

// Label names the address that the options have.
func (n *seedUDP) Label() string { return "seed udp " + n.o.Listen }

// Limits are those of datagrams whose sender anybody can invent.
func (n *seedUDP) Limits() kad.Limits {
	return kad.Limits{
		Datagram: true, Unproven: true, MaxValue: n.codec.MaxValue(), Size: n.codec.Size,
		Select: func(contacts []kad.Contact, to *kad.Incoming, most, room int) []kad.Contact {
			return n.codec.Select(contacts, seedwire.Asker{ID: to.From.ID, Address: to.Address}, kad.ID{}, most, room)
		},
	}
}

// Route returns the first address with the protocols of the socket (spec: kad A4).
func (n *seedUDP) Route(c kad.Contact) kad.Address {
	for _, a := range c.Addresses {
		if a.Protocols() == n.protocols {
			return a
		}
	}
	return ""
}

// bindTries and bindPause are how often a gateway tries to bind its port while another socket
// has it, and the pause in between. The socket of an earlier incarnation, or of an earlier run
// of the program, may be closed a little later.
const (
	bindTries = 100
	bindPause = 50 * time.Millisecond
)

// Open binds the socket in a task.
func (n *seedUDP) Open(c actor.Context, p *kad.Port) kad.Link {
	listen, options, tries := n.listen, udp.Options(n.o.Socket), bindTries
	supervisor.Do(c, "bind", func(ctx context.Context) (*supervisor.Handover[*udp.Socket], error) {
		for {
			s, err := udp.Listen(ctx, listen, options)
			if err == nil {
				return supervisor.Hand(s, nil), nil
			}
			if tries--; tries == 0 || !errors.Is(err, transport.ErrAddressInUse) {
				return nil, err
			}
			if err := supervisor.Sleep(ctx, bindPause); err != nil {
				return nil, err
			}
		}
	})
	return &seedLink{n: n, port: p}
}

// seedLink is an open socket.
type seedLink struct {
	n      *seedUDP
	port   *kad.Port
	socket *udp.Socket // nil until it is bound
}

// errOpening reports that the socket is not bound yet.
var errOpening = errors.New("kad: the gateway is opening")

// Send queues a packet, and never waits. It fails if the queue is full or the packet too long.
func (l *seedLink) Send(_ actor.Context, o kad.Outgoing) error {
	if l.socket == nil {
		return errOpening
	}
	to, _, ok := o.Address.AddrPort()
	if !ok {
		return fmt.Errorf("kad: %s is no address of UDP", o.Address)
	}
	b, err := l.n.codec.Append(nil, &o.Message)
	if err != nil {
		return err
	}
	if err := l.socket.Send(to, b, o.Answer); err != nil {
		return err
	}
	l.port.Sent(len(b))
	return nil
}

// flushed reports that the socket has sent what it had taken, or has not in time.
type flushed struct{}

// Flush waits in a task until the socket has sent what it has taken.
func (l *seedLink) Flush(c actor.Context) {
	s := l.socket
	if s == nil {
		l.port.Flushed()
		return
	}
	supervisor.Do(c, "flush", func(ctx context.Context) (flushed, error) { return flushed{}, s.Flush(ctx) })
}

// Receive takes the bound socket. When one of its loops ends, the actor fails, and binds the
// same address again.
func (l *seedLink) Receive(c actor.Context) bool {
	switch m := c.Message().(type) {
	case supervisor.Done[*supervisor.Handover[*udp.Socket]]:
		if m.Err != nil {
			l.port.Failed(m.Err)
			return true
		}
		if s, ok := m.Value.Take(); ok {
			l.bound(c, s)
		}
	case supervisor.Done[flushed]:
		l.port.Flushed()
	case supervisor.TaskDone:
		panic(fmt.Errorf("kad: %s: %w", l.n.Label(), m.Err))
	default:
		return false
	}
	return true
}

func (l *seedLink) bound(c actor.Context, s *udp.Socket) {
	l.socket, l.n.listen = s, s.Multiaddr()
	codec, port := l.n.codec, l.port
	supervisor.GoLong(c, "receive", s, func(ctx context.Context) error {
		buffer := make([]byte, udp.ReceiveBuffer)
		for {
			size, from, err := s.Receive(buffer)
			switch {
			case errors.Is(err, transport.ErrClosed) || ctx.Err() != nil:
				return err
			case err != nil:
				if err := supervisor.Sleep(ctx, receivePause); err != nil {
					return err
				}
			default:
				deliver(port, codec, from, buffer[:size])
			}
		}
	})
	supervisor.Go(c, "send", nil, func(context.Context) error { return s.Transmit() })
	port.Opened(l.own()...)
}

// receivePause is the wait after the system has failed to receive.
const receivePause = 100 * time.Millisecond

// deliver hands the message of a datagram to the actor. It keeps nothing of the datagram.
func deliver(port *kad.Port, codec seedwire.Codec, from netip.AddrPort, datagram []byte) {
	at := overlay.UDPAddress(from)
	m, err := codec.Decode(datagram)
	if err != nil || at == "" {
		port.Malformed(at, err)
		return
	}
	if m.Record != nil {
		m.Record.Value = bytes.Clone(m.Record.Value)
	}
	port.Deliver(kad.Incoming{
		Packet: kad.Packet{Address: at, Message: m, Size: len(datagram)}, From: overlay.SeedContact(m.Sender, at), Group: at.Group(),
	})
}

// own returns the addresses that lead to the socket.
func (l *seedLink) own() (own []kad.Address) {
	all, err := transport.Expand(l.n.listen)
	if err != nil {
		all = nil
	}
	for _, m := range all {
		if a, err := overlay.ParseAddress(m.String()); err == nil {
			own = append(own, a)
		}
	}
	return append(own, l.n.o.Addresses...)
}
