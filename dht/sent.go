package dht

// Sent says how a message that an actor has sent ended: the actor hears it.
type Sent struct {
	ID     uint64 // the actor's own
	Report Report
}
