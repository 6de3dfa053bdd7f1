package gamelan

// ReachConfig says how a node finds out whether others can connect to it: connected nodes of this
// library tell it where they see it, and connect to it there. Nodes behind Tor or a proxy, and those
// that listen on loopback alone, do not.
type ReachConfig struct {
	Off        bool // it does not ask, and does not tell others where it sees them
	NoDialBack bool // it does not connect to others that ask for that
}
