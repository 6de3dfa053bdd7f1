package control

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// StrategyNames are the texts that ParseStrategy takes.
const StrategyNames = "direct, closest, direct-or-closest, propagate, broadcast, flood, random:N"

// maxRandom bounds N of random:N.
const maxRandom = 1000

// Strategy is a strategy of the DHT as a person writes it, still without a receiver.
type Strategy struct {
	Name string
	n    int // of random
}

// ParseStrategy reads a strategy; "" is direct. The error is an [*inspect.Error].
func ParseStrategy(text string) (Strategy, error) {
	name, number, counted := strings.Cut(strings.ToLower(text), ":")
	s := Strategy{Name: name}
	switch {
	case text == "":
		return Strategy{Name: "direct"}, nil
	case name == "random" && counted:
		n, err := strconv.Atoi(number)
		if err == nil && n >= 1 && n <= maxRandom {
			s.n = n
			return s, nil
		}
		return s, bad("give a number from 1 to "+strconv.Itoa(maxRandom)+", as random:5", "%q is no number of peers", number)
	case name == "random":
		return s, bad("give the number of peers, as random:5", "random needs a number")
	case !counted && slices.Contains(strings.Split(StrategyNames, ", "), name):
		return s, nil
	}
	return s, bad("choose of "+StrategyNames, "there is no strategy %q", text)
}

// NeedsKey reports whether the strategy needs the key of a receiver.
func (s Strategy) NeedsKey() bool {
	return slices.Contains([]string{"direct", "closest", "direct-or-closest"}, s.Name)
}

// Of returns the DHT's strategy for messages to the holder of the key to. The zero key
// stands for no receiver.
func (s Strategy) Of(to identity.PublicKey) dht.Strategy {
	var near identity.NodeID
	if !to.IsZero() {
		near = to.NodeID()
	}
	switch s.Name {
	case "closest":
		return dht.Closest{To: near}
	case "direct-or-closest":
		return dht.DirectOrClosest{To: near}
	case "propagate":
		return dht.Propagate{To: to}
	case "broadcast":
		return dht.Broadcast{}
	case "flood":
		return dht.Flood{}
	case "random":
		return dht.Random{N: s.n}
	}
	return dht.DirectKey{Key: to, Discover: true}
}
