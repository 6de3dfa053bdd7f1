package noise

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	flynn "github.com/flynn/noise"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// DefaultMessageTimeout is how long one handshake message may take.
const DefaultMessageTimeout = 6 * time.Second

// Config configures a handshake. Static is required; the zero value of every other field
// is the default.
type Config struct {
	Pattern  protocol.Pattern // XX unless set
	Prologue string           // protocol.Prologue unless set
	Static   *identity.Secret // the node's identity key

	// Secrets are the secrets of a private network, with the pattern XXpsk0 alone. [Client] uses the
	// first; [Server] takes a dialer that has any of them, and answers nothing to others.
	Secrets []*protocol.NetworkSecret

	// Random is the source of the ephemeral key: 64 bytes, read as a little-endian
	// number modulo the order of the group. nil is crypto/rand.
	Random io.Reader

	// MessageTimeout limits each message that is read or written;
	// 0 is [DefaultMessageTimeout].
	MessageTimeout time.Duration

	// Check is called with the peer's static key as soon as it is known and before
	// anything more is written: with XX after message 2 (dialer) or 3 (listener),
	// with IX after 2 or 1. An error ends the handshake, which returns it in a
	// *[CheckError]. With IX a listener gets a key that the peer has not yet proved to
	// hold: it may refuse the peer for it, but must not ban it.
	Check func(identity.PublicKey) error

	// Prefix, for [Client] only, is written before message 1 and in the same
	// Write: the wire byte.
	Prefix []byte
}

// pattern is a handshake pattern with the lengths of its messages. They are fixed
// because payloads are empty.
type pattern struct {
	flynn   flynn.HandshakePattern
	lengths []int
}

var patterns = map[protocol.Pattern]pattern{
	protocol.XX: {flynn.HandshakeXX, []int{32, 96, 64}},
	protocol.IX: {flynn.HandshakeIX, []int{64, 96}},
	// With psk0 the first message proves the secret, with the tag of an empty payload. With psk3
	// anybody could decrypt message 2, which has the listener's key.
	protocol.XXpsk0: {flynn.HandshakeXX, []int{48, 96, 64}},
}

// Client does the handshake as the dialer. On an error, which is a *[HandshakeError]
// unless cfg is wrong, the caller closes c.
func Client(c net.Conn, cfg Config) (*Conn, error) { return handshake(c, true, cfg) }

// Server does the handshake as the listener. On an error, which is a *[HandshakeError]
// unless cfg is wrong, the caller closes c.
func Server(c net.Conn, cfg Config) (*Conn, error) { return handshake(c, false, cfg) }

// handshaker runs the messages of one handshake, in either role.
type handshaker struct {
	cfg     Config
	conn    *Conn
	pattern flynn.HandshakePattern
	dials   bool
	state   *flynn.HandshakeState // nil for a listener with secrets until message 1 shows which the dialer has
	suite   *suite
	checked bool // the peer's static key has been checked
}

// psk reports whether the handshake has a secret.
func (c *Config) psk() bool { return c.Pattern == protocol.XXpsk0 }

// checkSecrets refuses what the library would take for a handshake without a secret.
func (c *Config) checkSecrets() error {
	if !c.psk() {
		if len(c.Secrets) > 0 {
			return fmt.Errorf("noise: %v has no secrets; use %v", c.Pattern, protocol.XXpsk0)
		}
		return nil
	}
	if len(c.Secrets) == 0 {
		return fmt.Errorf("noise: %v needs a secret; set Config.Secrets", c.Pattern)
	}
	for _, s := range c.Secrets {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("noise: %w", err)
		}
	}
	return nil
}

func handshake(c net.Conn, initiator bool, cfg Config) (*Conn, error) {
	p, ok := patterns[cfg.Pattern]
	if !ok {
		return nil, fmt.Errorf("noise: unknown pattern %v; use XX, IX or XXpsk0", cfg.Pattern)
	}
	if err := cfg.checkSecrets(); err != nil {
		return nil, err
	}
	if cfg.Static == nil {
		return nil, errors.New("noise: no static key; set Config.Static")
	}
	if cfg.Prologue == "" {
		cfg.Prologue = protocol.Prologue
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.MessageTimeout == 0 {
		cfg.MessageTimeout = DefaultMessageTimeout
	}
	h := &handshaker{cfg: cfg, conn: newConn(c), pattern: p.flynn, dials: initiator, suite: &suite{CipherFunc: flynn.CipherChaChaPoly}}
	var err error
	if initiator || !cfg.psk() {
		if h.state, err = h.begin(0); err != nil {
			return nil, fmt.Errorf("noise: %w", err)
		}
	}
	var k1, k2 *flynn.CipherState
	for i, length := range p.lengths {
		ours := (i%2 == 0) == initiator
		if ours {
			k1, k2, err = h.write(i, length)
		} else {
			k1, k2, err = h.read(length)
		}
		if err != nil {
			if ours && errors.Is(err, ErrBadKey) {
				ours, i = false, i-1 // the key was in the previous message
			}
			return nil, &HandshakeError{Message: i + 1, Written: ours, Err: timedOut(err)}
		}
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, &HandshakeError{Message: len(p.lengths), Err: err}
	}
	// The first key is the initiator's, on both sides.
	if !initiator {
		k1, k2 = k2, k1
	}
	h.conn.hash = h.state.ChannelBinding()
	h.conn.out.init(k1.UnsafeKey())
	h.conn.in.init(k2.UnsafeKey())
	return h.conn, nil
}

// begin returns the state of a handshake with a secret, if there are any.
func (h *handshaker) begin(secret int) (*flynn.HandshakeState, error) {
	cfg := flynn.Config{
		CipherSuite:   h.suite,
		Random:        h.cfg.Random,
		Pattern:       h.pattern,
		Initiator:     h.dials,
		Prologue:      []byte(h.cfg.Prologue),
		StaticKeypair: keypair(h.cfg.Static),
	}
	if h.cfg.psk() {
		cfg.PresharedKey, cfg.PresharedKeyPlacement = h.cfg.Secrets[secret].Bytes(), 0
	}
	h.suite.borrow()
	defer h.suite.giveBack()
	return flynn.NewHandshakeState(cfg)
}

// recognize reads message 1 with each secret in turn, each time with a fresh state. It does no
// Diffie-Hellman. The error is [ErrNoSecret] if the dialer has none of them.
func (h *handshaker) recognize(message []byte) error {
	for i := range h.cfg.Secrets {
		state, err := h.begin(i)
		if err != nil {
			return err
		}
		h.suite.borrow()
		_, _, _, err = state.ReadMessage(nil, message)
		h.suite.giveBack()
		if err == nil {
			h.state, h.conn.secret = state, i
			return nil
		}
	}
	return ErrNoSecret
}

// write sends message i, counted from 0, in one Write.
func (h *handshaker) write(i, length int) (k1, k2 *flynn.CipherState, err error) {
	frame := make([]byte, 0, len(h.cfg.Prefix)+headerLen+length)
	if i == 0 {
		frame = append(frame, h.cfg.Prefix...)
	}
	frame = binary.BigEndian.AppendUint16(frame, uint16(length))
	h.suite.borrow()
	frame, k1, k2, err = h.state.WriteMessage(frame, nil)
	h.suite.giveBack()
	if err != nil {
		return nil, nil, failed(err)
	}
	if err := h.conn.SetWriteDeadline(time.Now().Add(h.cfg.MessageTimeout)); err != nil {
		return nil, nil, err
	}
	n, err := h.conn.Conn.Write(frame)
	if err == nil && n < len(frame) {
		err = io.ErrShortWrite
	}
	return k1, k2, err
}

// read reads the peer's next message, and checks the peer's static key as soon as it is
// known.
func (h *handshaker) read(length int) (k1, k2 *flynn.CipherState, err error) {
	if err := h.conn.SetReadDeadline(time.Now().Add(h.cfg.MessageTimeout)); err != nil {
		return nil, nil, err
	}
	size, err := h.conn.header()
	switch {
	case err != nil:
		return nil, nil, err
	case size < length:
		return nil, nil, fmt.Errorf("%w: %d bytes, want %d", ErrLength, size, length)
	case size > length:
		return nil, nil, fmt.Errorf("%w: %d bytes, want %d", ErrPayload, size, length)
	}
	frame, err := h.conn.r.Peek(headerLen + size)
	if err != nil {
		return nil, nil, inside(err)
	}
	if h.state == nil {
		err = h.recognize(frame[headerLen:])
	} else {
		h.suite.borrow()
		_, k1, k2, err = h.state.ReadMessage(nil, frame[headerLen:])
		h.suite.giveBack()
	}
	if err != nil {
		return nil, nil, failed(err)
	}
	if _, err := h.conn.r.Discard(headerLen + size); err != nil {
		return nil, nil, err
	}
	return k1, k2, h.check()
}

func (h *handshaker) check() error {
	static := h.state.PeerStatic()
	if h.checked || len(static) == 0 {
		return nil
	}
	key, err := identity.PublicKeyFromBytes(static)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	h.checked, h.conn.remote = true, key
	if h.cfg.Check == nil {
		return nil
	}
	if err := h.cfg.Check(key); err != nil {
		return &CheckError{err}
	}
	return nil
}

// failed adds the matching error of this package to an error of the handshake state.
func failed(err error) error {
	if errors.Is(err, ErrBadKey) || errors.Is(err, identity.ErrRandom) || errors.Is(err, ErrNoSecret) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrHandshake, err)
}

// timedOut adds ErrTimeout to the error of a deadline.
func timedOut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}
