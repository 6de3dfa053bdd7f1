package daemonconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
	"github.com/gamelan-p2p/gamelan/internal/gate"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// check returns all for which a node does not start with the settings, whatever happens on its machine: what its
// config refuses, and what the command does.
func check(c *Config) error {
	_, err := c.Inspect.Certificate()
	return errors.Join(c.ForNode().Validate(), checkListen(c.Node.Listen), err, c.Inspect.checkPlain(), checkPorts(c))
}

// bad returns an error about a setting of the command. A word of it that begins with a capital may be
// read as a field.
func bad(key, format string, args ...any) error {
	return &gamelan.ConfigError{Field: key, Err: fmt.Errorf(format, args...)}
}

// checkListen refuses addresses on which no machine listens.
func checkListen(texts []string) error {
	var errs []error
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil { // the word for nowhere; all else is refused before
			continue
		}
		if err = tcp.CheckListen(a); err != nil {
			errs = append(errs, bad("Listen", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// Certificate returns the certificate that the settings name, or nil: then the node has its own one, or there is
// no TLS. The error is one of the settings, as Validate has them.
func (i *Inspect) Certificate() (*tls.Certificate, error) {
	switch {
	case i.Listen == "":
		return nil, nil
	case i.Cert == "" && i.Key != "":
		return nil, bad("inspect.tls_key", "inspect.tls_cert is missing; set both, or inspect.tls = true alone for a certificate of the node's own")
	case i.Cert == "":
		return nil, nil
	case i.Key == "":
		return nil, bad("inspect.tls_cert", "inspect.tls_key is missing; set both, or inspect.tls = true alone for a certificate of the node's own")
	}
	c, err := gate.Files(i.Cert, i.Key)
	if unusable, ok := errors.AsType[*gate.CertificateError](err); ok {
		key := "inspect.tls_cert"
		if unusable.Path == i.Key {
			key = "inspect.tls_key"
		}
		why := unusable.Err
		if errors.Is(why, os.ErrPermission) {
			why = errors.New("this user may not read it")
		}
		return nil, bad(key, "inspect.listen needs it, and %s cannot be used: %w", unusable.Path, why)
	}
	return &c, err
}

// Unfit says for which reason clients refuse a certificate that others vouch for, or "".
func (i *Inspect) Unfit(c *tls.Certificate, now time.Time) string {
	if c == nil || gate.IsSelfSigned(*c) {
		return ""
	}
	const layout = "2006-01-02 15:04 MST"
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	at, _ := gate.ParseAddress(i.Listen)
	switch {
	case err != nil:
		return err.Error()
	case now.After(leaf.NotAfter):
		return "it has expired on " + leaf.NotAfter.Format(layout)
	case now.Before(leaf.NotBefore):
		return "it is valid from " + leaf.NotBefore.Format(layout) + " only; look at the clock"
	case len(i.Hosts) > 0 && leaf.VerifyHostname(i.Hosts[0]) != nil:
		return "it is not for " + i.Hosts[0] + ", the first of inspect.hosts"
	case len(i.Hosts) == 0 && (at.Addr().IsUnspecified() || leaf.VerifyHostname(at.Addr().WithZone("").String()) != nil):
		return "the node does not know its name; set inspect.hosts to one of its names"
	}
	return ""
}

// notes returns what does not hinder a start, and may hinder clients.
func notes(c *Config) []string {
	cert, err := c.Inspect.Certificate()
	if err != nil {
		return nil
	}
	if why := c.Inspect.Unfit(cert, time.Now()); why != "" {
		return []string{"Clients refuse the certificate " + c.Inspect.Cert + " (inspect.tls_cert): " + why}
	}
	return nil
}

// checkPlain refuses an address that other machines reach, without TLS.
func (i *Inspect) checkPlain() error {
	if i.Listen == "" || i.Encrypted() {
		return nil
	}
	if at, err := gate.ParseAddress(i.Listen); err == nil && gate.Beyond(at) {
		return bad("inspect.listen", "other machines reach %s, and without TLS anybody between them and the node reads the token; set inspect.tls = true, or a port alone for this machine", at)
	}
	return nil
}

// checkPorts refuses a port that the node would open twice.
func checkPorts(c *Config) error {
	var uses []use
	for _, text := range c.Node.Listen {
		if at, ok := tcpAt(text); ok {
			uses = append(uses, use{"node.listen", at, false})
		}
	}
	if at, err := gate.ParseAddress(c.Inspect.Listen); err == nil {
		uses = append(uses, use{"inspect.listen", at, true})
	}
	if at, err := metrics.ParseAddress(c.Metrics); err == nil {
		uses = append(uses, use{"metrics.listen", at, true})
	}
	var errs []error
	for i, u := range uses {
		for _, v := range uses[:i] {
			if !collide(u, v) {
				continue
			}
			if key := u.key; key == "node.listen" {
				errs = append(errs, bad("Listen", "%s is there twice, or within an address of all", u.at))
			} else {
				errs = append(errs, bad(key, "the node listens at %s for %s, too; take another port", v.at, v.key))
			}
		}
	}
	return errors.Join(errs...)
}

// tcpAt returns where an address of node.listen listens.
func tcpAt(text string) (at netip.AddrPort, ok bool) {
	a, err := ma.NewMultiaddr(text)
	if err != nil || tcp.CheckListen(a) != nil {
		return at, false
	}
	host, err := a.ValueForProtocol(ma.P_IP4)
	if err != nil {
		host, err = a.ValueForProtocol(ma.P_IP6)
	}
	port, err2 := a.ValueForProtocol(ma.P_TCP)
	ip, err3 := netip.ParseAddr(host)
	n, err4 := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(ip, uint16(n)), errors.Join(err, err2, err3, err4) == nil
}

// use is a setting that opens an address.
type use struct {
	key  string
	at   netip.AddrPort
	both bool // at all addresses of IPv6 it takes those of IPv4, too
}

// collide reports whether a system refuses the second of two addresses.
func collide(a, b use) bool {
	x, y := a.at.Addr().Unmap(), b.at.Addr().Unmap()
	switch {
	case a.at.Port() != b.at.Port() || a.at.Port() == 0:
		return false
	case x.Is4() == y.Is4():
		return x == y || x.IsUnspecified() || y.IsUnspecified()
	}
	return a.both && x == netip.IPv6Unspecified() || b.both && y == netip.IPv6Unspecified()
}
