package torpart

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// show publishes the state, and says what has changed since the last time.
func (a *controller) show(c actor.Context, now time.Time) {
	was, is := a.w.State(), tor.State{Status: a.machine.Status(), Onion: a.w.Onion}
	is.Proxy, is.ProxyErr = was.Proxy, was.ProxyErr
	if len(is.Services) > 0 {
		is.Service = is.Services[0]
	}
	a.useProxy(&is)
	if a.w.announcement.Step(now, is.Service.State) && is.Service.State != tor.Published {
		supervisor.Log(c).Warn("the onion service is not published yet, and is advertised all the same", "addr", a.w.Onion)
	}
	if a.w.advertised {
		is.Advertised = a.w.announcement.Made()
	}
	a.w.state.Store(&is)
	a.advertise(c)
	a.connection(c, was, is)
	a.service(c, was, is)
	a.answer(c)
}

// useProxy tells the transport which of Tor's SOCKS listeners to use. Without the control
// connection none counts: another program may have taken the port.
func (a *controller) useProxy(is *tor.State) {
	switch {
	case a.w.Proxy == nil:
		return
	case is.Phase != tor.Ready:
		if is.Proxy != nil {
			is.Proxy, is.ProxyErr = nil, a.w.Proxy(nil)
		}
		return
	case is.Socks == nil: // Tor has not said
		return
	}
	found, ok := tor.SocksAddress(is.Socks, a.w.Host)
	switch {
	case !ok:
		is.ProxyErr = errNoListener
	case is.ProxyErr == nil && is.Proxy != nil && is.Proxy.Equal(found):
	default:
		if is.ProxyErr = a.w.Proxy(found); is.ProxyErr == nil {
			is.Proxy = found
		}
	}
}

// connection publishes that the control connection has come or gone.
func (a *controller) connection(c actor.Context, was, is tor.State) {
	ready := is.Phase == tor.Ready
	switch {
	case ready && was.Phase != tor.Ready:
		supervisor.Log(c).Info("connected to Tor", "cookie", is.Cookie.Path, "owner", is.Cookie.Owner)
		supervisor.Publish(c, tor.ControlConnected{})
	case is.Phase == tor.Away && is.Err != nil && (was.Phase == tor.Ready || was.Err == nil || was.Trouble() != is.Trouble()):
		supervisor.Log(c).Warn("no control connection to Tor", "err", is.Err)
		supervisor.Publish(c, tor.ControlDisconnected{Err: is.Err, Do: is.Trouble()})
	}
}

// service publishes that the onion service can be found, or cannot.
func (a *controller) service(c actor.Context, was, is tor.State) {
	if was.Service.State == is.Service.State {
		return
	}
	switch is.Service.State {
	case tor.Published:
		supervisor.Log(c).Info("the onion service is published", "addr", a.w.Onion)
		a.tell(c)
	case tor.Refused, tor.Collision, tor.PublishFailed:
		supervisor.Log(c).Warn("the onion service is not published", "addr", a.w.Onion, "state", is.Service.State, "err", is.Service.Err)
		supervisor.Publish(c, tor.ServiceUnpublished{Addr: a.w.Onion, State: is.Service.State, Err: is.Service.Err})
		a.announced = false
	case tor.Unpublished, tor.Adding:
		if a.announced {
			supervisor.Publish(c, tor.ServiceUnpublished{Addr: a.w.Onion, State: is.Service.State, Err: is.Service.Err})
		}
		a.announced = false
	}
}

// tell publishes once that the service can be found, when its address is advertised or cannot
// be: who hears of the service finds its address at the node.
func (a *controller) tell(c actor.Context) {
	if a.announced || !a.w.advertised && !a.refused {
		return
	}
	supervisor.Publish(c, tor.ServicePublished{Addr: a.w.Onion})
	a.announced = true
}

// advertise has the onion address put into this node's identity message, once it may.
func (a *controller) advertise(c actor.Context) {
	if !a.w.advertised && !a.asked && !a.w.announcement.Made().IsZero() {
		a.asked = true
		a.w.trunk.Advertise(a.w.Onion, c.Self())
	}
}

// added notes that the address is advertised, and publishes the event that has waited for it.
func (a *controller) added(c actor.Context, m users.AddressAdded) {
	a.w.advertised, a.refused = m.Err == nil, m.Err != nil
	if m.Err != nil {
		supervisor.Log(c).Error("the onion address cannot be advertised", "addr", m.Address, "err", m.Err)
	}
	a.show(c, supervisor.Now(c))
	if a.w.State().Service.State == tor.Published {
		a.tell(c)
	}
}

// answer answers those who wait for the start, as soon as it is clear how that ends. A
// service that another control connection holds for the moment does not hold the node up.
func (a *controller) answer(c actor.Context) {
	s := a.w.State()
	var err error
	switch {
	case s.Phase == tor.Away && s.Err != nil, s.Service.State == tor.Refused:
		err = &tor.StartError{Do: s.Trouble(), Err: s.Err}
	case s.Phase == tor.Ready && s.Service.State != tor.Adding && s.Service.State != tor.Unpublished:
	default:
		return
	}
	for _, pid := range a.awaiting {
		c.Send(pid, Started{err})
	}
	a.awaiting = nil
}

// drained answers a Drain when Tor has taken the service away, or cannot be asked to.
func (a *controller) drained(c actor.Context) {
	if a.draining != nil && a.ended {
		c.Send(a.draining, supervisor.Drained{From: c.Self()})
		a.draining = nil
	}
}

func (a *controller) String() string {
	s := a.w.State()
	text := fmt.Sprintf("control connection %s, onion service %s", s.Phase, s.Service.State)
	if s.Phase == tor.Ready {
		text += fmt.Sprintf(", Tor %s, bootstrap %d %%", s.Version, s.Bootstrap)
		if !s.Circuits {
			text += ", no circuits"
		}
	}
	if s.Err != nil {
		text += ": " + s.Err.Error()
	}
	return text
}
