package users

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// services owns the protocol table and the node's identity message, and is the parent
// of the actors of built-in protocols.
//
// In: AddProtocol, RemoveProtocol, AwaitOffered, sendLater, SetAddresses, AddAddress, event ClockSet. Out: the replies,
// what is passed on, event ServicesStarted. The table outlives a restart, so that no peer is told meanwhile that a
// protocol is not known here: the children start again and add their protocols, and extensions adds those of the
// users again. What nobody adds again is taken out.
type services struct {
	room  *Room
	parts []supervisor.Spec    // the services of the node's parts
	stale map[protocol.ID]bool // offered to an earlier incarnation, and not to this one yet
}

// staleFor is how long a protocol of an earlier incarnation stays in the table without being added again.
const staleFor = 10 * time.Second

type staleOver struct{}

// most is how many protocols there may be in all. A list of protocols has two markers, too.
const most = more.MaxProtocols - 2

// ProtocolsChanged is published when the node accepts other protocols: see trunk.Trunk.Listed.
type ProtocolsChanged struct{}

// ClaimChanged is published when the node has been given addresses to tell others: see trunk.Trunk.Claim.
type ClaimChanged struct{}

// ServicesStarted is published each time services has started. Other actors then have to add
// their protocols again: what is not added again within ten seconds is no protocol of the node.
type ServicesStarted struct{}

// NewServices makes the actor that owns the protocol table. It is the parent of the
// services of the parts.
func NewServices(room *Room, parts []actors.Part) actor.Actor {
	s := &services{room: room}
	for _, p := range parts {
		s.parts = append(s.parts, p.Services...)
	}
	return s
}

func (s *services) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.stale = make(map[protocol.ID]bool)
		for id := range s.room.Protocols.All() {
			s.stale[id] = true
		}
		if len(s.stale) > 0 {
			supervisor.After(c, staleFor, staleOver{})
		}
		if m := s.room.needs.Frames(); m != nil { // no actor adds it
			s.put(m.ID, m.PID, false)
		}
		s.announce(c)
		supervisor.Subscribe[actors.ClockSet](c)
		s.redate(c)
		for _, m := range s.room.needs.Messagings() {
			supervisor.Spawn(c, supervisor.Spec{
				Name: base.NameOf(m.PID), Kind: "messaging",
				New:      func() actor.Actor { return messengers.NewMessengers(m) },
				Children: supervisor.Policy{Action: supervisor.Temporary},
				Alarm:    HandlerAlarm,
				Drains:   true,
			})
		}
		for _, spec := range s.parts {
			supervisor.Spawn(c, spec)
		}
		supervisor.Publish(c, ServicesStarted{})
	case AddProtocol:
		supervisor.Reply(c, ProtocolAdded{m.Token, m.ID, s.add(c, m)})
	case RemoveProtocol:
		if pid, ok := s.room.Protocols.Get(m.ID); ok && (m.PID == nil || pid.Equal(m.PID)) {
			s.remove(m.ID)
			s.announce(c)
		}
		supervisor.Reply(c, ProtocolRemoved{m.Token, m.ID})
	case staleOver:
		for id := range s.stale {
			s.remove(id)
		}
		s.announce(c)
	case AwaitOffered:
		c.Respond(Offered{})
	case sendLater:
		c.Send(m.to, m.msg)
	case actors.ClockSet:
		s.redate(c)
	case SetAddresses:
		supervisor.Reply(c, AddressesSet{s.setAddresses(c, m.Addresses)})
	case AddAddress:
		supervisor.Reply(c, AddressAdded{m.Address, s.addAddress(c, m.Address)})
	default:
		supervisor.Unhandled(c)
	}
}

func (s *services) add(c actor.Context, m AddProtocol) error {
	if err := m.ID.Validate(); err != nil {
		return err
	}
	if s.room.needs.Reserved(m.ID) && !m.Own && !s.room.needs.Carries(m.ID, m.PID) {
		return fmt.Errorf("%w: %q is for messages of nodes", actors.ErrProtocolTaken, string(m.ID))
	}
	switch pid, ok := s.room.Protocols.Get(m.ID); {
	case s.stale[m.ID]:
	case ok && !pid.Equal(m.PID):
		return fmt.Errorf("%w: %q", actors.ErrProtocolTaken, string(m.ID))
	case !ok && (s.room.Protocols.Len() >= most || !m.Own && s.room.Protocols.Len() >= actors.MaxProtocols):
		return actors.ErrTooManyProtocols
	}
	s.put(m.ID, m.PID, m.Later)
	s.announce(c)
	return nil
}

func (s *services) put(id protocol.ID, pid *actor.PID, later bool) {
	if _, ok := s.room.Protocols.Get(id); !ok && !later {
		s.room.order = append(s.room.order, id)
	}
	s.room.Protocols.Set(id, pid)
	delete(s.stale, id)
}

func (s *services) remove(id protocol.ID) {
	s.room.Protocols.Delete(id)
	s.room.order = slices.DeleteFunc(s.room.order, func(o protocol.ID) bool { return o == id })
	delete(s.stale, id)
}

// announce writes the list of protocols into the node's identity message. The list is
// not signed, so the signed claim stays as it is.
func (s *services) announce(c actor.Context) {
	supervisor.Publish(c, ProtocolsChanged{})
	m, ok := s.room.Local.Get()
	if !ok {
		return // Start sets the first one before any connection exists
	}
	m.Protocols = s.room.marked(m, s.room.order)
	s.room.Local.Open(m)
}

// redate signs the claim again if the claim's date is so far ahead of the system's clock
// that peers would refuse it.
func (s *services) redate(c actor.Context) {
	m, ok := s.room.Local.Get()
	if !ok {
		return
	}
	claim, err := identity.Resign(s.room.Secret, m.Claim, s.room.Features, m.Claim.Addresses, supervisor.Wall(c), supervisor.Rand(c))
	switch {
	case err != nil:
		supervisor.Log(c).Error("the date of our addresses cannot be put right; peers may refuse connections: start the node again", "err", err)
	case claim.Signature != m.Claim.Signature:
		s.room.signed.add(claim.Signature)
		m.Claim = claim
		m.Protocols = s.room.marked(m, s.room.order)
		s.room.Local.Open(m)
	}
}

// addAddress adds an address of a part to the node's identity message. A node that has no
// other address has a message from now on.
func (s *services) addAddress(c actor.Context, a ma.Multiaddr) error {
	if slices.ContainsFunc(s.room.added, a.Equal) {
		return nil
	}
	s.room.added = append(s.room.added, a)
	var addrs []ma.Multiaddr
	if m, ok := s.room.Local.Get(); ok {
		for _, raw := range m.Claim.Addresses {
			if known, err := ma.NewMultiaddrBytes(raw); err == nil {
				addrs = append(addrs, known)
			}
		}
	}
	err := s.setAddresses(c, addrs)
	if err != nil {
		s.room.added = s.room.added[:len(s.room.added)-1]
	}
	return err
}

// setAddresses puts these addresses and those of parts into the node's identity message. It
// signs a new claim if they have changed.
func (s *services) setAddresses(c actor.Context, addrs []ma.Multiaddr) error {
	addrs = slices.Clone(addrs)
	for _, a := range s.room.added {
		if !slices.ContainsFunc(addrs, a.Equal) {
			addrs = append(addrs, a)
		}
	}
	if most := s.room.Profile.Limits.Addresses; len(addrs) > most {
		return fmt.Errorf("actors: %d addresses to advertise, of which %d of parts of this node, and at most %d are allowed; set fewer", len(addrs), len(s.room.added), most)
	}
	m, err := s.room.NewIdentity(addrs, supervisor.Rand(c))
	if err != nil {
		return err
	}
	m.Protocols = s.room.marked(m, s.room.order)
	s.room.Local.Open(m)
	supervisor.Publish(c, ClaimChanged{})
	return nil
}

// NewIdentity makes an identity message with these addresses, and the protocols of a node that starts. It
// signs a new claim only if the signed data has changed.
func (r *Room) NewIdentity(addrs []ma.Multiaddr, random io.Reader) (identify.Message, error) {
	raw := make([][]byte, len(addrs))
	for i, a := range addrs {
		raw[i] = a.Bytes()
	}
	last, _ := r.Local.Get()
	claim, err := identity.Resign(r.Secret, last.Claim, r.Features, raw, r.Wall(), random)
	if err != nil {
		return identify.Message{}, fmt.Errorf("actors: sign own addresses: %w", err)
	}
	r.signed.add(claim.Signature)
	m := identify.Message{Claim: claim, UserAgent: r.UserAgent}
	m.Protocols = r.marked(m, r.firstProtocols())
	return m, nil
}

func (s *services) String() string { return fmt.Sprintf("%d protocols", s.room.Protocols.Len()) }

// firstProtocols returns the protocols of the identity message until services has its table.
// A peer that connects while the node starts must know by them that the node has the DHT.
func (r *Room) firstProtocols() (list []protocol.ID) {
	if m := r.needs.Frames(); m != nil {
		list = append(list, m.ID)
	}
	return append(list, r.needs.Plain().ID)
}

// marked returns a protocol list for this node's identity message m: the marker of the DHT, and of
// list, in this order, what there is room for. A list that is full does without TakenMarker: then
// peers confirm their first messages later.
func (r *Room) marked(m identify.Message, list []protocol.ID) []protocol.ID {
	m.Protocols = nil
	if r.needs.Frames() != nil {
		m.Protocols = append(m.Protocols, protocol.DHTMarker)
	}
	for _, id := range append(slices.Clip(list), protocol.TakenMarker) {
		if identify.Fits(m, id) {
			m.Protocols = append(m.Protocols, id)
		}
	}
	slices.Sort(m.Protocols)
	return m.Protocols
}
