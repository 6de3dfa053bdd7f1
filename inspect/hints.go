package inspect

// Hints of the API's errors. They name what a client of the API can do; a program with commands
// puts these in their place.
const (
	HintActors        = "the actors are listed at /v1/actors"
	HintPeers         = "the peers are listed at /v1/peers"
	HintNode          = "look at the node at /v1/node"
	HintPeer          = "give a public key that /v1/peers lists, or KEY::ADDRESS"
	HintListenHere    = "listen on the machine of the node"
	HintKadHere       = "use the key-value DHT on the machine of the node"
	HintDHTParameters = "see the parameters of messages of the DHT"
)
