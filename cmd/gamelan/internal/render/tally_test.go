package render

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestTallyRefused does not count a peer that refuses the connection: another protocol
// would not help.
func TestTallyRefused(t *testing.T) {
	var tally Tally
	refused := models.Outcome{Outcome: models.OutcomeFailed, Reason: protocol.Refused.String(), Detail: "the peer does not take it: it does not know t/msg/1"}
	banned := refused
	banned.Code = codes.DialTurnedAway.Name
	tally.add(models.Outcome{Outcome: models.OutcomeConfirmed})
	if tally.add(refused); tally.Unreached() {
		t.Error("got a peer without a connection, want none")
	}
	tally = Tally{}
	for _, o := range []models.Outcome{refused, banned} {
		tally.add(o)
	}
	if !tally.TurnedAway() || tally.Unreached() {
		t.Errorf("got turned away %v, unreached %v, want a peer that has turned this node away", tally.TurnedAway(), tally.Unreached())
	}
	if tally.Refused() != 1 || tally.total() != 2 {
		t.Errorf("got %d of %d refused, want 1 of 2", tally.Refused(), tally.total())
	}
}
