// Package inspect shows a running node over HTTP: its actor tree, what each
// actor is doing, and whatever sections the node or its user registers.
//
// There are two handlers. [Handler] only reads, and nothing that it does can
// change the node. [Mutations] sends messages and stops the node; it cannot be
// built without a [Token]. [Join] puts both behind one address, which is what
// the daemon does on the Unix socket in its data directory. Neither handler
// listens: whoever mounts them decides where.
//
// Structure, states, depths, restarts and failures come from the registry of
// the supervisor and are never asked of an actor, so a stuck actor is shown as
// stuck. Only an actor's own line and detail are asked, in the actor's own
// turn, with a deadline of [AskTimeout]; an actor that does not answer in time
// is marked as such, and that is a finding in itself.
//
// All text that a peer may have chosen is escaped before it reaches a terminal
// or a drawing. Message payloads appear only in the stream of received
// messages, which is served on a Unix socket and nowhere else.
package inspect
