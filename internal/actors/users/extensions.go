package users

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// registrations has what users have registered, and the actors that wait for it. It
// outlives restarts of the actor extensions, which alone uses it once the tree has
// started.
type registrations struct {
	list     []*registration
	awaiting []*actor.PID // actors that wait until everything is in the protocol table
}

// Preregister adds a registration before the tree starts.
func (r *Room) Preregister(m Register) error {
	x := &extensions{room: r}
	if err := x.check(&m); err != nil {
		return err
	}
	if m.ID != "" && x.protocols() >= actors.MaxProtocols {
		return actors.ErrTooManyProtocols
	}
	r.registrations.list = append(r.registrations.list, &registration{Register: m})
	return nil
}

// Handles reports whether the actor handles messages of peers, with a topic or without. speaks reports whether it
// needs an entry in the protocol table, for messages or a protocol of its own.
func (r *Register) Handles() bool { return r.ID == "" && r.speaks() }
func (r *Register) speaks() bool  { return r.Actor == "" && r.Type == nil }

type registration struct {
	Register
	pid     *actor.PID
	alive   bool     // spawned and not yet Terminated: its name is in use
	failed  bool     // its restarts are used up; RetryDue follows unless stopped is set
	stopped error    // the panic after which its policy has stopped it for good
	joining []answer // replies due when its protocol is in the table
	refused error    // why its protocol is not in the table
	leaving []answer // replies due when the actor has ended; not empty while it is being stopped
}

// answer is a reply that an asker waits for.
type answer struct {
	to    *actor.PID
	token uint64
}

// extensions runs the users' actors: it spawns them and has services put their
// protocols into the protocol table. When an actor fails for good, extensions takes its
// protocol out of the table, and tries the actor again later.
//
// In: Register, Unregister, AwaitReady, ChildFailed, RetryDue, ServicesStarted. Out:
// AddProtocol, RemoveProtocol, Registered, Unregistered, Ready, event ProtocolFailed. A
// restart loses nothing: the list of registrations outlives it, and so do the messages that
// wait for the actors.
type extensions struct {
	room   *Room
	asking map[uint64]*registration // by the token of AddProtocol

	draining *supervisor.Draining
}

// NewExtensions makes the parent of the users' actors.
func NewExtensions(room *Room) actor.Actor {
	return &extensions{room: room, asking: make(map[uint64]*registration)}
}

// HandlerAlarm is the depth at which the mailbox of an actor that handles messages of
// peers is reported. Four peers can fill a mailbox that far if they use all of their
// default credit.
const HandlerAlarm = 16 << 10

// handlerName is the name of the actor that handles plain messages.
const handlerName = "handler"

func (x *extensions) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[ServicesStarted](c)
		for _, reg := range slices.Clone(x.room.registrations.list) {
			reg.alive = false
			if len(reg.leaving) > 0 { // it has stopped together with the last incarnation
				x.remove(c, reg)
				continue
			}
			if reg.stopped == nil {
				x.spawn(c, reg)
			}
		}
		x.ready(c)
	case ServicesStarted:
		clear(x.asking) // the AddProtocol messages may be lost: send them again
		for _, reg := range x.room.registrations.list {
			x.offer(c, reg)
		}
	case Register:
		x.register(c, m)
	case ProtocolAdded:
		x.added(c, m)
	case ProtocolRemoved:
	case Unregister:
		x.unregister(c, m)
	case supervisor.ChildFailed:
		x.failed(c, m)
	case supervisor.RetryDue:
		if reg := x.byName(m.Name); reg != nil && reg.failed && reg.stopped == nil { // otherwise another actor may have taken its place
			x.spawn(c, reg)
		}
	case *actor.Terminated:
		x.terminated(c, m.Who)
	case gone:
		x.stopped(c, m)
	case supervisor.Drain:
		x.drain(c, m)
	case supervisor.Drained:
		x.draining.Finished(c, m.From)
	case AwaitReady:
		x.room.registrations.awaiting = append(x.room.registrations.awaiting, c.Sender())
		x.ready(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (x *extensions) register(c actor.Context, m Register) {
	to := answer{c.Sender(), m.Token}
	x.replace(c, &m)
	if err := x.check(&m); err != nil {
		to.send(c, Registered{to.token, nil, err})
		return
	}
	reg := &registration{Register: m, joining: []answer{to}}
	x.room.registrations.list = append(x.room.registrations.list, reg)
	x.spawn(c, reg)
}

// replace removes the registration of an actor that its panic policy has stopped, if m
// registers another actor in its place.
func (x *extensions) replace(c actor.Context, m *Register) {
	for _, reg := range x.room.registrations.list {
		same := reg.ID == m.ID && reg.Actor == m.Actor && reg.Topic == m.Topic && (reg.Type == nil) == (m.Type == nil) && (m.Type == nil || *reg.Type == *m.Type)
		if same && reg.stopped != nil && !reg.alive {
			if reg.Type != nil {
				x.room.Types.Delete(*reg.Type)
			}
			x.remove(c, reg)
			return
		}
	}
}

func (x *extensions) check(m *Register) error {
	if err := m.OnPanic.Validate(); err != nil {
		return err
	}
	id := m.ID
	switch {
	case m.Type != nil:
		return x.checkType(m)
	case m.Actor != "":
		return x.checkActor(m)
	}
	if m.Topic != "" {
		return x.checkTopic(m)
	}
	if id == "" {
		m.Name = handlerName
		if x.byName(handlerName) != nil {
			return fmt.Errorf("%w: messages of connected peers", actors.ErrProtocolTaken)
		}
		return nil
	}
	if err := id.Validate(); err != nil {
		return err
	}
	if x.room.needs.Reserved(id) {
		return fmt.Errorf("%w: %q is for messages of nodes; choose another id, or register a handler", actors.ErrProtocolTaken, string(id))
	}
	for _, reg := range x.room.registrations.list {
		if reg.ID == id {
			return fmt.Errorf("%w: %q", actors.ErrProtocolTaken, string(id))
		}
	}
	m.Name = x.freeName(id)
	return nil
}

// MaxActorName limits the length of the name of an actor without a protocol.
const MaxActorName = 50

func (x *extensions) checkActor(m *Register) error {
	m.Name = m.Actor
	switch {
	case len(m.Name) > MaxActorName || !supervisor.ValidName(m.Name):
		return fmt.Errorf("%w: got %q", actors.ErrBadName, m.Name)
	case isOurs(m.Name) || x.byName(m.Name) != nil:
		return fmt.Errorf("%w: %q", actors.ErrNameTaken, m.Name)
	}
	return nil
}

// protocols counts the protocols of the DHT and of the registrations, including those that are
// not in the table yet.
func (x *extensions) protocols() (n int) {
	if x.room.needs.Frames() != nil {
		n = 1
	}
	for _, reg := range x.room.registrations.list {
		if reg.speaks() && reg.Topic == "" {
			n++
		}
	}
	return n
}

// freeName returns an unused name for the tree, made of a protocol id.
func (x *extensions) freeName(id protocol.ID) string {
	base := treeName(string(id))
	if isOurs(base) || !supervisor.ValidName(base) {
		base = "protocol-" + base
	}
	return x.unused(base)
}

// isOurs reports whether a name begins like that of an actor that is named for what it handles.
func isOurs(name string) bool {
	return name == handlerName || isTypeName(name) || isTopicName(name)
}

// treeName returns the characters of a text that a name in the tree may have.
func treeName(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '_':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s), "-")
}

// unused returns a name for the tree that begins with base and is not in use.
func (x *extensions) unused(base string) string {
	name := base
	for n := 2; x.byName(name) != nil; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

func (x *extensions) byName(name string) *registration {
	for _, reg := range x.room.registrations.list {
		if reg.Name == name {
			return reg
		}
	}
	return nil
}

// spawn starts the actor of a registration and has its messages sent to it.
func (x *extensions) spawn(c actor.Context, reg *registration) {
	if len(reg.leaving) > 0 {
		return
	}
	kind := "handler"
	switch {
	case reg.ID != "":
		kind = "protocol"
	case reg.Actor != "":
		kind = "actor"
	case reg.Type != nil:
		kind = "type"
	}
	reg.alive, reg.failed = true, false
	reg.pid = supervisor.Spawn(c, supervisor.Spec{Name: reg.Name, Kind: kind, New: reg.New, OnPanic: onPanic(reg.OnPanic), Drains: reg.Drains, Keeps: true, Alarm: HandlerAlarm})
	if reg.Handles() {
		x.room.openHandler(reg.Topic, reg.pid)
		if x.byName(handlerName) == nil {
			x.room.needs.Outcomes().Handler.Open(nil) // nobody waits for it
		}
	} else if reg.Type != nil {
		x.room.Types.Set(*reg.Type, reg.pid)
	}
	x.offer(c, reg)
}

func onPanic(p protocol.PanicPolicy) supervisor.OnPanic {
	switch p {
	case protocol.PanicContain:
		return supervisor.ContainOnPanic
	case protocol.PanicStop:
		return supervisor.StopOnPanic
	}
	return supervisor.RestartOnPanic
}

// offer asks services to send inbound substreams of the protocol to its actor. It
// replies Registered at once if the actor needs no protocol.
func (x *extensions) offer(c actor.Context, reg *registration) {
	if !reg.alive || reg.failed || len(reg.leaving) > 0 {
		return
	}
	if !reg.speaks() {
		reg.joined(c, nil)
		return
	}
	token := x.room.NewID()
	x.asking[token] = reg
	add := AddProtocol{Token: token, ID: reg.ID, PID: reg.pid}
	if reg.ID == "" {
		m := x.room.needs.Outcomes()
		outcomes := AddProtocol{ID: m.ID, PID: m.PID, Own: true, Later: true}
		if reg.Topic != "" {
			add = outcomes
			add.Token = token
		} else {
			add.ID, add.PID = x.room.needs.Plain().ID, x.room.needs.Plain().PID
			c.Request(x.room.Services, outcomes) // first, so that it is there when the handler is
		}
	}
	c.Request(x.room.Services, add)
}

func (x *extensions) added(c actor.Context, m ProtocolAdded) {
	reg, ok := x.asking[m.Token]
	if !ok {
		return
	}
	delete(x.asking, m.Token)
	if m.Err != nil && len(reg.joining) > 0 {
		reg.refused = m.Err
		x.stop(c, reg, answer{}) // remove replies when the actor has ended
	} else {
		reg.joined(c, nil)
	}
	x.ready(c)
}

var errStopped = fmt.Errorf("%w: it has ended already", actors.ErrNotRegistered)

// joined sends Registered to all that wait for it.
func (reg *registration) joined(c actor.Context, err error) {
	for _, to := range reg.joining {
		to.send(c, Registered{to.token, reg.pid, err})
	}
	reg.joining = nil
}

// ended calls Ended.
func (reg *registration) ended() {
	if reg.Ended != nil {
		reg.Ended()
	}
}

func (a answer) send(c actor.Context, m any) {
	if a.to != nil {
		c.Send(a.to, m)
	}
}

func (x *extensions) unregister(c actor.Context, m Unregister) {
	for _, reg := range x.room.registrations.list {
		if reg.is(m) {
			x.stop(c, reg, answer{c.Sender(), m.Token})
			return
		}
	}
	err := fmt.Errorf("%w: %q", actors.ErrNotRegistered, cmp.Or(string(m.ID), m.Topic))
	if m.Type != nil {
		err = fmt.Errorf("%w: message type %d", actors.ErrNotRegistered, *m.Type)
	}
	supervisor.Reply(c, Unregistered{m.Token, err})
}

// is reports whether m unregisters this registration.
func (r *Register) is(m Unregister) bool {
	if m.By != nil && m.By != r.By {
		return false
	}
	if m.Type != nil {
		return r.Type != nil && *r.Type == *m.Type
	}
	return r.ID == m.ID && r.Topic == m.Topic && r.speaks()
}

// stop takes an actor out of the table and ends it, which closes everything that the
// actor owns.
func (x *extensions) stop(c actor.Context, reg *registration, to answer) {
	reg.leaving = append(reg.leaving, to)
	x.withdraw(c, reg)
	if !reg.alive { // it has failed: there is no end to wait for
		x.remove(c, reg)
		return
	}
	c.Stop(reg.pid)
}

// withdraw stops the delivery of messages and substreams to an actor. While the node
// stops, the protocol stays in the table: then peers see the end of the connection, and
// no refusal of the protocol. Otherwise the substreams of plain messages end, so that no
// message that comes later is confirmed.
func (x *extensions) withdraw(c actor.Context, reg *registration) {
	if reg.Type != nil {
		x.room.Types.Delete(*reg.Type)
	}
	if !reg.speaks() {
		return
	}
	switch {
	case x.draining == nil && reg.ID == "":
		for _, m := range x.room.deleteHandler(c, reg.Topic) {
			c.Request(x.room.Services, RemoveProtocol{ID: m.ID, PID: m.PID})
		}
	case x.draining == nil:
		c.Request(x.room.Services, RemoveProtocol{ID: reg.ID, PID: reg.pid})
	case reg.ID == "" && reg.stopped == nil:
		x.room.closeHandler(reg.Topic)
	case reg.ID == "":
		x.room.openHandler(reg.Topic, nil) // nobody waits for it any more
	}
}

func (x *extensions) remove(c actor.Context, reg *registration) {
	x.room.registrations.list = slices.DeleteFunc(x.room.registrations.list, func(r *registration) bool { return r == reg })
	supervisor.Forget(c, reg.Name)
	reg.ended()
	x.room.Panics.Forget(extensionsPath + reg.Name)
	reg.joined(c, cmp.Or(reg.refused, errStopped))
	for _, to := range reg.leaving {
		x.tell(c, reg, to)
	}
}

// tell reports that an actor was unregistered. If its protocol is being taken out of the
// table, the report follows that through services: who has it may count on a refusal.
func (x *extensions) tell(c actor.Context, reg *registration, to answer) {
	m := Unregistered{to.token, nil}
	if !reg.speaks() || x.draining != nil || to.to == nil {
		to.send(c, m)
		return
	}
	c.Send(x.room.Services, sendLater{to.to, m})
}

// extensionsPath is the first part of the users' actors' paths below the node.
const extensionsPath = "extensions/"

// failed handles an actor whose restarts are used up, or that its panic policy has
// stopped. Until the actor is tried or registered again, its protocol is refused. Plain
// messages wait with their senders until it is tried again; if it has stopped, they are
// refused. Messages of a type are dropped and do not count as a flood: the peer is not
// at fault.
func (x *extensions) failed(c actor.Context, m supervisor.ChildFailed) {
	reg := x.byName(m.Name)
	if reg == nil {
		return
	}
	if reg.OnPanic == protocol.PanicStop && len(reg.leaving) == 0 {
		reg.stopped = m.Err
	}
	switch {
	case reg.Handles() && reg.stopped == nil && len(reg.leaving) == 0:
		x.room.closeHandler(reg.Topic)
	case reg.Type != nil && len(reg.leaving) > 0: // stop has taken it out of the table already
	case reg.Type != nil: // still in the table, with nil: its messages are dropped, and no peer is charged
		x.room.Types.Set(*reg.Type, nil)
	default:
		x.withdraw(c, reg)
	}
	reg.failed = true
	if reg.stopped == nil {
		supervisor.Publish(c, actors.ProtocolFailed{Name: m.Name, ID: reg.ID, Err: m.Err})
	} else if x.room.Panics.Stop(extensionsPath + reg.Name); !reg.alive {
		x.announceStop(c, reg)
	}
}

// announceStop publishes that an actor has stopped for good, when it can be registered
// again.
func (x *extensions) announceStop(c actor.Context, reg *registration) {
	reg.ended()
	reg.joined(c, reg.stopped)
	supervisor.Publish(c, actors.ProtocolFailed{Name: reg.Name, ID: reg.ID, Err: reg.stopped, Stopped: true})
}

// gone is a message of this actor to itself, sent when a child has terminated. If
// Terminated has overtaken the child's ChildFailed, this actor handles that ChildFailed
// before gone.
type gone struct{ name string }

func (x *extensions) terminated(c actor.Context, who *actor.PID) {
	x.draining.Finished(c, who)
	reg := x.byName(base.NameOf(who))
	if reg == nil {
		return
	}
	reg.alive = false
	switch {
	case len(reg.leaving) > 0:
		x.remove(c, reg)
	case reg.stopped != nil:
		x.announceStop(c, reg)
	default:
		c.Send(c.Self(), gone{reg.Name})
	}
}

// stopped removes the registration of an actor that has stopped itself.
func (x *extensions) stopped(c actor.Context, m gone) {
	if reg := x.byName(m.name); reg != nil && !reg.alive && !reg.failed {
		x.withdraw(c, reg)
		x.remove(c, reg)
	}
}

// ready answers all AwaitReady when services has answered every AddProtocol.
func (x *extensions) ready(c actor.Context) {
	if len(x.asking) > 0 {
		return
	}
	for _, to := range x.room.registrations.awaiting {
		c.Send(to, Ready{})
	}
	x.room.registrations.awaiting = nil
}

// drain lets the users' actors handle what is in their mailboxes.
func (x *extensions) drain(c actor.Context, m supervisor.Drain) {
	x.draining = supervisor.NewDraining(c.Sender())
	for _, reg := range x.room.registrations.list {
		if reg.alive && !reg.failed && len(reg.leaving) == 0 {
			x.draining.Ask(c, reg.pid, m)
		}
	}
	x.draining.Finished(c, c.Self())
}

func (x *extensions) String() string {
	return fmt.Sprintf("%d registered", len(x.room.registrations.list))
}
