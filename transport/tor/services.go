package tor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

// service is a wanted onion service. It outlives connections.
type service struct {
	Service
	ServiceStatus
	repeat            time.Time // of ADD_ONION after a collision
	collisions        int       // in a row
	onTor             bool      // ADD_ONION was sent on this connection, and not refused
	uploads, failures int       // of descriptors, since the service was added
}

// sorted returns the services by name, so that commands come in one order.
func (c *Controller) sorted() []*service {
	all := make([]*service, 0, len(c.services))
	for _, s := range c.services {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *service) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// set changes the state of a service and says so.
func (c *Controller) set(now time.Time, s *service, state ServiceState, err error) {
	if state == Unpublished {
		s.onTor = false
	}
	if s.State == state && errors.Is(err, s.Err) {
		return
	}
	if s.State != state {
		s.Since = now
	}
	s.State, s.Err = state, err
	c.do(Changed{s.ServiceStatus})
}

func (c *Controller) want(now time.Time, wanted Service) {
	id := wanted.Key.ID()
	if err := wanted.check(); err != nil {
		c.unwant(now, id)
		c.do(Changed{ServiceStatus{ID: id, State: Refused, Since: now, Err: err}})
		return
	}
	s := c.services[id]
	if s == nil {
		s = &service{ServiceStatus: ServiceStatus{ID: id, State: Unpublished, Since: now}}
		c.services[id] = s
	}
	s.Service = wanted
	if c.phase != Ready {
		return
	}
	if s.onTor { // with other ports: a service cannot be changed
		c.send(now, kindDelete, Command("DEL_ONION "+string(id)), id)
		return
	}
	c.add(now, s)
}

func (c *Controller) unwant(now time.Time, id ServiceID) {
	s := c.services[id]
	if s == nil {
		return
	}
	delete(c.services, id)
	if c.phase == Ready && s.onTor {
		c.send(now, kindDeleteFinal, Command("DEL_ONION "+string(id)), id)
	}
	c.set(now, s, Unpublished, nil)
}

// add publishes the service.
func (c *Controller) add(now time.Time, s *service) {
	s.repeat, s.uploads, s.failures, s.onTor = time.Time{}, 0, 0, true
	c.set(now, s, Adding, nil)
	c.send(now, kindAdd, s.add(), s.ID)
}

// answered handles the reply to a command for a service.
func (c *Controller) answered(now time.Time, p pending, r Reply) {
	s := c.services[p.id]
	if s == nil || c.phase != Ready { // it is not wanted any more
		return
	}
	switch p.kind {
	case kindAdd:
		c.addAnswered(now, s, r)
	case kindDetached:
		if s.State != Collision {
			return
		}
		list, _ := r.Value("onions/detached")
		if slices.Contains(strings.Fields(list), string(s.ID)) {
			c.send(now, kindDelete, Command("DEL_ONION "+string(s.ID)), s.ID)
			return
		}
		// Another control connection holds it, which may be a dead one that Tor has not
		// noticed yet. That can last, and is no reason for another key.
		s.repeat = now.Add(backoff.Doubled(s.collisions+1, firstRepeat, maxRepeat))
		s.collisions++
	case kindDelete:
		if slices.ContainsFunc(c.waiting, func(w pending) bool { return w.id == p.id && (w.kind == kindDelete || w.kind == kindAdd) }) {
			return // the answer to that command decides
		}
		if r.OK() || r.Code == codeUnknownID {
			c.add(now, s)
			return
		}
		s.onTor = false
		c.set(now, s, Refused, r.Err())
	}
}

func (c *Controller) addAnswered(now time.Time, s *service, r Reply) {
	if s.State != Adding { // wanted once more meanwhile
		return
	}
	switch got, _ := r.Value("ServiceID"); {
	case r.OK() && got == string(s.ID):
		s.collisions = 0
		c.set(now, s, Added, nil)
	case r.OK():
		s.onTor = false
		c.set(now, s, Refused, ErrOtherService)
		if id, err := ParseServiceID(got); err == nil {
			c.send(now, kindDeleteFinal, Command("DEL_ONION "+string(id)), id)
		}
	case r.Code == codeCollision:
		s.onTor = false
		c.set(now, s, Collision, r.Err())
		c.send(now, kindDetached, "GETINFO onions/detached", s.ID)
	default:
		s.onTor = false
		c.set(now, s, Refused, fmt.Errorf("the onion service: %w", r.Err()))
	}
}

// heard handles an event. Unknown ones do not count.
func (c *Controller) heard(now time.Time, r Reply) {
	words := fields(r.Lines[0].Text)
	if len(words) < 2 {
		return
	}
	switch words[0] {
	case "STATUS_CLIENT":
		c.health.status(words[2:])
	case "NETWORK_LIVENESS":
		c.health.offline = words[1] == "DOWN"
	case "HS_DESC":
		if len(words) > 2 {
			c.descriptor(now, words[1], ServiceID(words[2]))
		}
	}
}

// descriptor handles news of a service's descriptors.
func (c *Controller) descriptor(now time.Time, action string, id ServiceID) {
	s := c.services[id]
	if s == nil || s.State != Added && s.State != Published && s.State != PublishFailed {
		return
	}
	switch action {
	case "UPLOAD":
		s.uploads++
	case "UPLOADED":
		s.failures = 0
		s.uploads = 0
		c.set(now, s, Published, nil)
	case "FAILED":
		if s.failures++; s.failures >= s.uploads && s.State == Added {
			c.set(now, s, PublishFailed, nil)
		}
	}
}
