package overlay

// State is what a client is doing about the network.
type State uint8

// The states.
const (
	Idle          State = iota // before it begins
	Bootstrapping              // it probes those that it knows, or looks itself up for the first time
	Ready
	Isolated // nobody has answered; it tries again, for ever
)

// String returns the state in a word.
func (s State) String() string {
	switch s {
	case Idle:
		return "idle"
	case Bootstrapping:
		return "bootstrapping"
	case Ready:
		return "ready"
	case Isolated:
		return "isolated"
	}
	return "unknown"
}
