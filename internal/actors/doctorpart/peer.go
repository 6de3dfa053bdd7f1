package doctorpart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The steps of an examination.
const (
	stepAdmission  = "admission"
	stepBan        = "ban"
	stepConnection = "connection"
	stepAddress    = "address"
	stepHistory    = "history"
	stepDial       = "dial"
	stepBothEnds   = "both ends"

	stepNode        = "node"
	stepDisk        = "disk"
	stepClock       = "clock"
	stepFiles       = "files"
	stepListener    = "listener"
	stepReach       = "reach"
	stepNames       = "names"
	stepTor         = "tor"
	stepSeed        = "seed"
	stepPeer        = "peer"
	stepConnections = "connections"
	stepHealth      = "health"
)

// pingLimit is how long a connected peer may take to answer.
const pingLimit = 5 * time.Second

// patient is the peer of an examination.
type patient struct {
	id    identity.NodeID
	key   identity.PublicKey // zero: it is not known
	addrs []ma.Multiaddr     // those that were given come first
	given int                // of addrs
	peer  peerstore.Peer
}

// who returns the peer for people.
func (p *patient) who() string { return p.id.String() }

// find returns the peer that a person has named. With an address alone there is none, and only the
// address is set.
func (x *examination) find(text string) (*patient, error) {
	t := x.d.trunk
	bad := func(err error) error {
		return &inspect.Error{Code: inspect.CodeBadQuery, Message: words.Sentence(err), Hint: "give a name, a public key, KEY::ADDRESS, or an address"}
	}
	p := &patient{}
	switch {
	case strings.HasPrefix(text, "/"):
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, bad(err)
		}
		p.addrs = []ma.Multiaddr{addr}
		return p, nil
	case strings.Contains(text, "::"):
		given, err := peerstore.ParseSeed(text)
		if err != nil {
			return nil, bad(err)
		}
		p.id, p.key = given.ID, given.Key
		for _, a := range given.Addresses {
			p.addrs = append(p.addrs, a.Addr)
		}
		p.given = len(p.addrs)
	default:
		var err error
		if p.id, err = t.FindPeer(text); err != nil {
			return nil, trunk.NotFound(err, inspect.HintAdd)
		}
	}
	if p.id == t.Self() {
		return nil, bad(errors.New("that is this node itself; without a peer the node is examined"))
	}
	p.peer, _ = t.Store().Get(p.id)
	if p.key.IsZero() {
		p.key = p.peer.Key
	}
	if p.peer.ID.IsZero() {
		p.peer = peerstore.Peer{ID: p.id, Key: p.key}
	}
	for _, a := range p.peer.Addresses {
		if len(p.addrs) < mostProbes && !slices.ContainsFunc(p.addrs, a.Addr.Equal) {
			p.addrs = append(p.addrs, a.Addr)
		}
	}
	return p, nil
}

// peer examines the way to a peer.
func (x *examination) peer(text string) (models.Diagnosis, error) {
	p, err := x.find(text)
	if err != nil {
		return models.Diagnosis{}, err
	}
	if p.id.IsZero() {
		return x.address(p.addrs[0])
	}
	for _, look := range []func(*patient) (*models.Diagnosis, error){x.permitted, x.connected, x.reached} {
		end, err := look(p)
		if err != nil {
			return models.Diagnosis{}, err
		}
		if end != nil {
			end.Also = append(models.Notices{}, end.Also...)
			return *end, nil
		}
	}
	return x.dial(p)
}

// address examines an address of which nobody has said whose it is.
func (x *examination) address(at ma.Multiaddr) (models.Diagnosis, error) {
	if n := x.draining(); n != nil {
		return models.Diagnosis{What: at.String() + " is not tried", Cause: n, Also: models.Notices{}}, nil
	}
	all, err := x.probe([]target{{step: stepAddress, addr: at}})
	if err != nil {
		return models.Diagnosis{}, err
	}
	if p := &all[0]; p.err != nil {
		return models.Diagnosis{What: at.String() + " is not reached", Cause: p.notice(), Also: models.Notices{}}, nil //nolint:nilerr // it is what was found
	}
	return models.Diagnosis{OK: true, What: "At " + at.String() + " is the node " + all[0].proven.String(), Also: models.Notices{}}, nil
}

// permitted looks whether this node itself refuses the peer.
func (x *examination) permitted(p *patient) (*models.Diagnosis, error) {
	if !p.key.IsZero() {
		if err := x.d.Admits(p.key); err != nil {
			return x.cause(p, stepAdmission, notice(err, p.who()))
		}
		if err := x.step(models.Checked{Step: stepAdmission, State: models.CheckOK, What: "this node admits it"}); err != nil {
			return nil, err
		}
	}
	if err := x.d.trunk.Banned(p.id); err != nil {
		return x.cause(p, stepBan, notice(err, p.who()))
	}
	return nil, x.step(models.Checked{Step: stepBan, State: models.CheckOK, What: "this node has not banned it"})
}

// cause tells a step that is the end of the examination.
func (x *examination) cause(p *patient, step string, n *models.Notice) (*models.Diagnosis, error) {
	if err := x.step(models.Checked{Step: step, State: models.CheckFailed, What: n.What, Notice: n}); err != nil {
		return nil, err
	}
	return &models.Diagnosis{What: p.who() + " is not connected", Cause: n}, nil
}

// connected looks at the connection, if there is one.
func (x *examination) connected(p *patient) (*models.Diagnosis, error) {
	d := x.d
	ref, ok := d.trunk.Connection(p.id)
	if !ok {
		return nil, x.step(models.Checked{Step: stepConnection, State: models.CheckNote, What: "there is none"})
	}
	at := ref.Direction.String() + ", " + ref.Addr.String()
	pong, err := x.ping(ref)
	if err != nil {
		n := codes.PeerSilent.Notice("it is connected, and has not answered a ping: " + words.Cause(err))
		if err := x.step(models.Checked{Step: stepConnection, On: at, State: models.CheckFailed, What: n.What, Notice: &n}); err != nil {
			return nil, err
		}
		return &models.Diagnosis{What: p.who() + " is connected, and silent", Cause: &n}, nil
	}
	if err := x.step(models.Checked{Step: stepConnection, On: at, State: models.CheckOK, What: "it answers", TookMS: milliseconds(pong)}); err != nil {
		return nil, err
	}
	if _, err := x.probe(p.targets(p.addrs[:p.given], true)); err != nil { // the connection may be at another address
		return nil, err
	}
	also, err := x.bothEnds(ref)
	return &models.Diagnosis{OK: true, What: p.who() + " is connected, and answers", Also: append(x.about(p), also...)}, err
}

// ping measures the round trip on a connection.
func (x *examination) ping(ref *actors.ConnRef) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(x.ctx, pingLimit)
	defer cancel()
	r, err := supervisor.Ask[connections.ConnPonged](ctx, x.d.trunk.System(), ref.PID, connections.PingConn{})
	if err != nil {
		return 0, err
	}
	return r.RTT, r.Err
}

// about returns what the node says of the peer beside its connection.
func (x *examination) about(p *patient) (list models.Notices) {
	h := x.d.Health(x.ctx)
	for _, n := range slices.Concat(h.Reasons, h.Warnings) {
		if peer := n.Args["peer"]; peer != "" && (peer == p.id.String() || peer == p.key.String()) {
			list = append(list, n)
		}
	}
	return list
}

// draining returns what the health of the node says of its draining; nil: it makes connections.
func (x *examination) draining() *models.Notice {
	if !x.drains() {
		return nil
	}
	h := x.d.Health(x.ctx)
	return said(&h, codes.Draining)
}

// reached tries each address of the peer. It returns nil if the peer is reached at one.
func (x *examination) reached(p *patient) (*models.Diagnosis, error) {
	if n := x.draining(); n != nil {
		return x.cause(p, stepAddress, n)
	}
	if p.key.IsZero() {
		return x.cause(p, stepAddress, new(codes.DialNoAddress.Notice("only a ban or a connection of it was known, and no key")))
	}
	if len(p.addrs) == 0 {
		return x.cause(p, stepAddress, new(codes.DialNoAddress.Notice("no address of it is known")))
	}
	addrs, err := x.d.trunk.Probeable(p.peer, p.addrs[:p.given])
	if err != nil {
		return x.cause(p, stepAddress, notice(err, p.who()))
	}
	if left := len(p.addrs) - len(addrs); left > 0 {
		what := inspect.Count(uint64(left), "address") + " not tried: excluded from dialling, of this node itself, or of a kind that it cannot dial"
		if err := x.step(models.Checked{Step: stepAddress, State: models.CheckNote, What: what}); err != nil {
			return nil, err
		}
	}
	all, err := x.probe(p.targets(addrs, false))
	if err != nil {
		return nil, err
	}
	if err := x.history(p); err != nil {
		return nil, err
	}
	why := most(all)
	if why == nil {
		return nil, nil
	}
	return &models.Diagnosis{What: p.who() + " is not connected", Cause: why}, nil
}

// targets returns addresses of the peer, as they are tried.
func (p *patient) targets(addrs []ma.Multiaddr, soft bool) (list []target) {
	for _, a := range addrs[:min(len(addrs), mostProbes)] {
		list = append(list, target{step: stepAddress, addr: a, key: p.key, soft: soft})
	}
	return list
}

// most returns the failure that tells most, or nil if one of the probes has not failed.
func most(all []probed) (why *models.Notice) {
	for i := range all {
		if all[i].err == nil {
			return nil
		}
		if n := all[i].notice(); tellsMore(n, why) {
			why = n
		}
	}
	return why
}

// history tells how the node's own dials of the peer have ended.
func (x *examination) history(p *patient) error {
	list := x.d.trunk.LastAttempts(p.id)
	if len(list) == 0 {
		return x.step(models.Checked{Step: stepHistory, State: models.CheckNote, What: "no dial of it has ended"})
	}
	last := list[len(list)-1]
	ago := words.Long(x.d.trunk.Now().Sub(last.At))
	if last.Err == nil {
		return x.step(models.Checked{Step: stepHistory, State: models.CheckOK, What: fmt.Sprintf("of %s the last, %s ago, has made a connection", inspect.Count(uint64(len(list)), "dial"), ago)})
	}
	n := notice(last.Err, address.Short(last.Addr))
	return x.step(models.Checked{
		Step: stepHistory, State: models.CheckNote, Notice: n,
		What: fmt.Sprintf("of %s the last, %s ago, has failed: %s", inspect.Count(uint64(len(list)), "dial"), ago, n.What),
	})
}

// dial connects to a peer that has proven its key to a probe.
func (x *examination) dial(p *patient) (models.Diagnosis, error) {
	text := p.key.String()
	for _, a := range p.addrs {
		if !slices.ContainsFunc(p.peer.Addresses, func(known peerstore.Address) bool { return known.Addr.Equal(a) }) {
			text += "::" + a.String()
		}
	}
	from := x.d.trunk.Now()
	ref, err := x.d.Host.Connect(x.ctx, text, false)
	took := milliseconds(x.d.trunk.Now().Sub(from))
	if err != nil {
		n := x.whyNot(p, from, err)
		end := models.Diagnosis{What: p.who() + " is not connected", Cause: n, Also: models.Notices{}}
		return end, x.step(models.Checked{Step: stepDial, State: models.CheckFailed, What: n.What, TookMS: took, Notice: n})
	}
	if err := x.step(models.Checked{Step: stepDial, On: ref.Addr.String(), State: models.CheckOK, What: "it is connected", TookMS: took}); err != nil {
		return models.Diagnosis{}, err
	}
	also, err := x.bothEnds(ref)
	return models.Diagnosis{OK: true, What: p.who() + " is connected now", Also: slices.Concat(models.Notices{}, x.about(p), also)}, err
}

// whyNot returns why a dial that began at a time has failed: what the attempt that was recorded says, or the error.
func (x *examination) whyNot(p *patient, from time.Time, err error) *models.Notice {
	list := x.d.trunk.LastAttempts(p.id)
	if len(list) > 0 && list[len(list)-1].Err != nil && !list[len(list)-1].At.Before(from) {
		last := list[len(list)-1]
		return notice(last.Err, address.Short(last.Addr))
	}
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		c := codes.Named(e.Cause)
		if c == nil {
			c = codes.DialFailed
		}
		n := c.Notice(e.Message)
		n.Step = cmp.Or(e.Hint, n.Step)
		return &n
	}
	return notice(err, p.who())
}
