package kit

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Says checks that the health of a node says a code, and returns its first notice.
func Says(t *testing.T, n *gamelan.Node, c *codes.Code) models.Notice {
	t.Helper()
	h := n.Health(t.Context())
	var said []string
	for _, list := range []models.Notices{h.Reasons, h.Warnings} {
		for _, notice := range list {
			if notice.Code == c.Name {
				return notice
			}
			said = append(said, notice.Code+": "+notice.What)
		}
	}
	t.Errorf("got the health %s [%s], want %s", h.State, strings.Join(said, "; "), c.Name)
	return models.Notice{}
}
