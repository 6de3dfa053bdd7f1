package peers

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Seals are the ways in which a message of the DHT is sent: in clear text,
// signed, or encrypted for its reader.
var Seals = []string{"clear", "signed", "encrypted"}

// DHT is KIND/dht-SEAL-N: domain messages of n bytes from the DHT of one node of
// Tari to that of another, measured as [Messages] is. Both work on four messages
// at a time, as Tari's applications do, keep what they have heard in memory, and
// ban nobody for the number of messages.
func DHT(k Kind, seal string, n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("%s/dht-%s-%s", k, seal, Size(n)), Rounds: rounds, Run: func(m *harness.Meter) (err error) {
		sender, receiver, closeBoth, err := connected(m, k, k, "--dht", "true", "--dht-flood-limit", "10000000")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeBoth()) }()
		return flow(m, sender, receiver, n, "dht_flood", args{"to": "key", "type": domainType, "seal": seal, "window": tariLarge})
	}}
}

// domainType is a type of messages that is not one of Tari's.
const domainType = 1001
