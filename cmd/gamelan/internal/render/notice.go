package render

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// steps are what helps against a notice, in commands of this program. Those of other codes stay
// as the node says them.
var steps = map[string]string{
	codes.ConnectivitySilent.Name: "look at it with gamelan tree",
	codes.ActorPanicked.Name:      "look at gamelan why {actor}",
	codes.OwnPanicked.Name:        "look at gamelan why {actor}",
	codes.OwnStopped.Name:         "register it again or start the node again: look at gamelan why {actor}",
	codes.Restarting.Name:         "look at gamelan why {actor}",
	codes.Alone.Name:              "give other nodes the line of gamelan id --seed, or give this one a seed with --peer",
	codes.Offline.Name:            "give it a seed that runs, with --peer",
	codes.PeerLost.Name:           "gamelan why {peer} shows what the node did about it, and gamelan doctor {peer} examines the way to it",
	codes.SeedsSilent.Name:        "gamelan network status shows why; check node.seeds and discovery.seed_names",
	codes.InDoubt.Name:            "gamelan conns --closed shows which connections were lost; send --resend, --kept or --handled send again",
	codes.Undecodable.Name:        "have that node use another protocol, or ban it; gamelan dht shows the last error",
	codes.InboxFull.Name:          "acknowledge some, as gamelan listen does",
	codes.InboxDropped.Name:       "acknowledge some, as gamelan listen does",
	codes.InboxShelf.Name:         "gamelan inbox lists them, and gamelan inbox retry --all has them handed out again",
	codes.InboxHigh.Name:          "acknowledge some, as gamelan listen does, before senders have to wait",
	codes.StoredFull.Name:         "gamelan saf shows for whom most is stored",
	codes.Unhandled.Name:          "to have them in gamelan listen, add the type to dht.types or give --dht-types, and start the node again",
}

// Notice returns what is wrong, and the step that helps. An argument that the notice does not
// have leaves the node's own words.
func Notice(n models.Notice) string {
	n.Step = Step(n)
	return n.String()
}

// Step returns what helps against a notice, in commands of this program where there are some.
func Step(n models.Notice) string {
	step, ok := steps[n.Code]
	if n.Code == codes.Offline.Name && n.Args["because"] != "" {
		step, ok = steps[n.Args["because"]] // what helps against the cause
	}
	if ok && n.Step != "" {
		if step = codes.Fill(step, n.Args); !strings.Contains(step, "{") {
			return step
		}
	}
	return n.Step
}

// Notices returns the text of each notice.
func Notices(l models.Notices) []string {
	all := make([]string, len(l))
	for i, n := range l {
		all[i] = Notice(n)
	}
	return all
}
