package actors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// registrations is what users have registered, and who waits for that. It
// outlives the extensions actor, which alone reads and writes it.
type registrations struct {
	list     []*registration
	awaiting []*actor.PID // who waits until everything is in the protocol table
}

// preregister adds what is registered before the tree starts.
func (e *env) preregister(m Register) error {
	x := &extensions{env: e}
	if err := x.check(&m); err != nil {
		return err
	}
	if m.ID != "" && x.protocols() >= e.Profile.Limits.Protocols {
		return ErrTooManyProtocols
	}
	e.registrations.list = append(e.registrations.list, &registration{Register: m})
	return nil
}

// plain tells whether the actor hears plain messages, speaks whether it has a
// place in the protocol table.
func (r *Register) plain() bool  { return r.ID == "" && r.speaks() }
func (r *Register) speaks() bool { return r.Actor == "" && r.Type == nil }

type registration struct {
	Register
	pid     *actor.PID
	alive   bool     // spawned, and its Terminated has not come: its name is in use
	failed  bool     // its restarts are used up; RetryDue comes unless it has stopped
	stopped error    // the panic that has stopped it for good
	joining []answer // who waits until it is in the table
	refused error    // why it is not
	leaving []answer // who waits for its end
}

// answer is a reply owed to somebody.
type answer struct {
	to    *actor.PID
	token uint64
}

// extensions runs the users' actors: it spawns them, puts them into the
// protocol table, takes them out when they fail for good and tries them again
// later.
//
// In: Register, Unregister, ChildFailed, RetryDue, ServicesStarted. Out:
// AddProtocol, RemoveProtocol, event ProtocolFailed. A restart loses nothing:
// the list of registrations outlives it.
type extensions struct {
	env    *env
	asking map[uint64]*registration // by token of AddProtocol

	draining *supervisor.Draining
}

// newExtensions makes the parent of the users' actors.
func newExtensions(env *env) actor.Actor {
	return &extensions{env: env, asking: make(map[uint64]*registration)}
}

// HandlerAlarm is the depth from which on the mailbox of an actor that hears what
// peers send is reported: four peers at the limit of their credit.
const HandlerAlarm = 16 << 10

// handlerName is the name of the actor that hears plain messages.
const handlerName = "handler"

func (x *extensions) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[ServicesStarted](c)
		for _, reg := range slices.Clone(x.env.registrations.list) {
			reg.alive = false
			if len(reg.leaving) > 0 { // it has stopped with the last incarnation
				x.remove(c, reg)
				continue
			}
			if reg.stopped == nil {
				x.spawn(c, reg)
			}
		}
		x.ready(c)
	case ServicesStarted:
		clear(x.asking) // the questions may be lost: ask again
		for _, reg := range x.env.registrations.list {
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
		if reg := x.byName(m.Name); reg != nil && reg.failed && reg.stopped == nil { // else another took its place
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
		x.env.registrations.awaiting = append(x.env.registrations.awaiting, c.Sender())
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
	x.env.registrations.list = append(x.env.registrations.list, reg)
	x.spawn(c, reg)
}

// replace takes away an actor that its panic policy has stopped, for one that is
// registered in its place.
func (x *extensions) replace(c actor.Context, m *Register) {
	for _, reg := range x.env.registrations.list {
		same := reg.ID == m.ID && reg.Actor == m.Actor && (reg.Type == nil) == (m.Type == nil) && (m.Type == nil || *reg.Type == *m.Type)
		if same && reg.stopped != nil && !reg.alive {
			if reg.Type != nil {
				x.env.types.Delete(*reg.Type)
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
	if id == "" {
		m.Name = handlerName
		if x.byName(handlerName) != nil {
			return fmt.Errorf("%w: plain messages", ErrProtocolTaken)
		}
		return nil
	}
	if err := id.Validate(); err != nil {
		return err
	}
	if x.env.reserved(id) {
		return fmt.Errorf("%w: %q is for messages of nodes; choose another id, or register a handler", ErrProtocolTaken, string(id))
	}
	for _, reg := range x.env.registrations.list {
		if reg.ID == id {
			return fmt.Errorf("%w: %q", ErrProtocolTaken, string(id))
		}
	}
	m.Name = x.freeName(id)
	return nil
}

// maxActorName bounds the name of an actor without a protocol.
const maxActorName = 50

func (x *extensions) checkActor(m *Register) error {
	m.Name = m.Actor
	switch {
	case len(m.Name) > maxActorName || !supervisor.ValidName(m.Name):
		return fmt.Errorf("%w: got %q", ErrBadName, m.Name)
	case m.Name == handlerName || isTypeName(m.Name) || x.byName(m.Name) != nil:
		return fmt.Errorf("%w: %q", ErrNameTaken, m.Name)
	}
	return nil
}

// protocols counts what is, or may be, in the protocol table.
func (x *extensions) protocols() (n int) {
	if x.env.Frames != nil {
		n = 1 + x.env.markers()
	}
	for _, reg := range x.env.registrations.list {
		if reg.speaks() {
			n++
		}
	}
	return n
}

// freeName makes a name for the tree out of a protocol id.
func (x *extensions) freeName(id protocol.ID) string {
	base := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '_':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, string(id)), "-")
	if base == handlerName || isTypeName(base) || !supervisor.ValidName(base) {
		base = "protocol-" + base
	}
	name := base
	for n := 2; x.byName(name) != nil; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

func (x *extensions) byName(name string) *registration {
	for _, reg := range x.env.registrations.list {
		if reg.Name == name {
			return reg
		}
	}
	return nil
}

// spawn starts the actor and puts it into the table again.
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
	reg.pid = supervisor.Spawn(c, supervisor.Spec{Name: reg.Name, Kind: kind, New: reg.New, OnPanic: onPanic(reg.OnPanic), Alarm: HandlerAlarm})
	if reg.plain() {
		x.env.Plain.Handler.Open(reg.pid)
	} else if reg.Type != nil {
		x.env.types.Set(*reg.Type, reg.pid)
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

// offer asks services to send what is meant for the protocol to its actor.
func (x *extensions) offer(c actor.Context, reg *registration) {
	if !reg.alive || reg.failed || len(reg.leaving) > 0 {
		return
	}
	if !reg.speaks() {
		reg.joined(c, nil)
		return
	}
	token := x.env.NewID()
	x.asking[token] = reg
	add := AddProtocol{Token: token, ID: reg.ID, PID: reg.pid}
	if reg.ID == "" {
		add.ID, add.PID = x.env.Plain.ID, x.env.Plain.PID
	}
	c.Request(x.env.Services, add)
}

func (x *extensions) added(c actor.Context, m ProtocolAdded) {
	reg, ok := x.asking[m.Token]
	if !ok {
		return
	}
	delete(x.asking, m.Token)
	if m.Err != nil && len(reg.joining) > 0 {
		reg.refused = m.Err
		x.stop(c, reg, answer{}) // the answer comes when nothing is left of it
	} else {
		reg.joined(c, nil)
	}
	x.ready(c)
}

var errStopped = fmt.Errorf("%w: it has ended already", ErrNotRegistered)

// joined answers those who have registered it.
func (reg *registration) joined(c actor.Context, err error) {
	for _, to := range reg.joining {
		to.send(c, Registered{to.token, reg.pid, err})
	}
	reg.joining = nil
}

func (a answer) send(c actor.Context, m any) {
	if a.to != nil {
		c.Send(a.to, m)
	}
}

func (x *extensions) unregister(c actor.Context, m Unregister) {
	for _, reg := range x.env.registrations.list {
		if reg.is(m) {
			x.stop(c, reg, answer{c.Sender(), m.Token})
			return
		}
	}
	err := fmt.Errorf("%w: %q", ErrNotRegistered, string(m.ID))
	if m.Type != nil {
		err = fmt.Errorf("%w: message type %d", ErrNotRegistered, *m.Type)
	}
	supervisor.Reply(c, Unregistered{m.Token, err})
}

// is tells whether this is what is to be unregistered.
func (r *Register) is(m Unregister) bool {
	if m.Type != nil {
		return r.Type != nil && *r.Type == *m.Type
	}
	return r.ID == m.ID && r.speaks()
}

// stop takes an actor out of the table and ends it; what it owns is closed with
// it.
func (x *extensions) stop(c actor.Context, reg *registration, to answer) {
	reg.leaving = append(reg.leaving, to)
	x.withdraw(c, reg)
	if !reg.alive { // failed, nothing to wait for
		x.remove(c, reg)
		return
	}
	c.Stop(reg.pid)
}

// withdraw has nothing more come to an actor. While the node stops its protocol
// stays in the table: peers hear the end of the connection then, and not that
// nobody takes the protocol.
func (x *extensions) withdraw(c actor.Context, reg *registration) {
	if reg.Type != nil {
		x.env.types.Delete(*reg.Type)
	}
	if !reg.speaks() {
		return
	}
	id, pid := reg.ID, reg.pid
	if id == "" {
		x.env.Plain.Handler.Close()
		id, pid = x.env.Plain.ID, x.env.Plain.PID
	}
	if x.draining == nil {
		c.Request(x.env.Services, RemoveProtocol{ID: id, PID: pid})
	}
}

func (x *extensions) remove(c actor.Context, reg *registration) {
	x.env.registrations.list = slices.DeleteFunc(x.env.registrations.list, func(r *registration) bool { return r == reg })
	supervisor.Forget(c, reg.Name)
	x.env.panics.forget(extensionsPath + reg.Name)
	reg.joined(c, cmp.Or(reg.refused, errStopped))
	for _, to := range reg.leaving {
		to.send(c, Unregistered{to.token, nil})
	}
}

// extensionsPath begins the paths of the users' actors below the node.
const extensionsPath = "extensions/"

// failed is the end of an actor whose restarts are used up, or that its panic
// policy stops. Its protocol is refused until the next try, or until it is
// registered again. Messages for the handler wait with their senders until it is
// tried again; of one that has stopped they are refused. Messages of a type are
// dropped, and count as no flood: the peer is not at fault.
func (x *extensions) failed(c actor.Context, m supervisor.ChildFailed) {
	reg := x.byName(m.Name)
	if reg == nil {
		return
	}
	if reg.OnPanic == protocol.PanicStop && len(reg.leaving) == 0 {
		reg.stopped = m.Err
	}
	switch {
	case reg.plain() && reg.stopped == nil:
		x.env.Plain.Handler.Close()
	case reg.Type != nil && len(reg.leaving) > 0: // it is out of the table already
	case reg.Type != nil: // it is still registered, which is no peer's fault
		x.env.types.Set(*reg.Type, nil)
	default:
		x.withdraw(c, reg)
		if reg.plain() && len(reg.leaving) == 0 {
			x.env.Plain.Handler.Open(nil) // what was sent and not read ends unheard
		}
	}
	reg.failed = true
	if reg.stopped == nil {
		supervisor.Publish(c, ProtocolFailed{Name: m.Name, ID: reg.ID, Err: m.Err})
	} else if x.env.panics.stop(extensionsPath + reg.Name); !reg.alive {
		x.announceStop(c, reg)
	}
}

// announceStop tells of a stopped actor once it may be registered again.
func (x *extensions) announceStop(c actor.Context, reg *registration) {
	reg.joined(c, reg.stopped)
	supervisor.Publish(c, ProtocolFailed{Name: reg.Name, ID: reg.ID, Err: reg.stopped, Stopped: true})
}

// gone is looked at after a ChildFailed that the Terminated has overtaken.
type gone struct{ name string }

func (x *extensions) terminated(c actor.Context, who *actor.PID) {
	x.draining.Finished(c, who)
	reg := x.byName(nameOf(who))
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

// stopped takes an actor out of the table that has stopped itself.
func (x *extensions) stopped(c actor.Context, m gone) {
	if reg := x.byName(m.name); reg != nil && !reg.alive && !reg.failed {
		x.withdraw(c, reg)
		x.remove(c, reg)
	}
}

// ready answers AwaitReady once everything registered is in the table.
func (x *extensions) ready(c actor.Context) {
	if len(x.asking) > 0 {
		return
	}
	for _, to := range x.env.registrations.awaiting {
		c.Send(to, Ready{})
	}
	x.env.registrations.awaiting = nil
}

// drain lets the users' actors finish what is in their mailboxes.
func (x *extensions) drain(c actor.Context, m supervisor.Drain) {
	x.draining = supervisor.NewDraining(c.Sender())
	for _, reg := range x.env.registrations.list {
		if reg.alive && !reg.failed && len(reg.leaving) == 0 {
			x.draining.Ask(c, reg.pid, m)
		}
	}
	x.draining.Finished(c, c.Self())
}

func (x *extensions) String() string {
	return fmt.Sprintf("%d registered", len(x.env.registrations.list))
}
