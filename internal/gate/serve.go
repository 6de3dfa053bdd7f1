package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/listenat"
)

// Limits of a [Server].
const (
	MaxConns       = 64              // open connections; see [listenat.Limited] for one more
	MaxConnsSource = 16              // of one source: an IPv4 address, or an IPv6 /64
	HeaderTimeout  = 5 * time.Second // for the TLS handshake, and for the header of a request
	IdleTimeout    = time.Minute     // of a connection without a request
	MaxHeader      = 16 << 10        // bytes of the header of a request
)

// ErrPlain reports an address that other machines can reach, without TLS.
var ErrPlain = errors.New("gate: other machines can reach this address, and there is no TLS")

// ListenError reports an address at which the API cannot be served now. It wraps the system's error.
type ListenError struct {
	Address string
	Err     error
}

// Error names the address.
func (e *ListenError) Error() string {
	return fmt.Sprintf("gate: cannot listen on %s: %v", e.Address, e.Err)
}

// Unwrap returns the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// Server serves a gate until Close.
type Server struct {
	listener *listenat.Limited
	at       netip.AddrPort
	served   *listenat.Served
}

// ParseAddress returns the address that a text stands for. A port alone is one of 127.0.0.1. The error says what
// to write instead.
func ParseAddress(text string) (netip.AddrPort, error) { return listenat.Parse(text, "9465") }

// Beyond reports whether other machines reach an address.
func Beyond(at netip.AddrPort) bool { return !at.Addr().Unmap().IsLoopback() }

// Listener is an open address, before requests are served there.
type Listener struct {
	limited *listenat.Limited
	at      netip.AddrPort
}

// Listen opens an address. plain says that there will be no TLS; then an address beyond loopback is refused
// with [ErrPlain]. Otherwise the error is a [*ListenError].
func Listen(at netip.AddrPort, plain bool) (*Listener, error) {
	if plain && Beyond(at) {
		return nil, ErrPlain
	}
	l, err := listenat.Listen(at)
	if err != nil {
		return nil, &ListenError{at.String(), err}
	}
	return &Listener{listenat.Limit(l, MaxConns, MaxConnsSource), l.Addr().(*net.TCPAddr).AddrPort()}, nil
}

// Address returns the address, with the port that a free one has become.
func (l *Listener) Address() netip.AddrPort { return l.at }

// Close gives the address up.
func (l *Listener) Close() error { return l.limited.Close() }

// Serve serves a handler, with TLS and the certificate that is there at each handshake, unless the function is nil. Errors of connections are not logged one by
// one: strangers cause them.
func Serve(l *Listener, certificate func() *tls.Certificate, h http.Handler, to *slog.Logger) *Server {
	failed := &listenat.Errors{Say: func(what string, n int) { to.Debug("a connection to the API over TCP failed", "err", what, "n", n) }}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: HeaderTimeout, IdleTimeout: IdleTimeout, MaxHeaderBytes: MaxHeader,
		ErrorLog: log.New(failed, "", 0), Protocols: new(http.Protocols), ConnContext: listenat.Context,
	}
	server.Protocols.SetHTTP1(true) // a limit of connections is one of requests
	var listener net.Listener = l.limited
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
			MinVersion:     tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	return &Server{l.limited, l.at, listenat.Serve(server, listener)}
}

// Address returns where the server listens.
func (s *Server) Address() netip.AddrPort { return s.at }

// Open returns how many connections are open, and how many were closed at once.
func (s *Server) Open() (open int, refused uint64) { return s.listener.Open() }

// Close ends the server. It waits until ctx ends for requests under way; streams do not end by themselves.
func (s *Server) Close(ctx context.Context) error {
	if err := s.served.Close(ctx); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	return nil
}
