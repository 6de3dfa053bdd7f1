package trunk

import (
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
)

// CauseOf is [base.CauseOf].
func CauseOf(err error) *codes.Code { return base.CauseOf(err) }

// Because returns why a peer is not reached, as [dialling.Because] does.
func Because(err error, who string) (c *codes.Code, sentence, step string) {
	return dialling.Because(err, who)
}
