// Package gamelan is a peer-to-peer node built as a tree of supervised actors.
//
// Start builds and starts a node. The zero Config is a node on the local test
// network that keeps nothing on disk; with a data directory its identity and
// what it knows of its peers survive.
//
//	node, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithHandler(gamelan.Handle(hear)))
//	if err != nil {
//		return err
//	}
//	defer node.Close(context.Background())
//	outcome, err := node.Send(ctx, friend, []byte("hello"))
//
// A node's subsystems are handles: [Node.DHT] for messages that other nodes pass
// on, [Node.Peers] for the peers it knows, [Node.RPC] for calls, [Node.Inbox] for
// messages kept on the disk, [Node.Inspection] for tools.
//
// Methods with a context may wait: in an actor, call them in a task
// ([supervisor.Do]). Those with an [actor.Context], and all others, never wait.
//
// Messages arrive at an actor of yours as [Received]; a protocol of your
// own is an actor that hears [SubstreamOpened] (see [Node.Register]).
// Every send ends in exactly one [Outcome]: [Confirmed], [InDoubt] or [Failed].
// Confirmed means that the other node's multiplexer has read the message; it
// says nothing about what its application did with it.
//
// Node.Inspection shows every actor of the node while it works: its state, the
// message in hand, its queue, restarts and tasks.
package gamelan
