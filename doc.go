// Package gamelan is a peer-to-peer node built as a tree of supervised actors.
//
// Start builds and starts a node. With the zero Config the node is on the local test
// network and keeps nothing on disk. With a data directory its identity and its knowledge
// of peers survive a restart.
//
//	node, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithMessages(hear))
//	if err != nil {
//		return err
//	}
//	defer node.Close(context.Background())
//	outcome, err := node.Send(ctx, friend, []byte("hello"))
//
// Messages of peers come to a function ([WithMessages]), in a loop ([Node.Messages]), or to
// an actor ([WithHandler]). With [WithInbox] the node keeps them on disk until they are
// acknowledged.
//
// A node has a handle for each subsystem: [Node.DHT] for messages that other nodes relay,
// [Node.Peers] for known peers, [Node.RPC] for calls, [Node.Inbox] for messages kept on
// disk, and [Node.Inspection] for tools.
//
// Methods with a [context.Context] may wait. An actor calls them in a task
// ([supervisor.Do]). All other methods never wait, including those with an
// [actor.Context].
//
// Your actors run in the node's tree ([WithActor], [Node.Spawn]). [Node.Tell] and [Ask] reach
// them by name. The actor of [WithHandler] receives messages as [Received]. To speak your own
// protocol, register an actor that receives [SubstreamOpened] (see [Node.Register]) and calls
// [actors.ReadFrames].
//
// Every send ends in exactly one [Outcome]: [Confirmed], [InDoubt] or [Failed]. Confirmed means
// that the other node's multiplexer has read the message. It does not mean that the application
// has handled it.
//
// An orderly stop loses no confirmed message of a node with an inbox. A node without one can
// lose about 2 MiB of each peer and protocol, and more if one message is larger than 1 MiB. Its
// log counts what is lost. The page docs/promises.md says it for every event.
//
// The packages beside this one, below github.com/gamelan-p2p/gamelan/:
//
//	identity             keys, node ids, the type of Received.From
//	config               settings, and how they are read from files
//	actors               events, connections and parts, by their full names
//	dht                  messages and strategies of Node.DHT
//	protocol/rpc         services and calls of Node.RPC: rpc.Service, rpc.Call, rpc.Items
//	kad                  clients of Node.KV; kad/overlay has their values
//	peerstore            records of Node.Peers
//	inspect              the API of Node.Inspection, and its answers in inspect/models
//	inspect/client       asks a running node from another process
//	inspect/control      what such a client can make this node do
//	supervisor           tasks, timers and restarts of actors
//	gamelantest          nodes and networks in tests, in virtual time
//	protocol, transport  the wire, for protocols of your own
//
// Actors are of github.com/asynkron/protoactor-go/actor. Packages that are not named here are
// the inside of the node.
//
// [Node.Inspection] shows every actor of a running node: its state, current message,
// mailbox, restarts and tasks.
package gamelan
