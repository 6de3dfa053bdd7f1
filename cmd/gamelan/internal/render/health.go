package render

import (
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

// HealthText returns why a node is degraded. What helps follows where the cause itself does not say
// what to look at, as that of an offline node does.
func HealthText(l models.Notices) string {
	var all []string
	for _, n := range l {
		if n.Code == codes.Offline.Name && n.Args["because"] != "" {
			n.Step = ""
		}
		all = append(all, Notice(n))
	}
	return strings.Join(all, "; ")
}
