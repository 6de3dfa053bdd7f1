package metrics

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/listenat"
)

// Path is where [Serve] has the metrics.
const Path = "/metrics"

// AddressError reports a text that is no address to serve metrics at.
type AddressError struct {
	Text string
	Why  string // what is wrong, and what to write instead
}

// Error says what to write instead.
func (e *AddressError) Error() string { return fmt.Sprintf("metrics: %q: %s", e.Text, e.Why) }

// ListenError reports an address at which metrics cannot be served now. It wraps the system's error.
type ListenError struct {
	Address string
	Err     error
}

// Error says what to do.
func (e *ListenError) Error() string {
	return fmt.Sprintf("metrics: cannot listen on %s: %v; stop the program that has the port, or take another one", e.Address, e.Err)
}

// Unwrap returns the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// ParseAddress returns the address that a text stands for. A port alone is one of 127.0.0.1. Other machines can
// reach what is said in full, such as "10.0.0.7:9464" or "0.0.0.0:9464", all IPv4 addresses, or "[::]:9464", all of both kinds. Port 0 is a free
// one. The error is an [*AddressError].
func ParseAddress(text string) (netip.AddrPort, error) {
	at, err := listenat.Parse(text, "9464")
	if err != nil {
		return at, &AddressError{text, err.Error()}
	}
	return at, nil
}

// Limits of a [Server], beside those of a scrape.
const (
	maxConns      = 32 // open connections; further ones are closed at once
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Server serves the metrics of a node at [Path], until Close.
type Server struct {
	at     netip.AddrPort
	served *listenat.Served
}

// Serve listens on an address, as [ParseAddress] reads it, and serves the metrics of a node there, without a
// password. On loopback it answers only requests to loopback or localhost: see [inspect.Guard]. l has the errors of
// scrapes; it may be nil. The error is an [*AddressError] or a [*ListenError].
func Serve(address string, node inspect.Options, l *slog.Logger) (*Server, error) {
	at, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	listener, err := listenat.Listen(at)
	if err != nil {
		return nil, &ListenError{at.String(), err}
	}
	mux := http.NewServeMux()
	mux.Handle(Path, Handler(node, l))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the metrics are at "+Path, http.StatusNotFound)
	})
	var h http.Handler = mux
	if at.Addr().IsLoopback() {
		h = inspect.Guard(node.Hosts, mux)
	}
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: ScrapeTimeout + headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(errorsTo(l), "", 0),
	}
	return &Server{listener.Addr().(*net.TCPAddr).AddrPort(), listenat.Serve(server, listenat.Limit(listener, maxConns, maxConns))}, nil
}

// Address returns where the server listens.
func (s *Server) Address() netip.AddrPort { return s.at }

// Close ends the server. It waits for scrapes under way until ctx ends. It may be called again.
func (s *Server) Close(ctx context.Context) error {
	if err := s.served.Close(ctx); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// errorsTo takes errors of scrapes, of the server and of client_golang.
func errorsTo(l *slog.Logger) *listenat.Errors {
	return &listenat.Errors{Say: func(what string, n int) { l.Warn("metrics are missing, or could not be served", "err", what, "n", n) }}
}
