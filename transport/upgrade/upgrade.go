package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// Config says how to set up connections. Profile, Secret and Local are
// required.
type Config struct {
	Profile protocol.Profile
	Secret  *identity.Secret

	// Local returns what this node says about itself, signed for the addresses
	// and features of the moment. It is called once for each set-up that comes
	// to the identity exchange.
	Local func() identify.Message

	// Check is asked about the peer's key as soon as it is known and before
	// anything more is sent; an error, such as that of a ban, ends the set-up
	// with [ErrBanned]. nil lets every key pass. The node's own key is always
	// refused. spec: comms 40
	Check func(identity.PublicKey) error

	// Probe permits the inbound connection to ask for liveness instead: then
	// Inbound ends with [ErrProbe] and leaves the connection, of which only the
	// first byte was read, to its caller.
	Probe bool

	// Mux are the settings of the session. The limits on substreams that are 0
	// are those of the profile.
	Mux mux.Config

	// Hold has the session read nothing before its Release, unless the
	// identity exchange needs it.
	Hold bool

	// Now measures how long steps take; nil is time.Now.
	Now func() time.Time
	// Wall is the system's clock, against which the dates of claims are checked;
	// nil is Now.
	Wall func() time.Time
	// Random gives the ephemeral key; nil is crypto/rand.
	Random io.Reader
}

// Result is a connection that is ready for use.
type Result struct {
	Peer    identity.PublicKey
	Message identify.Message // what the peer says about itself, checked
	Session *mux.Session     // owns the connection; the caller closes it
	Timings Timings
}

// Timings says how long each step took, waiting included.
type Timings struct {
	Wire, Noise, Identity, Mux time.Duration
}

// Total is how long the set-up took.
func (t Timings) Total() time.Duration { return t.Wire + t.Noise + t.Identity + t.Mux }

// Outbound sets up a connection that this node has dialled to the peer with
// the key want. It owns c from now on.
func Outbound(ctx context.Context, c net.Conn, cfg Config, want identity.PublicKey) (*Result, error) {
	u := &upgrader{cfg: cfg, raw: c, direction: protocol.Outbound, want: want}
	if cfg.Secret != nil && want == cfg.Secret.PublicKey() {
		c.Close()
		return nil, &Error{Stage: StageKey, Peer: want, Err: ErrSelf}
	}
	return u.run(ctx)
}

// Inbound sets up a connection that this node has accepted. It owns c from
// now on, and ends within the profile's Setup limit.
func Inbound(ctx context.Context, c net.Conn, cfg Config) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Profile.Limits.Setup, ErrSetupTimeout)
	defer cancel()
	u := &upgrader{cfg: cfg, raw: c, direction: protocol.Inbound}
	return u.run(ctx)
}

// run does all steps. The connection is closed when it fails.
func (u *upgrader) run(ctx context.Context) (*Result, error) {
	if err := u.prepare(); err != nil {
		u.raw.Close()
		return nil, err
	}
	// Closing is what ends a read or write under way.
	stop := context.AfterFunc(ctx, func() { u.raw.Close() })
	err := u.steps()
	if !stop() {
		err = context.Cause(ctx)
		if cause := ctx.Err(); !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	}
	if errors.Is(err, ErrProbe) {
		return nil, ErrProbe
	}
	if err != nil {
		u.close()
		return nil, &Error{Stage: u.stage, Peer: u.peer, Err: err}
	}
	return &u.result, nil
}

func (u *upgrader) prepare() error {
	if err := u.cfg.Profile.Validate(); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if u.cfg.Secret == nil || u.cfg.Local == nil {
		return errors.New("upgrade: Config.Secret and Config.Local are required")
	}
	if u.cfg.Now == nil {
		u.cfg.Now = time.Now
	}
	if u.cfg.Wall == nil {
		u.cfg.Wall = u.cfg.Now
	}
	if u.cfg.Mux.MaxStreams == 0 {
		u.cfg.Mux.MaxStreams = u.cfg.Profile.Limits.Streams
	}
	if u.cfg.Mux.MaxInbound == 0 {
		u.cfg.Mux.MaxInbound = u.cfg.Profile.Limits.InboundStreams
	}
	return nil
}

// close ends whatever the connection has become.
func (u *upgrader) close() {
	if u.result.Session != nil {
		u.result.Session.Close()
		return
	}
	u.raw.Close()
}
