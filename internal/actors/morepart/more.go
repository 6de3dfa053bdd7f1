// Package morepart is the part of a node that tells connected nodes of this library all protocols that
// it accepts, and hears theirs (spec: V 41). See package internal/protocol/more.
package morepart

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const (
	limit = 10 * time.Second // to write or read a list
	// settle is how long changes of the list are gathered.
	settle = 2 * time.Second
	// afterFailure is the pause before the only other try.
	afterFailure = 5 * time.Second
	// A connection may bring heardAtOnce lists, and one more each second.
	heardAtOnce = 10
)

// Part returns the part. Its actor is a child of services.
func Part(t Trunk) actors.Part {
	return actors.Part{
		Name: "more",
		Services: []supervisor.Spec{{
			Name: "more", Kind: "more", New: func() actor.Actor { return &exchange{trunk: t} },
		}},
	}
}

// exchange sends the list of protocols to each node of this library that connects, unless the
// identity message has listed them all, and to all of them when the list has changed.
//
// In: PeerConnected, PeerDisconnected, ProtocolsChanged, SubstreamOpened, SubstreamFailed, results
// of its tasks. Out: AddProtocol, OpenSubstream, PeerViolated, event PeerListed. After a restart it
// sends the list to all again.
type exchange struct {
	trunk   Trunk
	links   map[identity.NodeID]*link
	tokens  map[uint64]*link // what is being opened
	settles bool             // a settled message is due
}

// link is a connection with a node of this library.
type link struct {
	ref     *actors.ConnRef
	told    []protocol.ID // what the peer knows
	telling []protocol.ID // what it is being told; nil: nothing
	again   bool          // a try has failed, and one more is due or was made
}

type (
	settled  struct{}
	retell   struct{ to *link }
	tellKey  struct{ to *link }
	hearKey  struct{ with *actors.ConnRef }
	done     struct{}
	received []protocol.ID
)

// Source names the peer to which a panic is charged.
func (k hearKey) Source() supervisor.Source { return actors.Origin{Peer: k.with.Peer, Conn: k.with.ID} }

func (x *exchange) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		x.links, x.tokens = make(map[identity.NodeID]*link), make(map[uint64]*link)
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[users.ProtocolsChanged](c)
		c.Request(x.trunk.Services(), users.AddProtocol{ID: more.ID, PID: c.Self(), Own: true, Later: true})
		for _, ref := range x.trunk.Connections().All() {
			x.met(c, ref)
		}
	case users.ProtocolAdded:
		if m.Err != nil {
			supervisor.Log(c).Error("peers cannot tell their protocols", "err", m.Err)
		}
	case actors.PeerConnected:
		x.met(c, m.Conn)
	case actors.PeerDisconnected:
		if l := x.links[m.Peer]; l != nil && l.ref.ID == m.Conn.ID {
			delete(x.links, m.Peer)
		}
	case users.ProtocolsChanged:
		if !x.settles {
			x.settles = true
			supervisor.After(c, settle, settled{})
		}
	case retell:
		if x.holds(m.to) {
			x.tell(c, m.to)
		}
	case settled:
		x.settles = false
		for _, l := range x.links {
			x.tell(c, l)
		}
	case actors.SubstreamOpened:
		if m.Direction == protocol.Inbound {
			x.hear(c, m)
		} else {
			x.write(c, m)
		}
	case connections.SubstreamFailed:
		if l := x.asked(m.Token); x.holds(l) {
			x.failed(c, l, m.Err)
		}
	case supervisor.Done[done]:
		x.wrote(c, m)
	case supervisor.Done[received]:
		x.listed(c, m)
	default:
		supervisor.Unhandled(c)
	}
}

// met begins with a connection. The one before it of the same peer is over.
func (x *exchange) met(c actor.Context, ref *actors.ConnRef) {
	if l := x.links[ref.Peer]; !ref.Ours() || l != nil && l.ref.ID == ref.ID {
		return
	}
	l := &link{ref: ref, told: ref.Told()}
	x.links[ref.Peer] = l
	x.tell(c, l)
}

// holds reports whether the connection is still that of its peer.
func (x *exchange) holds(l *link) bool { return l != nil && x.links[l.ref.Peer] == l }

func (x *exchange) asked(token uint64) *link {
	l := x.tokens[token]
	delete(x.tokens, token)
	return l
}

// tell sends the list on a connection, unless the peer knows it.
func (x *exchange) tell(c actor.Context, l *link) {
	list := x.trunk.Listed()
	if l.telling != nil || l.ref.Retired() || slices.Equal(list, l.told) {
		return
	}
	l.telling = list
	token := x.trunk.NewID()
	x.tokens[token] = l
	x.trunk.OpenSubstream(l.ref, token, c.Self(), more.ID)
}

func (x *exchange) write(c actor.Context, m actors.SubstreamOpened) {
	l := x.asked(m.Token)
	if !x.holds(l) {
		m.Discard()
		return
	}
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	frame, until := more.Append(nil, l.telling), supervisor.Now(c).Add(limit)
	supervisor.DoWith(c, tellKey{l}, stream, func(context.Context) (done, error) {
		if err := stream.SetDeadline(until); err != nil {
			return done{}, err
		}
		if _, err := stream.Write(frame); err != nil {
			return done{}, err
		}
		return done{}, stream.CloseWrite()
	})
}

func (x *exchange) wrote(c actor.Context, m supervisor.Done[done]) {
	l := m.Key.(tellKey).to
	if !x.holds(l) {
		return
	}
	if m.Err != nil {
		x.failed(c, l, m.Err)
		return
	}
	l.told, l.telling, l.again = l.telling, nil, false
	x.tell(c, l) // it may have changed meanwhile
}

// failed has a list told once more, as the peer's services may have been starting.
func (x *exchange) failed(c actor.Context, l *link, err error) {
	supervisor.Log(c).Debug("protocols not told", "peer", l.ref.Peer, "err", err)
	l.telling = nil
	if !l.again {
		l.again = true
		supervisor.After(c, afterFailure, retell{l})
	}
}

// hear reads a list of a peer, also on a connection that is not announced yet.
func (x *exchange) hear(c actor.Context, m actors.SubstreamOpened) {
	now := supervisor.Now(c)
	if !m.Conn.Ours() || !m.Conn.Link().Live.TakeList(heardAtOnce+int(now.Sub(m.Conn.Since)/time.Second)) {
		m.Discard()
		return
	}
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	until := now.Add(limit)
	supervisor.DoWith(c, hearKey{m.Conn}, stream, func(context.Context) (received, error) {
		if err := stream.SetDeadline(until); err != nil {
			return nil, err
		}
		return more.Read(stream)
	})
}

func (x *exchange) listed(c actor.Context, m supervisor.Done[received]) {
	with := m.Key.(hearKey).with
	switch {
	case errors.Is(m.Err, protocol.ErrViolation):
		c.Send(x.trunk.Connectivity(), base.Violated(with, m.Err))
	case m.Err != nil:
		supervisor.Log(c).Debug("list of protocols not read", "peer", with.Peer, "err", m.Err)
	default:
		with.Link().Live.SetListed(m.Value)
		supervisor.Publish(c, connections.PeerListed{Peer: with.Peer, Conn: with})
	}
}
