package torpart

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// degraded returns why the node is degraded because of Tor.
func (w *Tor) degraded() models.Notices {
	trouble := w.State().Trouble()
	if trouble == "" {
		return nil
	}
	return models.Notices{codes.TorFailed.Notice(strings.TrimSuffix(trouble, "."))}
}
