package reachpart

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// answerLimit is how long a request, or an answer without a dial-back, may take.
const answerLimit = 10 * time.Second

// server tells peers where it sees them, and dials them back. It connects to nothing but the IP
// address from which a peer's own connection comes.
//
// In: ServicesStarted, SubstreamOpened, results of its tasks. Out: AddProtocol, PeerViolated. A
// restart ends dial-backs under way, and forgets who has asked.
type server struct {
	r       *Reach
	backs   reach.Backs
	reading share.Places // for requests that are being read
}

// A connection may have maxReading requests that have not arrived, all of a source maxOfSource, and all
// together maxReadings.
const maxReading, maxOfSource, maxReadings = 4, 16, 64

type (
	askRead struct {
		ask    reach.Ask
		stream *supervisor.Handover[protocol.Stream]
	}
	readKey struct {
		with *actors.ConnRef
	}
	answeredKey struct{ back bool }
	written     struct{}
)

// Discard resets the substream.
func (a askRead) Discard() {
	if a.stream != nil {
		a.stream.Discard()
	}
}

// Source names the peer to which a panic is charged.
func (k readKey) Source() supervisor.Source { return actors.Origin{Peer: k.with.Peer, Conn: k.with.ID} }

func (s *server) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.reading = share.Places{OfConn: maxReading, OfSource: maxOfSource, All: maxReadings}
		supervisor.Subscribe[users.ServicesStarted](c)
		s.offer(c)
	case users.ServicesStarted:
		s.offer(c)
	case users.ProtocolAdded:
		if m.Err != nil {
			supervisor.Log(c).Error("peers cannot ask whether they can be reached", "err", m.Err)
		}
	case actors.SubstreamOpened:
		s.read(c, m)
	case supervisor.Done[askRead]:
		s.asked(c, m)
	case supervisor.Done[written]:
		if m.Key.(answeredKey).back {
			s.backs.End()
		}
	default:
		supervisor.Unhandled(c)
	}
}

func (s *server) offer(c actor.Context) {
	c.Request(s.r.trunk.Services(), users.AddProtocol{ID: reach.ID, PID: c.Self(), Own: true, Later: true})
}

func (s *server) read(c actor.Context, m actors.SubstreamOpened) {
	from := share.Source(m.Conn.Origin())
	if !s.reading.Take(m.Conn.ID, from) {
		m.Discard()
		return
	}
	stream, ok := m.Stream.Take()
	if !ok {
		s.reading.Free(m.Conn.ID, from)
		return
	}
	until := supervisor.Now(c).Add(answerLimit)
	supervisor.Do(c, readKey{m.Conn}, func(ctx context.Context) (askRead, error) {
		defer context.AfterFunc(ctx, func() { stream.Close() })()
		err := stream.SetDeadline(until)
		var ask reach.Ask
		if err == nil {
			ask, err = reach.ReadAsk(stream)
		}
		if err != nil {
			stream.Close()
			return askRead{}, err
		}
		return askRead{ask, supervisor.Hand[protocol.Stream](stream, nil)}, nil
	})
}

func (s *server) asked(c actor.Context, m supervisor.Done[askRead]) {
	with := m.Key.(readKey).with
	s.reading.Free(with.ID, share.Source(with.Origin()))
	if m.Err != nil {
		if errors.Is(m.Err, protocol.ErrViolation) {
			c.Send(s.r.trunk.Connectivity(), base.Violated(with, m.Err))
		}
		return
	}
	stream, ok := m.Value.stream.Take()
	if !ok {
		return
	}
	from, _ := seen(with)
	switch ask := m.Value.ask; {
	case ask.Observe:
		s.answer(c, stream, observed(supervisor.Now(c), supervisor.Wall(c), with, from))
	case ask.Port == 0:
		s.answer(c, stream, reach.Answer{Code: reach.Malformed})
	case !s.r.DialBack || !from.IsValid() || ask.Port < reach.FirstPort || !s.r.trunk.MayDial(transport.FromAddrPort(from)):
		s.answer(c, stream, reach.Answer{Code: reach.Refused})
	case s.r.draining(): // later, or by somebody else
		s.answer(c, stream, reach.Answer{Code: reach.TooMany})
	default:
		if code := s.backs.Begin(supervisor.Now(c), share.Of(from.Addr())); code != reach.OK {
			s.answer(c, stream, reach.Answer{Code: code})
			return
		}
		s.back(c, stream, netip.AddrPortFrom(from.Addr(), ask.Port), ask.Token)
	}
}

// observed returns what this node tells a peer: where it sees it, and, on a direct connection, its own
// time and another claim of the peer's key, if it has seen one lately.
func observed(now, wall time.Time, with *actors.ConnRef, from netip.AddrPort) reach.Answer {
	a := reach.Answer{Seen: from}
	if !from.IsValid() {
		return a
	}
	a.Clock = wall.Unix()
	if o := with.Link().Other; o != nil {
		age := max(now.Sub(o.Since), wall.Sub(o.Wall)) // this machine may have slept
		if age < reach.DuplicateFor {
			a.Other = &reach.Other{Age: age, Claim: *o.Claim}
		}
	}
	return a
}

// seen returns the peer's end of a connection without a proxy, as this node sees it.
func seen(with *actors.ConnRef) (netip.AddrPort, bool) {
	at, ok := addrPort(with.Remote())
	if !ok || at.Addr().IsLoopback() { // Tor hands over its circuits from there
		return netip.AddrPort{}, false
	}
	return at, true
}

// addrPort returns the IP address and the TCP port of an address; ok is false for any other one.
func addrPort(a ma.Multiaddr) (at netip.AddrPort, ok bool) {
	ip, ok := transport.IP(a)
	port, tcp := transport.TCPPort(a)
	return netip.AddrPortFrom(ip, port), ok && tcp && len(a) == 2
}

// back dials the peer, and answers. A failure takes as long whatever its cause, so that it tells
// nothing of the ports of the peer's machine.
func (s *server) back(c actor.Context, stream protocol.Stream, to netip.AddrPort, token [reach.TokenLen]byte) {
	t, begun := s.r.trunk, supervisor.Now(c)
	supervisor.DoWith(c, answeredKey{back: true}, stream, func(ctx context.Context) (written, error) {
		code := reach.OK
		if err := dialBack(ctx, t, to, token); err != nil {
			code = reach.Failed
			if err := supervisor.Sleep(ctx, reach.BackLimit-t.Now().Sub(begun)); err != nil {
				return written{}, err
			}
		}
		return written{}, write(stream, t.Now().Add(answerLimit), reach.Answer{Code: code})
	})
}

func dialBack(ctx context.Context, t Trunk, to netip.AddrPort, token [reach.TokenLen]byte) error {
	ctx, cancel := context.WithTimeout(ctx, reach.BackLimit)
	defer cancel()
	conn, err := t.DialRaw(ctx, transport.FromAddrPort(to))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_, _, err = liveness.Ask(conn, hex.EncodeToString(token[:]), reach.BackLimit)
	return err
}

func (s *server) answer(c actor.Context, stream protocol.Stream, a reach.Answer) {
	until := supervisor.Now(c).Add(answerLimit)
	supervisor.DoWith(c, answeredKey{}, stream, func(context.Context) (written, error) {
		return written{}, write(stream, until, a)
	})
}

func write(stream protocol.Stream, until time.Time, a reach.Answer) error {
	if err := stream.SetDeadline(until); err != nil {
		return err
	}
	if _, err := stream.Write(reach.AppendAnswer(nil, a)); err != nil {
		return err
	}
	return stream.CloseWrite()
}
