package peers

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Seals are the ways in which a message of the DHT is sent: in clear text,
// signed, or encrypted for its reader.
var Seals = []string{"clear", "signed", "encrypted"}

// DHT is FROM/dht-SEAL-N, or FROM>TO/dht-SEAL-N: domain messages of n bytes from
// the DHT of one node to that of another, measured as [Messages] is. All keep
// what they have heard in memory. Nobody bans for the number of messages, and
// ours does not pace what it sends: both limits are raised to floodLimit. Tari's
// nodes work on four messages at a time, as Tari's applications do; ours has one
// shard, its default.
func DHT(from, to Kind, seal string, n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("%s/dht-%s-%s", pair(from, to), seal, Size(n)), Rounds: rounds, Run: func(m *harness.Meter) (err error) {
		sender, receiver, closeBoth, err := connected(m, from, to, "--dht", "true", "--dht-flood-limit", floodLimit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeBoth()) }()
		return flow(m, sender, receiver, n, "dht_flood", args{"to": "key", "type": domainType, "seal": seal, "window": tariLarge})
	}}
}

// floodLimit is the most that [gamelan.DHTConfig].SendPace may be, and above what a case sends in a minute.
const floodLimit = "1000000"

// domainType is a type of messages that is not one of Tari's.
const domainType = 1001
