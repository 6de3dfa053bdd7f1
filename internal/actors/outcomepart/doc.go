// Package outcomepart is the part of a node that sends messages whose outcome says more than that they were
// read, and that wait for a peer which is away; and that receives such messages, each once, and tells what
// became of it.
//
// Package internal/protocol/outcomes decides: [outcomes.Sender] for each peer that this node sends to,
// [outcomes.Book] for each epoch of a sender. The part's actor has the senders. It writes by the messaging
// protocols of the room messengers, and keeps the bodies, with their credit, until the end. The books have
// a lock, because they are used where messages are read and where they are handled.
//
// The actor of answers does not drain: the handlers' last answers go out while the node stops.
//
//	sender                                          receiver
//	Submit -> actor, Sender -> session ---------->  intake, Book -> handler, or the keeper of the inbox
//	Pending <- actor, Sender <- answers <---------  actor <- told <- Book <- its Finish, or the inbox
package outcomepart
