package dialling

import (
	"cmp"
	"errors"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/transport"
)

// ownCause returns the code of an error that says nothing of the peer, or nil.
func ownCause(err error) *codes.Code {
	_, banned := errors.AsType[*actors.BannedError](err)
	_, unlisted := errors.AsType[*actors.NotAdmittedError](err)
	switch {
	case banned:
		return codes.DialBanned
	case unlisted:
		return codes.DialUnlisted
	case errors.Is(err, actors.ErrDraining):
		return codes.Draining
	case errors.Is(err, actors.ErrExcluded):
		return codes.DialExcluded
	case errors.Is(err, actors.ErrNoAddress), errors.Is(err, transport.ErrUnsupported):
		return codes.DialNoAddress
	case errors.Is(err, transport.ErrNoLocalPort):
		return codes.DialNoPort
	}
	return nil
}

// Because returns why a peer is not reached: a code, which is DialFailed if no other fits, and the same as a
// sentence. who is the address that was tried, or what the peer is. step is what helps in this case, if the
// error knows more than the code.
func Because(err error, who string) (c *codes.Code, sentence, step string) {
	c = cmp.Or(ownCause(err), base.CauseOf(err), codes.DialFailed)
	text := err.Error()
	if e, ok := errors.AsType[*upgrade.Error](err); ok {
		text = e.Err.Error()
	} else if e, ok := errors.AsType[*transport.DialError](err); ok {
		text = e.Err.Error()
	}
	why, hint, _ := strings.Cut(words.WithoutPackage(text), "; ")
	wrong, foreign := errors.AsType[*upgrade.WrongKeyError](err)
	refused, hungUp := errors.AsType[*upgrade.RefusedError](err)
	switch {
	case foreign:
		why = "with the key " + wrong.Found.String()
	case c == codes.DialOtherKey:
		why = ""
	case hungUp: // the sentence has what goes before
		why = refused.Why()
	case c == codes.DialProxy:
		why = causeOf(err)
	case c == codes.DialNoRoute && !transport.NoNetwork(err): // somebody on the way says so
		return c, who + ": " + causeOf(err), ""
	case c == codes.DialFailed:
		step = hint
	}
	return c, c.Because(who, why), step
}

// causeOf returns the innermost cause of an error.
func causeOf(err error) string {
	if e, ok := errors.AsType[*transport.DialError](err); ok {
		err = e.Err
	}
	why, _, _ := strings.Cut(words.Cause(err), "; ")
	return why
}
