package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/inspect/page"
	"github.com/gamelan-p2p/gamelan/internal/gate"
)

// outside is the API and the page over TCP: the setting inspect.listen. A nil one is switched off.
type outside struct {
	dir      nodedir.Dir
	hosts    []string
	listener *gate.Listener
	gate     *gate.Gate
	server   *gate.Server

	certificate atomic.Pointer[tls.Certificate] // nil: no TLS
}

// openOutside opens the address of the settings, before the node starts. It returns nil without the setting.
func openOutside(d nodedir.Dir, c *daemonconfig.Inspect) (*outside, error) {
	if c.Listen == "" {
		return nil, nil
	}
	refuse := func(err error, hint, format string, args ...any) error {
		return failure.New("inspect_listen", hint, format, args...).Because(err)
	}
	at, err := gate.ParseAddress(c.Listen)
	if err != nil {
		return nil, refuse(err, "set inspect.listen to a port, or to an IP address and a port", "the API cannot be served over TCP: %s", err)
	}
	o := &outside{dir: d, hosts: c.Hosts}
	certificate, err := c.Certificate()
	if err == nil && certificate == nil && c.TLS {
		certificate, err = certified(gate.Own(d.Path, namesOf(at.Addr(), c.Hosts), time.Now()))
	}
	if bad, ok := errors.AsType[*gate.CertificateError](err); ok {
		return nil, refuse(err, "or remove it, and the node makes another one, with another fingerprint", "the node's own certificate %s cannot be used: %s", filepath.Join(d.Path, bad.Path), failure.Text(bad.Err))
	}
	if err != nil {
		return nil, err
	}
	o.certificate.Store(certificate)
	o.listener, err = gate.Listen(at, certificate == nil)
	if busy, ok := errors.AsType[*gate.ListenError](err); ok {
		return nil, refuse(err, listenHint("inspect.listen", busy.Err), "the API cannot be served at %s: %s", busy.Address, failure.Text(busy.Err))
	}
	return o, err
}

// listenHint says what to do about an address that cannot be opened.
func listenHint(key string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "set " + key + " to an address of this machine, or to a port alone for 127.0.0.1"
	case errors.Is(err, os.ErrPermission):
		return "set " + key + " to a port from 1024 on"
	}
	return "stop the program that has the port, or set another " + key
}

func certified(c tls.Certificate, err error) (*tls.Certificate, error) { return &c, err }

// namesOf returns what clients may call the node that listens at an address: for its own certificate.
func namesOf(at netip.Addr, hosts []string) []string {
	names := append([]string{}, hosts...)
	if at.IsUnspecified() {
		for _, a := range machine() {
			names = append(names, a.String())
		}
	} else {
		names = append(names, at.WithZone("").String())
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return names
}

// machine returns the addresses of this machine that others may reach.
func machine() (all []netip.Addr) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, f := range found {
		if n, ok := f.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap().IsGlobalUnicast() {
				all = append(all, a.Unmap())
			}
		}
	}
	return all
}

// serve begins to answer, with what answers on the socket.
func (o *outside) serve(api *control.Server, log *slog.Logger) error {
	read, err := control.KeptToken(o.dir.Path, inspect.ReadTokenName)
	if err != nil {
		return nodedir.Unusable(o.dir.ReadTokenFile(), err)
	}
	o.gate = gate.New(gate.Options{
		Node: api.Handler(), Token: api.Token(), Page: page.Handler(), Names: o.dir.NamesOfNodes, Admin: api.Token(), Read: read, Hosts: o.hosts,
		Ask: "with the command gamelan ui on the machine of the node", Refused: gate.LogRefused(log),
	})
	present := o.certificate.Load
	if present() == nil {
		present = nil
	}
	o.server = gate.Serve(o.listener, present, o.gate, log)
	log.Info("the API and the page over TCP", "url", o.url(), "fingerprint", o.fingerprint())
	return nil
}

// renew takes the certificate that is in the files of the settings now, and returns it, or nil if it is the same. With
// an error the old one stays.
func (o *outside) renew(c *daemonconfig.Inspect) (*tls.Certificate, error) {
	if o == nil || c.Cert == "" {
		return nil, nil
	}
	now, err := c.Certificate()
	if err != nil || now == nil || slices.EqualFunc(now.Certificate, o.certificate.Load().Certificate, bytes.Equal) {
		return nil, err
	}
	o.certificate.Store(now)
	return now, nil
}

// url returns the address by which others reach the node.
func (o *outside) url() string {
	at := o.listener.Address()
	host := at.Addr().WithZone("").String()
	if all := machine(); at.Addr().IsUnspecified() && len(all) > 0 {
		host = all[0].String()
	}
	if len(o.hosts) > 0 && o.certificate.Load() != nil { // without TLS they are names of a proxy, at a port of its own
		host = o.hosts[0]
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port(at))}
	if o.certificate.Load() != nil {
		u.Scheme = "https"
	}
	return u.String()
}

func port(at netip.AddrPort) string {
	_, p, _ := net.SplitHostPort(at.String())
	return p
}

// fingerprint returns that of a certificate that others know by it alone, or "".
func (o *outside) fingerprint() string {
	c := o.certificate.Load()
	if c == nil || !gate.IsSelfSigned(*c) {
		return ""
	}
	return gate.Fingerprint(*c)
}

// section returns the section "inspect".
func (o *outside) section() models.Access {
	v := models.Access{MaxConnections: gate.MaxConns, MaxOfSource: gate.MaxConnsSource, MaxSessions: gate.MaxSessions}
	if o == nil || o.server == nil {
		return v
	}
	n := o.gate.Counts()
	v.On, v.URL, v.TLS, v.Fingerprint, v.Sessions, v.Links = true, o.url(), o.certificate.Load() != nil, o.fingerprint(), n.Sessions, n.Links
	v.Refused = models.AccessRefused{Credential: n.Credential, TooMany: n.TooMany, Host: n.Host, Origin: n.Origin, Scope: n.Scope}
	v.Connections, v.Refused.Connections = o.server.Open()
	return v
}

// verbs returns the verbs of the section "inspect".
func (o *outside) verbs() map[string]inspect.Verb {
	return map[string]inspect.Verb{"link": {Params: []string{"scope"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
		scope, ok := gate.ScopeNamed(v.Get("scope"))
		switch {
		case !ok:
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "a link is for one of two scopes", Hint: "give scope=read, or scope=admin"}
		case o == nil || o.gate == nil:
			return nil, &inspect.Error{Code: inspect.CodeFailed, Message: "the node has no page over TCP", Hint: "set inspect.listen, or open its page with gamelan ui"}
		}
		path, err := o.gate.Link(scope)
		if err != nil {
			return nil, err
		}
		return models.AccessLink{URL: o.url() + path, Scope: scope.String(), Until: time.Now().Add(gate.LinkFor)}, nil
	}}}
}

// announce tells people where the page is.
func (o *outside) announce(out *render.Output) {
	if o == nil {
		return
	}
	what := ""
	if f := o.fingerprint(); f != "" {
		what = "; its certificate is " + f
	}
	out.Note("The page and the API are at %s%s. Next: %s", o.url(), what, o.dir.Command("ui"))
}

// close ends the server.
func (o *outside) close(ctx context.Context) error {
	if o == nil || o.server == nil {
		return nil
	}
	return o.server.Close(ctx)
}

// giveUp closes the address if no server has begun to answer there.
func (o *outside) giveUp() {
	if o != nil && o.server == nil {
		o.listener.Close()
	}
}
