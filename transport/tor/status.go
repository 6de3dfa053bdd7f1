package tor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// health is what Tor says of itself on this connection.
type health struct {
	err         error // why there is no connection
	since       time.Time
	tor         string // version
	lastVersion string
	socks       []string
	bootstrap   int
	circuits    bool
	offline     bool // the network is down
}

func (h health) version() string {
	if h.tor != "" {
		return h.tor
	}
	return h.lastVersion
}

// learn takes the answer to GETINFO.
func (h *health) learn(r Reply) {
	h.tor, _ = r.Value("version")
	listeners, _ := r.Value("net/listeners/socks")
	h.socks = fields(listeners)
	phase, _ := r.Value("status/bootstrap-phase")
	h.progress(fields(phase))
	established, _ := r.Value("status/circuit-established")
	h.circuits = established == "1"
	live, _ := r.Value("network-liveness")
	h.offline = live == "down"
}

// status takes the words of a STATUS_CLIENT behind its severity.
func (h *health) status(words []string) {
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "CIRCUIT_ESTABLISHED":
		h.circuits = true
	case "CIRCUIT_NOT_ESTABLISHED":
		h.circuits = false
	case "BOOTSTRAP":
		h.progress(words)
	}
}

func (h *health) progress(words []string) {
	for _, w := range words {
		if text, ok := strings.CutPrefix(w, "PROGRESS="); ok {
			if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 100 {
				h.bootstrap = n
			}
		}
	}
}

// Status is the state of a [Controller].
type Status struct {
	Phase     Phase
	Since     time.Time // of the connection or, without one, of its end; zero before both
	Err       error     // without a connection: why
	Version   string    // of Tor
	Socks     []string  // Tor's SOCKS listeners: <ip>:<port> or unix:<path>
	Bootstrap int       // percent
	Circuits  bool      // Tor can reach the network
	Offline   bool      // Tor thinks that this machine has no network
	Signals   int       // how often Tor was asked for new circuits
	// Cookie is the file with whose cookie this node has connected. No other file and no
	// other owner counts from then on. It is empty with an authentication without a file.
	Cookie   CookieFile
	Services []ServiceStatus
}

// Status returns the present state, with the services by name.
func (c *Controller) Status() Status {
	h := c.health
	s := Status{
		Phase: c.phase, Since: h.since, Err: h.err, Version: h.version(), Socks: h.socks,
		Bootstrap: h.bootstrap, Circuits: h.circuits, Offline: h.offline, Signals: c.signals, Cookie: c.pinned,
	}
	for _, service := range c.sorted() {
		s.Services = append(s.Services, service.ServiceStatus)
	}
	return s
}

// Trouble returns in one sentence what keeps this node from the Tor network, and what to do;
// "" when nothing does. It tells a Tor that is broken from a service that is not published.
func (s Status) Trouble() string {
	var auth *AuthError
	switch {
	case s.Phase == Ready && s.Offline:
		return "Tor runs, but this machine has no network; connect it."
	case s.Phase == Ready && s.Bootstrap < 100:
		return fmt.Sprintf("Tor runs and is still connecting (%d %%); wait, or read Tor's log if it stays so.", s.Bootstrap)
	case s.Phase == Ready && !s.Circuits:
		return "Tor runs, but has no way through its network; check this machine's network and clock."
	case s.Phase == Ready:
		return s.servicesTrouble()
	case s.Phase == Ended, s.Phase == Stopping, s.Err == nil:
		return ""
	case errors.Is(s.Err, ErrNotRunning):
		return "Tor cannot be reached; install the package tor, put \"ControlPort 9051\" and \"CookieAuthentication 1\" into torrc, and start it."
	case errors.As(s.Err, &auth):
		return "Tor runs and does not accept this node; correct the password, or the cookie file."
	case errors.Is(s.Err, ErrSilent):
		return "Tor's control port does not answer; restart Tor."
	case errors.Is(s.Err, ErrReply), errors.Is(s.Err, ErrReplyTooLong), errors.Is(s.Err, ErrAnswer):
		return "What listens on the control port is not Tor; give the address of Tor's ControlPort (default 127.0.0.1:9051)."
	}
	return "Tor cannot be used: " + strings.TrimPrefix(s.Err.Error(), "tor: ") + "."
}

// servicesTrouble speaks of the first service that peers cannot find although Tor works.
func (s Status) servicesTrouble() string {
	for _, one := range s.Services {
		switch one.State {
		case Collision:
			return fmt.Sprintf("The onion service %.8s… is held by another control connection of this Tor; stop the other program, or wait until Tor notices its end.", one.ID)
		case Refused:
			return fmt.Sprintf("Tor does not take the onion service %.8s…: %s.", one.ID, strings.TrimPrefix(one.Err.Error(), "tor: "))
		case PublishFailed:
			return fmt.Sprintf("Tor works, but could not publish the onion service %.8s…; it tries again by itself.", one.ID)
		}
	}
	return ""
}
