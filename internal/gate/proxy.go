package gate

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/page"
)

// Proxy serves a node's page on loopback, for one user: whoever has a link from [Proxy.Link].
type Proxy struct {
	*Server
	gate *Gate
}

// ServeProxy serves the page of a node on a port of 127.0.0.1, 0 for a free one. Requests go to the node at base
// over t, those of admins with token; names is as in [Options]. There are no tokens: only links let somebody in, and, where the
// system tells whose a connection is, only this user. The error is a
// [*ListenError].
func ServeProxy(port uint16, base string, t http.RoundTripper, token inspect.Token, names func() map[string]string, failed func(error) *inspect.Error, l *slog.Logger) (*Proxy, error) {
	node, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	listener, err := Listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), true)
	if err != nil {
		return nil, err
	}
	listener.limited.Listener = ownOnly{listener.limited.Listener}
	g := New(Options{
		Node: Through(node, t, failed), Token: token, Page: page.Handler(), Names: names, Private: true,
		Ask: "from the command that serves this page",
	})
	return &Proxy{Serve(listener, nil, g, l), g}, nil
}

// Link returns the address of the page, with a link that works once.
func (p *Proxy) Link(s Scope) (string, error) {
	path, err := p.gate.Link(s)
	return "http://" + p.Address().String() + path, err
}
