package torpart

import (
	"context"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Off returns the part of a node without an onion service.
func Off(t Trunk) actors.Part {
	return actors.Part{Name: "tor", Sections: sections(func() models.Tor {
		return models.Tor{Transports: t.TransportNames(), Summary: "this node has no onion service"}
	})}
}

// sections returns the sections of the part.
func sections(show func() models.Tor) map[string]func(ctx context.Context) any {
	return map[string]func(ctx context.Context) any{"tor": func(context.Context) any { return show() }}
}

// section returns the section "tor": how the node connects, and its onion service.
func (w *Tor) section() models.Tor {
	s := w.State()
	v := models.Tor{
		On: true, Transports: w.trunk.TransportNames(), Control: string(s.Phase), Since: w.trunk.Shown(s.Since), Error: words.Sentence(s.Err),
		Version: s.Version, Bootstrap: s.Bootstrap, Circuits: s.Circuits, Offline: s.Offline, NewCircuits: s.Signals,
		Onion: s.Onion.String(), State: string(s.Service.State), StateSince: w.trunk.Shown(s.Service.Since),
		Reachable: s.Reachable(), AdvertisedAt: w.trunk.Shown(s.Advertised), Trouble: s.Trouble(),
	}
	if s.Proxy != nil {
		v.Proxy = s.Proxy.String()
	}
	v.Summary = summary(s)
	return v
}

// node fills in the section "node".
func (w *Tor) node(v *models.Node) { v.Tor = new(w.section()) }

// summary says in one sentence whether peers can reach the onion service.
func summary(s tor.State) string {
	switch {
	case s.Reachable():
		return fmt.Sprintf("%s is published: peers can find it", s.Onion)
	case s.Phase != tor.Ready:
		return fmt.Sprintf("%s cannot be reached: there is no control connection to Tor", s.Onion)
	case s.Bootstrap < 100 || !s.Circuits || s.Offline:
		return fmt.Sprintf("%s cannot be reached: Tor has no way through its network", s.Onion)
	}
	return fmt.Sprintf("%s is %s: peers cannot find it yet", s.Onion, s.Service.State)
}
