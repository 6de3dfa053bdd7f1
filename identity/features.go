package identity

import "fmt"

// Features are bits for the services that a node offers to others
// (spec: comms 1.4). A [Claim] signs them.
type Features uint32

const (
	FeatureNone               Features = 0 // a wallet or another client
	FeatureMessagePropagation Features = 1 // relays messages
	FeatureStoreForward       Features = 2 // keeps messages for others
	FeatureNode               Features = 3 // both: a full node
)

// IsNode reports whether the features are exactly those of a full node.
func (f Features) IsNode() bool { return f == FeatureNode }

// IsClient reports whether there are no features at all.
func (f Features) IsClient() bool { return f == FeatureNone }

// Valid reports whether only known bits are set. A node refuses a peer with
// unknown bits, but does not ban it.
func (f Features) Valid() bool { return f&^FeatureNode == 0 }

// String returns "client", "node", or the name of the one bit that is set.
func (f Features) String() string {
	switch f {
	case FeatureNone:
		return "client"
	case FeatureMessagePropagation:
		return "propagation"
	case FeatureStoreForward:
		return "stored messages"
	case FeatureNode:
		return "node"
	}
	return fmt.Sprintf("unknown features %#x", uint32(f))
}
