package trunk

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// CauseOf is [base.CauseOf].
func CauseOf(err error) *codes.Code { return base.CauseOf(err) }

// Because returns why a peer is not reached, as [dialling.Because] does.
func Because(err error, who string) (c *codes.Code, sentence, step string) {
	return dialling.Because(err, who)
}

// LastTried returns the last address that a dial has tried, as people write it, and its error. The address is
// empty if err is not of a dial that has tried one.
func LastTried(err error) (where string, _ error) {
	d, ok := errors.AsType[*actors.DialError](err)
	if !ok || len(d.Attempts) == 0 || d.Attempts[len(d.Attempts)-1].Err == nil {
		return "", err
	}
	last := d.Attempts[len(d.Attempts)-1]
	return address.Short(last.Addr), last.Err
}
