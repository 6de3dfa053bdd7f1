package dht

// Sent tells an actor how a message that it sent has ended.
type Sent struct {
	ID     uint64 // the actor's id of the message
	Report Report
}
