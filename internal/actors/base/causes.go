package base

import (
	"context"
	"errors"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// CauseOf returns the code of an error, or why a peer was not reached; nil if nothing of the registry fits.
func CauseOf(err error) *codes.Code {
	if c := codes.Of(err); c != nil || err == nil {
		return c
	}
	if setup, ok := errors.AsType[*upgrade.Error](err); ok {
		return ofSetup(setup)
	}
	if dial, ok := errors.AsType[*transport.DialError](err); ok {
		return ofDial(dial)
	}
	return nil
}

// ofSetup returns the code of a set-up that has failed.
func ofSetup(e *upgrade.Error) *codes.Code {
	switch {
	case errors.Is(e, protocol.ErrSecretMayDiffer):
		return codes.DialSecret
	case errors.Is(e, upgrade.ErrWrongKey), errors.Is(e, upgrade.ErrSelf):
		return codes.DialOtherKey
	case errors.Is(e, noise.ErrPayload), errors.Is(e, noise.ErrLength):
		return codes.DialForeign
	case e.Stage == upgrade.StageIdentity && errors.Is(e, upgrade.ErrHungUp):
		return codes.DialTurnedAway
	case errors.Is(e, upgrade.ErrHungUp):
		return codes.DialHungUp
	case e.Timeout():
		return codes.DialMute
	}
	return nil
}

// ofDial returns the code of a dial that has not led to a connection.
func ofDial(e *transport.DialError) *codes.Code {
	_, special := errors.AsType[*address.SpecialError](e.Err)
	_, refused := errors.AsType[*transport.Refusal](e.Err)
	switch {
	case special, errors.Is(e.Err, context.Canceled), errors.Is(e.Err, actors.ErrAimed), errors.Is(e.Err, transport.ErrNoLocalPort), e.Stage == transport.StageAddress:
		return nil // they say nothing of the peer
	case e.Stage == transport.StageProxy:
		return codes.DialProxy
	case errors.Is(e.Err, transport.ErrResolve):
		return codes.DialUnresolved
	case errors.Is(e.Err, transport.ErrProhibited):
		return codes.DialProhibited
	case errors.Is(e.Err, transport.ErrPermission):
		return codes.DialForbidden
	case transport.OutOfFiles(e.Err):
		return codes.FilesGone
	case errors.Is(e.Err, transport.ErrRefused), errors.Is(e.Err, transport.ErrAddressNotAvailable), transport.IsReset(e.Err):
		return codes.DialRefused
	case transport.NoNetwork(e.Err), refused: // a machine on the way says so
		return codes.DialNoRoute
	case e.Timeout(), transport.NoHost(e.Err):
		return codes.DialNoAnswer
	}
	return nil
}
