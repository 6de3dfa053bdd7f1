// Package inspect shows a running node over HTTP: its actor tree, the state of each
// actor, and the sections that the node or its user registers.
//
// There are two handlers. [Handler] only reads and cannot change the node. [Mutations]
// sends messages and stops the node; it needs a [Token]. [Join] puts both behind one
// address, as the daemon does on the Unix socket in its data directory. Neither handler
// listens: their caller decides where to serve them.
//
// Structure, states, depths, restarts and failures come from the supervisor's registry,
// without a question to any actor, so a stuck actor is shown as stuck. Only an actor's
// own line and detail come from the actor, in its own turn, within [AskTimeout]. An
// actor that does not answer in time is marked.
//
// All text that a peer may have chosen is escaped before it reaches a terminal
// or a drawing. Message payloads appear only in the stream of received
// messages, which is served on a Unix socket and nowhere else.
package inspect
