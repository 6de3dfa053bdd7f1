// Package whypart is the part of a node that remembers how connections with others have begun, failed and
// ended, and tells it those that it is about (spec: V 44). See package internal/protocol/why.
package whypart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

const (
	name = "why"
	// limit is how long a request and its answer may take.
	limit = 10 * time.Second
	// retry is how long the actor rests if it has failed too often.
	retry = 30 * time.Second
	// A connection may have maxReading requests that have not arrived, all of a source maxOfSource, and all
	// together maxReadings.
	maxReading, maxOfSource, maxReadings = 4, 16, 64
	// maxAsking is how many peers are asked at once.
	maxAsking = 16
)

// ErrNotShared reports that the peer does not tell what it remembers.
var ErrNotShared = errors.New("it does not tell what it remembers")

// Why is the part. It outlives the incarnations of its actor.
type Why struct {
	trunk  Trunk
	shares bool        // with other nodes
	ledger *why.Ledger // of the actor
}

// New returns the part. If shares is false, the node tells no other one what it remembers, and asks none.
func New(t Trunk, shares bool) *Why {
	return &Why{trunk: t, shares: shares, ledger: why.NewLedger(t.Now())}
}

// Part returns the actor.
func (w *Why) Part() actors.Part {
	return actors.Part{
		Name:   name,
		Actors: []supervisor.Spec{{Name: "records", Kind: "records", New: func() actor.Actor { return &records{w: w} }}},
		Policy: supervisor.Policy{Action: supervisor.Isolate, Retry: retry},
	}
}

// mostSources is of how many addresses of a peer it is looked what was refused from there.
const mostSources = 32

// Refused returns the connections of the last hour that this node has refused: those of a peer, and those of the first 32 of these
// addresses whose key is not known. The peer may be zero. Of addresses that many share, as that of this machine, nothing is known.
func (w *Why) Refused(ctx context.Context, peer identity.NodeID, addrs ...ma.Multiaddr) (list []models.WhyRefused, err error) {
	r, err := supervisor.Ask[answered](ctx, w.trunk.System(), w.trunk.PID(name+"/records"), lookUp{peer, addrs})
	if err != nil {
		return nil, err
	}
	now := w.trunk.OnWall(w.trunk.Now())
	for _, x := range r.ours.Records {
		if x.Kind != why.Refused {
			continue
		}
		text := why.Texts[x.Code]
		if x.Detail != "" {
			text += ", " + x.Detail
		}
		list = append(list, models.WhyRefused{Code: x.Code, Why: text, Count: int(x.Count), FirstAt: now.Add(-x.First), LastAt: now.Add(-x.Last)})
	}
	return list, nil
}

// Ask asks a connected peer what it remembers of this node, and returns what this node remembers of the
// peer as well. The error is ErrNotShared, ctx's, or one of the connection.
func (w *Why) Ask(ctx context.Context, with *actors.ConnRef) (ours, theirs why.Answer, err error) {
	r, err := supervisor.Ask[answered](ctx, w.trunk.System(), w.trunk.PID(name+"/records"), askPeer{with})
	if err == nil {
		err = r.err
	}
	return r.ours, r.theirs, err
}

// records keeps the ledger, and answers and asks peers.
//
// In: ServicesStarted, PeerConnected, PeerDisconnected, PeerRefused, InboundRejected, DialFailed, askPeer, lookUp,
// SubstreamOpened, SubstreamFailed, results of its tasks. Out: AddProtocol, OpenSubstream, PeerViolated,
// answered. A restart ends what is being asked, and forgets nothing.
type records struct {
	w       *Why
	reading share.Places      // for requests that are being read
	asks    map[uint64]asking // by the token of what is being opened
	asked   int               // of them, and those that are being answered
}

type asking struct {
	with *actors.ConnRef
	by   *actor.PID
}

type (
	// askPeer is a request to ask a peer. The answer is answered.
	askPeer  struct{ with *actors.ConnRef }
	answered struct {
		ours, theirs why.Answer
		err          error
	}
	// lookUp asks what is remembered. The answer is answered.
	lookUp struct {
		peer  identity.NodeID
		addrs []ma.Multiaddr
	}
	// askRead is a request of a peer that has arrived.
	askRead struct {
		stream *supervisor.Handover[protocol.Stream]
	}
	readKey   struct{ with *actors.ConnRef }
	writeKey  struct{}
	askKey    struct{ asking }
	written   struct{}
	gotAnswer struct{ theirs why.Answer }
)

// Discard resets the substream.
func (a askRead) Discard() {
	if a.stream != nil {
		a.stream.Discard()
	}
}

// Source names the peer to which a panic is charged.
func (k readKey) Source() supervisor.Source { return actors.Origin{Peer: k.with.Peer, Conn: k.with.ID} }

// Source names the peer to which a panic is charged.
func (k askKey) Source() supervisor.Source { return actors.Origin{Peer: k.with.Peer, Conn: k.with.ID} }

// Receive implements [actor.Actor].
func (a *records) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.reading, a.asks = share.Places{OfConn: maxReading, OfSource: maxOfSource, All: maxReadings}, make(map[uint64]asking)
		supervisor.Subscribe[users.ServicesStarted](c)
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[actors.PeerRefused](c)
		supervisor.Subscribe[actors.InboundRejected](c)
		supervisor.Subscribe[actors.DialFailed](c)
		a.offer(c)
	case users.ServicesStarted:
		a.offer(c)
	case lookUp:
		a.lookUp(c, m)
	case users.ProtocolAdded:
		if m.Err != nil {
			supervisor.Log(c).Error("peers cannot ask what this node remembers of them", "err", m.Err)
		}
	case askPeer:
		a.ask(c, m.with)
	case actors.SubstreamOpened:
		if m.Direction == protocol.Inbound {
			a.read(c, m)
		} else {
			a.opened(c, m)
		}
	case connections.SubstreamFailed:
		if ask, ok := a.asks[m.Token]; ok {
			delete(a.asks, m.Token)
			err := m.Err
			if errors.Is(err, negotiate.ErrUnsupported) || errors.Is(err, negotiate.ErrTerminated) {
				err = ErrNotShared
			}
			a.reply(c, ask, why.Answer{}, err)
		}
	case supervisor.Done[askRead]:
		a.wasRead(c, m)
	case supervisor.Done[gotAnswer]:
		ask := m.Key.(askKey).asking
		a.violated(c, ask.with, m.Err)
		a.reply(c, ask, m.Value.theirs, m.Err)
	case supervisor.Done[written]:
	default:
		a.note(c, m)
	}
}

// note writes down what has happened.
func (a *records) note(c actor.Context, m any) {
	l, now := a.w.ledger, supervisor.Now(c)
	switch m := m.(type) {
	case actors.PeerConnected:
		seen := why.Seen{Kind: why.Came}
		if m.Conn.Direction == protocol.Outbound {
			seen = why.Seen{Kind: why.Reached, Address: m.Conn.Addr}
		}
		l.Peer(now, m.Peer, source(m.Conn), seen)
	case actors.PeerDisconnected:
		if m.Reason.By == "us" && slices.Contains(telling, m.Reason.Code) {
			l.Peer(now, m.Peer, source(m.Conn), why.Seen{Kind: why.Ended, Code: m.Reason.Code})
		}
	case actors.PeerRefused:
		if seen, ok := refusal(m.Err, ""); ok {
			l.Peer(now, m.Peer, share.None, seen)
		}
	case actors.InboundRejected:
		from := a.w.trunk.SourceOf(m.Addr)
		seen, ok := refusal(m.Err, m.Stage)
		switch {
		case !ok:
		case m.Peer.IsZero() || a.w.trunk.Profile().Pattern == protocol.IX: // with IX the key may not be proved
			l.Source(now, from, seen)
		default:
			l.Peer(now, m.Peer, from, seen)
		}
	case actors.DialFailed:
		seen := why.Seen{Kind: why.Missed}
		if code := trunk.CauseOf(m.Err); code != nil {
			seen.Code = code.Name
		}
		if n := len(m.Attempts); n > 0 { // a dial without one was given up before it began
			seen.Address = m.Attempts[n-1].Addr
			l.Peer(now, m.Peer, share.None, seen)
		}
	default:
		supervisor.Unhandled(c)
	}
}

// telling are the ends of connections that say that something is wrong.
var telling = []string{
	actors.CloseBanned, actors.CloseUnlisted, actors.CloseSecret, actors.CloseViolation, actors.CloseNoAnswer, actors.CloseStalled,
	actors.ClosePanics, actors.CloseBlamed, actors.CloseChurn, actors.CloseCrashed,
}

// refusal returns why this node refused a connection, in what others may know of it; false if the other
// side gave it up, as one that dials several addresses at once, or that only proves a key.
func refusal(err error, stage string) (s why.Seen, ok bool) {
	s = why.Seen{Kind: why.Refused}
	full, limited := errors.AsType[*protocol.LimitError](err)
	_, banned := errors.AsType[*actors.BannedError](err)
	_, unlisted := errors.AsType[*actors.NotAdmittedError](err)
	_, secret := errors.AsType[*protocol.NoSecretError](err)
	_, wire := errors.AsType[*upgrade.WireByteError](err)
	switch {
	case limited:
		s.Code, s.Detail = why.CodeLimit, fmt.Sprintf("%s is %d", full.Key(), full.Limit)
	case unlisted:
		s.Code = why.CodeUnlisted
	case banned || errors.Is(err, upgrade.ErrBanned):
		s.Code = why.CodeBanned
	case secret || errors.Is(err, actors.ErrSecretGivenUp):
		s.Code = why.CodeSecret
	case wire:
		s.Code = why.CodeNetwork
	case errors.Is(err, actors.ErrDraining):
		s.Code = why.CodeDraining
	case errors.Is(err, protocol.ErrViolation):
		s.Code, s.Detail = why.CodeSetup, stage
	default:
		return s, false
	}
	return s, true
}

// source returns where a connection came from; [share.None] of one that this node has made.
func source(with *actors.ConnRef) share.Source {
	if with.Direction == protocol.Outbound {
		return share.None
	}
	return share.Source(with.Origin())
}

func (a *records) offer(c actor.Context) {
	if !a.w.shares {
		return
	}
	c.Request(a.w.trunk.Services(), users.AddProtocol{ID: why.ID, PID: c.Self(), Own: true, Later: true})
}

// The other end asks.

func (a *records) read(c actor.Context, m actors.SubstreamOpened) {
	from := source(m.Conn)
	if !a.reading.Take(m.Conn.ID, from) {
		m.Discard()
		return
	}
	stream, ok := m.Stream.Take()
	if !ok {
		a.reading.Free(m.Conn.ID, from)
		return
	}
	until := supervisor.Now(c).Add(limit)
	supervisor.Do(c, readKey{m.Conn}, func(ctx context.Context) (askRead, error) {
		defer context.AfterFunc(ctx, func() { stream.Close() })()
		err := stream.SetDeadline(until)
		if err == nil {
			err = why.ReadAsk(stream)
		}
		if err != nil {
			stream.Close()
			return askRead{}, err
		}
		return askRead{supervisor.Hand[protocol.Stream](stream, nil)}, nil
	})
}

func (a *records) wasRead(c actor.Context, m supervisor.Done[askRead]) {
	with := m.Key.(readKey).with
	a.reading.Free(with.ID, source(with))
	if m.Err != nil {
		a.violated(c, with, m.Err)
		return
	}
	stream, ok := m.Value.stream.Take()
	if !ok {
		return
	}
	answer, until := a.remembered(c, with), supervisor.Now(c).Add(limit)
	supervisor.DoWith(c, writeKey{}, stream, func(context.Context) (written, error) {
		if err := stream.SetDeadline(until); err != nil {
			return written{}, err
		}
		if _, err := stream.Write(why.AppendAnswer(nil, answer)); err != nil {
			return written{}, err
		}
		return written{}, stream.CloseWrite()
	})
}

// lookUp answers what is remembered of a peer and of addresses.
func (a *records) lookUp(c actor.Context, m lookUp) {
	from := make([]share.Source, 0, min(len(m.addrs), mostSources))
	for _, addr := range m.addrs[:min(len(m.addrs), mostSources)] {
		from = append(from, a.w.trunk.SourceOf(addr))
	}
	c.Respond(answered{ours: a.w.ledger.Of(supervisor.Now(c), m.peer, from...)})
}

// remembered returns what this node remembers of the other end of a connection.
func (a *records) remembered(c actor.Context, with *actors.ConnRef) why.Answer {
	return a.w.ledger.Of(supervisor.Now(c), with.Peer, a.w.trunk.SourceOf(with.Remote()))
}

func (a *records) violated(c actor.Context, with *actors.ConnRef, err error) {
	if errors.Is(err, protocol.ErrViolation) {
		c.Send(a.w.trunk.Connectivity(), base.Violated(with, err))
	}
}

// This node asks.

var errBusy = errors.New("other peers are being asked now; try again")

func (a *records) ask(c actor.Context, with *actors.ConnRef) {
	ask := asking{with, c.Sender()}
	switch {
	case !with.Ours():
		supervisor.Reply(c, answered{err: ErrNotShared})
	case a.asked >= maxAsking:
		supervisor.Reply(c, answered{err: errBusy})
	default:
		a.asked++
		token := a.w.trunk.NewID()
		a.asks[token] = ask
		a.w.trunk.OpenSubstream(with, token, c.Self(), why.ID)
	}
}

func (a *records) opened(c actor.Context, m actors.SubstreamOpened) {
	ask, ok := a.asks[m.Token]
	delete(a.asks, m.Token)
	stream, open := m.Stream.Take()
	switch {
	case !open && ok:
		a.reply(c, ask, why.Answer{}, transport.ErrClosed)
	case !open:
	case !ok:
		stream.Close()
	default:
		until := supervisor.Now(c).Add(limit)
		supervisor.DoWith(c, askKey{ask}, stream, func(context.Context) (g gotAnswer, err error) {
			if err := stream.SetDeadline(until); err != nil {
				return g, err
			}
			if _, err := stream.Write(why.AppendAsk(nil)); err != nil {
				return g, err
			}
			g.theirs, err = why.ReadAnswer(stream)
			return g, err
		})
	}
}

// reply answers who has had a peer asked.
func (a *records) reply(c actor.Context, ask asking, theirs why.Answer, err error) {
	a.asked--
	if ask.by != nil {
		c.Send(ask.by, answered{a.remembered(c, ask.with), theirs, err})
	}
}

// String is the actor's line in the tree.
func (a *records) String() string { return fmt.Sprintf("%d being asked", a.asked) }
