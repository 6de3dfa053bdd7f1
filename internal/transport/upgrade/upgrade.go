package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Config configures the set-up of connections. Profile, Secret and Local are required.
type Config struct {
	Profile protocol.Profile
	Secret  *identity.Secret

	// Local returns this node's identity message, signed for its present addresses
	// and features. It is called once for each set-up that reaches the identity
	// exchange.
	Local func() identify.Message

	// Check is called with the peer's key as soon as it is known and before anything
	// more is sent. An error, such as a ban, ends the set-up with [ErrBanned]. nil
	// accepts every key. The node's own key is always refused. spec: comms 40
	Check func(identity.PublicKey) error

	// Probe permits the inbound connection to ask for a liveness check instead. Then
	// Inbound returns [ErrProbe] and leaves the connection, of which it has read only
	// the first byte, to its caller.
	Probe bool

	// Mux configures the session. A limit on substreams that is 0 stands for that of
	// the profile.
	Mux mux.Config

	// Hold keeps the session from reading before its Release, unless the identity
	// exchange needs it.
	Hold bool

	// Now measures how long steps take; nil is time.Now.
	Now func() time.Time
	// Wall is the system's clock, for checking the dates of claims; nil is Now.
	Wall func() time.Time
	// Random is the source of the ephemeral key; nil is crypto/rand.
	Random io.Reader
}

// Result is a connection that is ready for use.
type Result struct {
	Peer    identity.PublicKey
	Message identify.Message        // the peer's identity message, checked
	Told    []protocol.ID           // the protocols that this node's identity message listed
	Secret  *protocol.NetworkSecret // of the private network, which both sides have used; nil: the network is none
	Session *mux.Session            // owns the connection; the caller closes it
	Timings transport.Timings
}

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

// run does all steps. It closes the connection when one fails.
func (u *upgrader) run(ctx context.Context) (*Result, error) {
	if err := u.prepare(); err != nil {
		u.raw.Close()
		return nil, err
	}
	// Closing the connection ends a read or write.
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

// close closes the session if there is one, and otherwise the connection.
func (u *upgrader) close() {
	if u.result.Session != nil {
		u.result.Session.Close()
		return
	}
	u.raw.Close()
}
