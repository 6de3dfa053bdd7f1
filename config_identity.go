package gamelan

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// settleWithIdentity settles the config with the identity of its data directory. It
// creates an identity there only if the rest of the config is valid.
func (c Config) settleWithIdentity() (settled, error) {
	if c.DataDir == "" || c.Secret != nil {
		return c.settle()
	}
	id, err := c.dataDir().LoadIdentity()
	none := errors.Is(err, ErrNoIdentity)
	if err != nil && !none {
		return settled{}, err
	}
	if !none {
		c.Secret = id.Secret
		if c.Network == "" {
			c.Network = id.Network.String()
		}
	}
	s, err := c.settle()
	if err == nil && none {
		id, err = c.dataDir().CreateIdentity(s.profile.Network)
		if errors.Is(err, ErrIdentityExists) { // another program has created one meanwhile
			id, err = c.dataDir().LoadIdentity()
		}
	}
	if err != nil {
		return s, err
	}
	s.Secret = id.Secret
	return s, sameNetwork(c.DataDir, id.Network, s.profile.Network)
}

// sameNetwork returns an error if the identity was made for another network. One identity
// on two networks would be confusing.
func sameNetwork(dir string, made, used protocol.Network) error {
	if made == used {
		return nil
	}
	return badConfig("Network", fmt.Errorf("the identity in %s was made for %s, not for %s; use its network, or another directory", dir, made, used))
}
