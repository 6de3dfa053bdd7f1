package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Of a message over the DHT.
const (
	// MaxDHTBody is how long a message may be over the DHT, in bytes: what it
	// travels in, sealed and padded, has at most 8 MiB.
	MaxDHTBody = 8<<20 - 1<<10

	// PingHint says what to do instead of sending a ping of one's own.
	PingHint = "choose another one: a node bans for a wrong ping"

	// NoDHTHint says what to do about a node without the DHT.
	NoDHTHint = "start it without --no-dht, and with dht.enabled = true in the settings, which is the default"
)

// Tag is the tag of a message as it is printed.
func Tag(tag uint64) string { return fmt.Sprintf("%016x", tag) }

// StrategyNames are the strategies, for help and hints.
const StrategyNames = "direct, closest, direct-or-closest, propagate, broadcast, flood, random:N"

// maxRandom bounds N of random:N.
const maxRandom = 1000

// Strategy is a strategy by its name on the command line. What it needs of a
// receiver is only known once there is one.
type Strategy struct {
	Name string
	n    int // of random
}

// ParseStrategy reads what somebody calls a strategy; empty is direct.
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
		return s, failure.Usage("give a number from 1 to "+strconv.Itoa(maxRandom)+", as random:5", "%q is no number of peers", number)
	case name == "random":
		return s, failure.Usage("say to how many, as random:5", "random needs a number")
	case !counted && slices.Contains(strings.Split(StrategyNames, ", "), name):
		return s, nil
	}
	return s, failure.Usage("choose of "+StrategyNames, "there is no strategy %q", text)
}

// NeedsKey tells whether the strategy is about the holder of a key.
func (s Strategy) NeedsKey() bool {
	switch s.Name {
	case "direct", "closest", "direct-or-closest":
		return true
	}
	return false
}

// Of returns the strategy of the DHT for messages to the holder of a key, or with the
// zero key to nobody in particular.
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
