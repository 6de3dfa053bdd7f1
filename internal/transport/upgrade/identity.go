package upgrade

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// errTrailing reports a peer that sends more than its identity frame.
var errTrailing = errors.New("more than one frame on the identity substream")

// identityFrames does the identity exchange on the encrypted stream: each side writes
// its frame without waiting for the other's, and then reads. A frame is smaller than the
// smallest socket buffer, so two sides that write first do not deadlock.
//
// spec: comms 7.1, 7.4
func (u *upgrader) identityFrames() error {
	frame, err := u.frame()
	if err != nil {
		return err
	}
	limit := u.cfg.Profile.Limits.Identity
	if err := u.secure.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := u.secure.Write(frame); err != nil {
		if transport.IsTimeout(err) {
			return fmt.Errorf("%w: %w", ErrStalled, err)
		}
		return cause(err)
	}
	if err := u.secure.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	body, err := identify.Read(u.secure, u.cfg.Profile)
	if err != nil {
		if transport.IsTimeout(err) {
			return identify.Silent(silent(limit, err))
		}
		return cause(err)
	}
	if err := u.secure.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return u.decode(body)
}

// identitySubstream does the identity exchange of profile lesson, on the first
// substream, which the dialer opens. Other substreams wait unanswered until it ends.
//
// spec: comms 14.2 items 5 to 7
func (u *upgrader) identitySubstream() error {
	frame, err := u.frame()
	if err != nil {
		return err
	}
	session := u.result.Session
	session.Release()
	// Substreams have no read deadline; the end of the session ends them.
	var late atomic.Bool
	ended := make(chan struct{})
	timer := time.AfterFunc(u.cfg.Profile.Limits.Identity, func() {
		defer close(ended)
		late.Store(true)
		session.Close()
	})
	body, err := u.onSubstream(session, frame)
	if !timer.Stop() {
		<-ended
	}
	switch {
	case late.Load() && u.proved():
		return identify.Silent(fmt.Errorf("%w: %w", ErrSilent, session.Err()))
	case late.Load():
		return fmt.Errorf("%w: %w", ErrSilent, session.Err())
	case errors.Is(err, mux.ErrHungUp), errors.Is(err, mux.ErrReset):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	case err != nil:
		return cause(err)
	}
	return u.decode(body)
}

func (u *upgrader) onSubstream(session *mux.Session, frame []byte) (body []byte, err error) {
	s, err := u.openIdentity(session)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Write(frame); err != nil {
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		return nil, err
	}
	if body, err = identify.Read(s, u.cfg.Profile); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err == nil {
		return nil, errTrailing
	} else if err != io.EOF {
		return nil, err
	}
	return body, nil
}

func (u *upgrader) openIdentity(session *mux.Session) (*mux.Stream, error) {
	id := u.cfg.Profile.IdentityID
	if u.direction == protocol.Outbound {
		s, err := session.Open()
		if err != nil {
			return nil, err
		}
		if _, err := negotiate.Open(s, []protocol.ID{id}); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	s, err := session.Accept()
	if err != nil {
		return nil, err
	}
	supported := func(got protocol.ID) bool { return got == id }
	if _, err := negotiate.Accept(s, u.cfg.Profile.Limits.NegotiationRounds, supported); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// proved reports whether the peer has proved that it holds its key. With Noise IX the
// listener knows that only when it has decrypted something from the peer. Before that it
// must not blame the peer for silence, or anybody could get the owner of the key banned.
func (u *upgrader) proved() bool {
	return u.cfg.Profile.Pattern != protocol.IX || u.direction == protocol.Outbound ||
		u.result.Session.Stats().BytesIn > 0
}

// frame returns this node's identity frame.
func (u *upgrader) frame() ([]byte, error) {
	own := u.cfg.Local()
	u.result.Told = own.Protocols
	return identify.Append(nil, u.cfg.Profile.IdentityVersion, own)
}

// decode decodes and checks the peer's message.
func (u *upgrader) decode(body []byte) (err error) {
	u.result.Message, err = identify.Decode(body, u.peer, u.cfg.Profile, u.cfg.Wall())
	return err
}
