package config

import "github.com/gamelan-p2p/gamelan/internal/settings"

// ReachConfig says how a node finds out whether others can connect to it: connected nodes of this
// library tell it where they see it, and connect to it there. Nodes behind Tor or a proxy, and those
// that listen on loopback alone, do not.
type ReachConfig struct {
	// Makes the node not find out whether others can connect to it, and not help others to. With Tor
	// or a proxy it never does.
	Off bool

	// Makes the node not connect to others that ask for it to find out whether they can be reached.
	NoDialBack bool
}

func reachRows() []*settings.Row {
	return []*settings.Row{
		settings.On("reach.off", func(c *ReachConfig) *bool { return &c.Off }),
		settings.On("reach.no_dial_back", func(c *ReachConfig) *bool { return &c.NoDialBack }),
	}
}
