package inspect

// Hints of the API's errors. They name what a client of the API can do; a program with commands
// puts these in their place. Hints of one part alone are in its package.
const (
	HintActors        = "the actors are listed at /v1/actors"
	HintPeers         = "the peers are listed at /v1/peers"
	HintNode          = "look at the node at /v1/node"
	HintPeer          = "give a public key that /v1/peers lists, or KEY::ADDRESS"
	HintAdd           = "give a public key that /v1/peers lists, or add the peer with its address"
	HintGiven         = "compare KEY::ADDRESS with the key and the addresses of the other node"
	HintConnect       = "connect the node to a peer first, or name seeds"
	HintNoDHT         = "start the node with the DHT"
	HintHere          = "do it on the machine of the node, or over TLS with the admin's token"
	HintListenHere    = "listen on the machine of the node, or over TLS with the admin's token"
	HintDHTParameters = "see the parameters of messages of the DHT"
)

// Beginnings of hints that end with a peer.
const (
	HintDials = "see the connection attempts to the peer "
	HintAdmit = "admit the peer "
	HintUnban = "lift the ban of the peer "
	HintSeed  = "check that a seed runs and can be reached from here; see the connection attempts to the peer "
)
