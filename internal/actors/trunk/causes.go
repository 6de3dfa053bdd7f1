package trunk

import (
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
)

// CauseOf is [base.CauseOf].
func CauseOf(err error) *codes.Code { return base.CauseOf(err) }
