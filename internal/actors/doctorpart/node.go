package doctorpart

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/openfiles"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/units"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// node examines the whole node.
func (x *examination) node() (models.Diagnosis, error) {
	d := x.d
	n, h := d.Node(x.ctx), d.Health(x.ctx)
	used, ok := openfiles.Used()
	if err := x.all(here(&n, &h, used, openfiles.Most(), ok, d.trunk.OnWall(d.trunk.Now()))...); err != nil {
		return models.Diagnosis{}, err
	}
	if err := x.listeners(); err != nil {
		return models.Diagnosis{}, err
	}
	if err := x.all(beyond(&n, &h)...); err != nil {
		return models.Diagnosis{}, err
	}
	if err := x.seeds(&n); err != nil {
		return models.Diagnosis{}, err
	}
	if err := x.missed(); err != nil {
		return models.Diagnosis{}, err
	}
	if err := x.all(rest(&n, &h, x.steps)...); err != nil {
		return models.Diagnosis{}, err
	}
	end := conclude(&n, &h, x.steps)
	d.mu.Lock()
	d.last = models.Doctor{At: d.trunk.OnWall(d.trunk.Now()), Steps: x.steps, Diagnosis: &end}
	d.mu.Unlock()
	return end, nil
}

// said returns the notice of one of some codes, or nil.
func said(h *models.Health, of ...*codes.Code) *models.Notice {
	for _, list := range []models.Notices{h.Reasons, h.Warnings} {
		for i := range list {
			if slices.ContainsFunc(of, func(c *codes.Code) bool { return c.Name == list[i].Code }) {
				return &list[i]
			}
		}
	}
	return nil
}

// looked returns a step that is wrong if the node has a notice, and else says what.
func looked(step, what string, n *models.Notice) models.Checked {
	c := models.Checked{Step: step, State: models.CheckOK, What: what}
	if n == nil {
		return c
	}
	c.State, c.What, c.Notice = models.CheckFailed, n.What, n
	if n.Severity == models.Warning {
		c.State = models.CheckNote
	}
	return c
}

// here returns the steps about this machine: the process, the disk, the clock, open files.
func here(n *models.Node, h *models.Health, used int, most uint64, known bool, now time.Time) []models.Checked {
	list := []models.Checked{{Step: stepNode, State: models.CheckOK, What: fmt.Sprintf("version %s, on %s, for %s", n.Version, n.Network, words.Long(now.Sub(n.StartedAt)))}}
	if n := said(h, codes.Ended, codes.Stopping, codes.Draining, codes.ConnectivitySilent); n != nil {
		list[0] = looked(stepNode, "", n)
	}
	if disk := n.Disk; disk != nil {
		list = append(list, looked(stepDisk, units.Bytes(uint64(max(disk.Free, 0)))+" free in "+disk.Path, said(h, codes.DiskFull)))
	}
	if c := n.Clock; c != nil {
		off := (time.Duration(c.AheadMS) * time.Millisecond).Abs().Round(time.Second)
		list = append(list, looked(stepClock, fmt.Sprintf("within %s of %s", max(off, time.Second), inspect.Count(uint64(c.Sources), "other node")), said(h, codes.ClockOff)))
	}
	if known && most > 0 {
		what := fmt.Sprintf("%s of %s open", inspect.Number(uint64(used)), inspect.Number(most))
		var wrong *models.Notice
		if openfiles.Gone(used, most) {
			wrong = new(codes.FilesGone.Notice("of the files that the process may have open, " + what))
		}
		if wrong == nil {
			wrong = said(h, codes.FewFiles)
		}
		list = append(list, looked(stepFiles, what, wrong))
	}
	return list
}

// notTried is what is said of addresses while the node drains.
const notTried = "not tried: the node drains, and makes no new connections"

// drains reports whether the node makes no new connections, of which looks are some.
func (x *examination) drains() bool {
	_, ok := x.d.trunk.Draining()
	return ok
}

// listeners tries each address on which the node listens.
func (x *examination) listeners() error {
	own := x.d.Listening()
	if len(own) == 0 {
		return x.step(models.Checked{Step: stepListener, State: models.CheckNote, What: "the node does not listen; it only connects to others"})
	}
	if !x.d.Direct {
		return x.step(models.Checked{Step: stepListener, State: models.CheckNote, What: "not tried: the dials of this node go through a proxy"})
	}
	if x.drains() {
		return x.step(models.Checked{Step: stepListener, State: models.CheckNote, What: notTried})
	}
	var targets []target
	for _, a := range own[:min(len(own), mostProbes)] {
		targets = append(targets, target{step: stepListener, addr: fromHere(a), key: x.d.trunk.Key()})
	}
	_, err := x.probe(targets)
	return err
}

// fromHere returns the address at which this machine reaches a listener.
func fromHere(a ma.Multiaddr) ma.Multiaddr {
	ip, ok := transport.IP(a)
	if !ok || !ip.IsUnspecified() {
		return a
	}
	loopback, err := ma.NewComponent("ip4", "127.0.0.1")
	if ip.Is6() {
		loopback, err = ma.NewComponent("ip6", "::1")
	}
	if err != nil {
		return a
	}
	_, rest := ma.SplitFirst(a)
	return loopback.Encapsulate(rest)
}

// beyond returns the steps about the way from others to the node.
func beyond(n *models.Node, h *models.Health) (list []models.Checked) {
	wrong := said(h, codes.NotReached, codes.PrivateOnly, codes.WrongPublicAddress, codes.ListenGone, codes.LoopbackOnly)
	for _, r := range n.Reach {
		c := models.Checked{Step: stepReach, On: r.Addr, State: models.CheckOK, What: r.Verdict}
		switch {
		case r.Verdict == protocol.Unreachable.String():
			c.State = models.CheckNote
		case r.Why != "":
			c.State, c.What = models.CheckNote, r.Verdict+": "+r.Why
		case r.Nodes > 0:
			c.What = fmt.Sprintf("%s for %s", r.Verdict, inspect.Count(uint64(r.Nodes), "node"))
		}
		list = append(list, c)
	}
	if wrong != nil {
		list = append(list, looked(stepReach, "", wrong))
	}
	if names := said(h, codes.SeedNames); names != nil {
		list = append(list, looked(stepNames, "", names))
	}
	if n.Tor != nil {
		list = append(list, looked(stepTor, "Tor runs", said(h, codes.TorFailed)))
	}
	return list
}

// perSeed is how many addresses of one seed are tried.
const perSeed = 2

// seeds tries the seeds that are not connected.
func (x *examination) seeds(n *models.Node) error {
	t := x.d.trunk
	var targets []target
	for p := range t.Store().All() {
		if p.Flags&peerstore.FlagSeed == 0 || p.Key.IsZero() {
			continue
		}
		if _, ok := t.Connection(p.ID); ok {
			if err := x.step(models.Checked{Step: stepSeed, On: p.ID.String(), State: models.CheckOK, What: "connected"}); err != nil {
				return err
			}
			continue
		}
		addrs, _ := t.Probeable(p, nil)
		for _, a := range addrs[:min(len(addrs), perSeed)] {
			if len(targets) < mostProbes {
				targets = append(targets, target{step: stepSeed, who: p.ID.String(), addr: a, key: p.Key, soft: n.Status == "online"})
			}
		}
	}
	if len(targets) > 0 && x.drains() {
		return x.step(models.Checked{Step: stepSeed, State: models.CheckNote, What: notTried})
	}
	all, err := x.probe(targets)
	for i := range all { // a seed that answers at one address is not away
		if all[i].err == nil {
			for j := range x.steps {
				if c := &x.steps[j]; c.Step == stepSeed && strings.HasPrefix(c.On, all[i].who) && c.State == models.CheckFailed {
					c.State, c.Notice = models.CheckNote, nil
				}
			}
		}
	}
	return err
}

const (
	// missedFor is how long a peer is missed that was connected, and mostMissed how many are told.
	missedFor  = time.Hour
	mostMissed = 8
)

// missed tells of peers that were reached in the last hour, and are not reached now.
func (x *examination) missed() error {
	t, told := x.d.trunk, 0
	now, wall := t.Now(), t.OnWall(t.Now())
	for p := range t.Store().All() {
		if _, ok := t.Connection(p.ID); ok || p.Flags&peerstore.FlagSeed != 0 || told == mostMissed {
			continue
		}
		seen := slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool { return !a.LastSeen.IsZero() && wall.Sub(a.LastSeen) < missedFor })
		list := t.LastAttempts(p.ID)
		if !seen || len(list) == 0 || list[len(list)-1].Err == nil || now.Sub(list[len(list)-1].At) > missedFor {
			continue
		}
		told++
		last := list[len(list)-1]
		n := notice(last.Err, address.Short(last.Addr))
		n.What = "the peer " + p.ID.String() + ": " + n.What
		if err := x.step(models.Checked{Step: stepPeer, On: p.ID.String(), State: models.CheckNote, What: "not reached any more: " + n.What, Notice: n}); err != nil {
			return err
		}
	}
	return nil
}

// rest returns the steps about what the node has reached, and about all that is wrong and was not
// said yet.
func rest(n *models.Node, h *models.Health, steps []models.Checked) []models.Checked {
	c := looked(stepConnections, fmt.Sprintf("%s; %d inbound, %d outbound", n.Status, n.Inbound, n.Outbound), said(h, codes.Offline, codes.Alone, codes.FewNodes))
	if c.Notice == nil && n.Status != "online" {
		c.State, c.What = models.CheckNote, n.Status+": "+n.Cause
		if n.Tried != nil {
			c.What = n.Status + ": " + n.Tried.What
		}
	}
	list := []models.Checked{c}
	told := func(n *models.Notice) bool {
		same := func(c models.Checked) bool {
			return c.Notice != nil && c.Notice.Code == n.Code && c.Notice.What == n.What
		}
		return slices.ContainsFunc(steps, same) || slices.ContainsFunc(list, same)
	}
	for _, of := range []models.Notices{h.Reasons, h.Warnings} {
		for i := range of {
			if !told(&of[i]) {
				list = append(list, looked(stepHealth, "", &of[i]))
			}
		}
	}
	return list
}

// lonely are the codes that say that the node has too few connections, which has a cause of its own.
var lonely = []*codes.Code{codes.Offline, codes.Alone, codes.FewNodes, codes.SeedsSilent}

// conclude returns the one cause: what is wrong on this machine before what is wrong beyond it, and
// the reason of a failed connection before the fact that there is none.
func conclude(n *models.Node, h *models.Health, steps []models.Checked) models.Diagnosis {
	end := models.Diagnosis{OK: true, What: "The node works", Also: models.Notices{}}
	var first, seed, names, alone *models.Notice
	for i := range steps {
		c := &steps[i]
		isLonely := c.Notice != nil && slices.ContainsFunc(lonely, func(l *codes.Code) bool { return l.Name == c.Notice.Code })
		switch {
		case c.Notice == nil:
		case c.Step == stepSeed:
			if tellsMore(c.Notice, seed) {
				seed = new(*c.Notice)
				who, _, _ := strings.Cut(c.On, " at ") // the sentence has the address
				seed.What = "the seed " + who + ": " + c.Notice.What
			}
		case c.Step == stepNames:
			names = c.Notice
		case isLonely:
			if alone == nil {
				alone = c.Notice
			}
		case c.State == models.CheckFailed && first == nil:
			first = c.Notice
		}
	}
	away := n.Status != "online"
	switch {
	case first != nil:
		end.Cause = first
	case away && seed != nil:
		end.Cause = seed
	case away && names != nil:
		end.Cause = names
	case away && alone != nil && alone.Severity != models.Warning:
		end.Cause = alone
	}
	for _, c := range steps {
		if c.Notice != nil && (end.Cause == nil || c.Notice.Code != end.Cause.Code) {
			n := *c.Notice
			if who, _, _ := strings.Cut(c.On, " at "); who != "" && who[0] != '/' && !strings.Contains(n.What, who) {
				n.What = who + ": " + n.What
			}
			end.Also = append(end.Also, n)
		}
	}
	switch {
	case end.Cause != nil:
		end.OK, end.What = false, "The node is "+n.Status
		if len(h.Reasons) == 0 && !away {
			end.What = "The node is online, and something is wrong"
		}
	case away: // not for long, or it is the first node of its network
		end.What = "The node runs, and is connected to nobody"
		if n.Cause != "" {
			end.What += ": " + n.Cause
		}
	case len(end.Also) > 0:
		end.What = fmt.Sprintf("The node works; %s to know", inspect.Count(uint64(len(end.Also)), "thing"))
	}
	return end
}
