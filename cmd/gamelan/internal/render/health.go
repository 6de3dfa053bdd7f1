package render

import (
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// healthColours are those of a node that is not ok.
var healthColours = map[models.HealthState]string{models.HealthDegraded: yellow, models.HealthFailed: red}

// Health writes the health of a node in a line.
func Health(o *Output, state models.HealthState, cause string) error {
	line := o.wrap(string(state)+": "+inspect.Escape(o.Named(cause)), sentenceIndent)
	rest := strings.TrimPrefix(line, string(state))
	return Styled(o.Out, o.Paint(healthColours[state], string(state))+rest+"\n")
}

// beyond are the causes of a node that is offline whose sentence names what to look at, at another node or
// on the way there.
var beyond = []*codes.Code{
	codes.DialRefused, codes.DialProhibited, codes.DialNoAnswer, codes.DialNoRoute, codes.DialOtherKey, codes.DialForeign, codes.DialMute, codes.DialHungUp,
	codes.DialSecret, codes.DialTurnedAway, codes.DialFailed,
}

// HealthText returns why a node is degraded. What helps follows where the cause itself does not say
// what to look at.
func HealthText(l models.Notices) string {
	var all []string
	for _, n := range l {
		if n.Code == codes.Offline.Name && slices.Contains(beyond, codes.Named(n.Args["because"])) {
			n.Step = ""
		}
		all = append(all, Notice(n))
	}
	return strings.Join(all, "; ")
}
