package upgrade

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// upgrader is one set-up under way, in either role.
type upgrader struct {
	cfg       Config
	raw       net.Conn
	direction protocol.Direction
	want      identity.PublicKey // outbound: key of the dialled peer; zero: whichever it has

	stage  Stage
	peer   identity.PublicKey
	prefix []byte // the wire byte, until the handshake sends it
	secure *noise.Conn
	result Result
}

// steps runs the steps of the profile in its order.
func (u *upgrader) steps() error {
	for _, s := range u.cfg.Profile.Steps {
		var err error
		t := &u.result.Timings
		switch s {
		case protocol.StepWireByte:
			err = u.step(StageWire, &t.Wire, u.wireByte)
		case protocol.StepNoise:
			err = u.step(StageNoise, &t.Noise, u.noise)
		case protocol.StepIdentity:
			err = u.step(StageIdentity, &t.Identity, u.identityFrames)
		case protocol.StepMux:
			err = u.step(StageMux, &t.Mux, u.mux)
		case protocol.StepIdentitySubstream:
			err = u.step(StageIdentity, &t.Identity, u.identitySubstream)
		default:
			err = fmt.Errorf("unknown step %v", s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *upgrader) step(s Stage, took *time.Duration, do func() error) error {
	u.stage = s
	start := u.cfg.Now()
	err := do()
	*took = u.cfg.Now().Sub(start)
	return err
}

// wireByte handles the first byte. The dialer sends it together with the first message
// of the handshake; a listener that reads a wrong one sends no answer.
//
// spec: comms 3.1
func (u *upgrader) wireByte() error {
	if u.direction == protocol.Outbound {
		u.prefix = []byte{u.cfg.Profile.WireByte}
		return nil
	}
	if err := u.raw.SetReadDeadline(time.Now().Add(u.cfg.Profile.Limits.FirstByte)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(u.raw, b[:]); err != nil {
		return cause(err)
	}
	if u.cfg.Probe && liveness.Is(b[0], u.cfg.Profile.WireByte) {
		return ErrProbe
	}
	if got, want := b[0], u.cfg.Profile.WireByte; got != want {
		return &WireByteError{Got: got, Want: want, Network: u.cfg.Profile.Network, Private: u.cfg.Profile.Private}
	}
	return nil
}

func (u *upgrader) noise() (err error) {
	cfg := noise.Config{
		Pattern:        u.cfg.Profile.Pattern,
		Prologue:       u.cfg.Profile.Prologue,
		Static:         u.cfg.Secret,
		Secrets:        u.cfg.Profile.Secrets(),
		Random:         u.cfg.Random,
		MessageTimeout: u.cfg.Profile.Limits.NoiseMessage,
		Check:          u.check,
		Prefix:         u.prefix,
	}
	begin := u.cfg.Now()
	handshake := noise.Server
	if u.direction == protocol.Outbound {
		handshake = noise.Client
	}
	u.secure, err = handshake(u.raw, cfg)
	if err == nil {
		u.result.Peer = u.secure.RemoteKey()
		if len(cfg.Secrets) > 0 {
			u.result.Secret = cfg.Secrets[u.secure.Secret()]
		}
		return nil
	}
	if refused, ok := errors.AsType[*noise.CheckError](err); ok {
		u.stage = StageKey
		return refused.Err
	}
	at, ok := errors.AsType[*noise.HandshakeError](err)
	if ok && u.direction == protocol.Outbound && at.Message <= 2 && transport.IsHangUp(err) {
		ended := &RefusedError{network: u.cfg.Profile.Network, private: u.cfg.Profile.Private, wire: u.cfg.Profile.WireByte, err: err}
		// A peer that refuses closes at once; one that received nothing waits first.
		if waited := u.cfg.Now().Sub(begin); waited >= cfg.MessageTimeout/2 {
			ended.waited = waited.Round(time.Second)
		}
		return ended
	}
	if errors.Is(err, noise.ErrNoSecret) {
		return &protocol.NoSecretError{Network: u.cfg.Profile.Private}
	}
	if transport.IsTimeout(err) {
		return silent(cfg.MessageTimeout, err)
	}
	return cause(err)
}

// silent returns the error for a peer from which nothing arrived within a limit. The
// network, not the peer, may be slow.
func silent(limit time.Duration, err error) error {
	return &silence{limit, err}
}

// check decides about the peer's key before anything more is sent.
func (u *upgrader) check(key identity.PublicKey) error {
	u.peer = key
	if key == u.cfg.Secret.PublicKey() {
		return ErrSelf
	}
	if u.direction == protocol.Outbound && key != u.want && !u.want.IsZero() {
		return &WrongKeyError{key, u.want}
	}
	if u.cfg.Check == nil {
		return nil
	}
	if err := u.cfg.Check(key); err != nil {
		return fmt.Errorf("%w: %w", ErrBanned, err)
	}
	return nil
}

// mux starts yamux on the encrypted connection, with the bytes that were read from it
// and not used.
func (u *upgrader) mux() (err error) {
	session, err := mux.New(u.secure, u.direction == protocol.Outbound, u.cfg.Mux)
	if err != nil {
		return cause(err)
	}
	if u.result.Session = session; !u.cfg.Hold {
		session.Release()
	}
	return nil
}

// cause wraps an error of the connection in a sentinel of this package, if one fits.
func cause(err error) error {
	switch {
	case transport.IsTimeout(err):
		return fmt.Errorf("%w: %w", ErrSilent, err)
	case transport.IsHangUp(err):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return err
}
