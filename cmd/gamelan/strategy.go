package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// strategyNames are the strategies, for help and hints.
const strategyNames = "direct, closest, direct-or-closest, propagate, broadcast, flood, random:N"

// maxRandom bounds N of random:N.
const maxRandom = 1000

// strategy is a strategy by its name on the command line. What it needs of a
// receiver is only known once there is one.
type strategy struct {
	name string
	n    int // of random
}

// parseStrategy reads what somebody calls a strategy; empty is direct.
func parseStrategy(text string) (strategy, error) {
	name, number, counted := strings.Cut(strings.ToLower(text), ":")
	s := strategy{name: name}
	switch {
	case text == "":
		return strategy{name: "direct"}, nil
	case name == "random" && counted:
		n, err := strconv.Atoi(number)
		if err == nil && n >= 1 && n <= maxRandom {
			s.n = n
			return s, nil
		}
		return s, usage("give a number from 1 to "+strconv.Itoa(maxRandom)+", as random:5", "%q is no number of peers", number)
	case name == "random":
		return s, usage("say to how many, as random:5", "random needs a number")
	case !counted && slices.Contains(strings.Split(strategyNames, ", "), name):
		return s, nil
	}
	return s, usage("choose of "+strategyNames, "there is no strategy %q", text)
}

// needsKey tells whether the strategy is about the holder of a key.
func (s strategy) needsKey() bool {
	switch s.name {
	case "direct", "closest", "direct-or-closest":
		return true
	}
	return false
}

// of makes the strategy of the DHT; the receiver, if there is one, is the
// destination.
func (s strategy) of(to dht.Destination) dht.Strategy {
	var near identity.NodeID
	if to.Known {
		near = to.Key.NodeID()
	}
	switch s.name {
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
	return dht.DirectKey{Key: to.Key, Discover: true}
}
