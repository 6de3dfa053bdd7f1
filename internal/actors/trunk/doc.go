// Package trunk joins the rooms of a node's trunk, and is what parts and the program use of
// them. The trunk is the actors that every node needs. They keep the peers and the connections,
// carry messages between neighbours, and run the users' actors. Each of its rooms is a package
// beside this one; rooms.go has all that they need of each other. docs/tree.md describes
// the whole tree, and docs/paths how a message passes through it.
//
// Package actors has what programs see of the trunk. The other subsystems of a node are its
// parts. They lie in packages beside this one, which imports none of them. [actors.Part] says
// what a part is made of, and [Trunk] what it may use of the node.
//
// In a room a file holds one actor. Most of its messages are in the file beside it with the
// suffix _messages.
//
//	node
//	├── peers             single writer of the peer store
//	├── conns             directory of connections, tie-break
//	│   └── <id>-<n>      one live connection
//	├── dialer            carries out dials, answers the requests for them
//	├── connectivity      status, protected peers, automatic dials, bans
//	├── services          protocol table
//	│   ├── messaging     the DHT's frames; without the DHT, plain messages
//	│   │   └── <id>      messages from and to one peer
//	│   ├── plain         with the DHT: plain messages, as below messaging
//	│   └── …             services of the parts, such as rpc
//	├── …                 actors of the parts, such as dht
//	├── extensions        the users' actors
//	├── liveness          echo on raw sockets, check of this node's own address
//	└── listeners
//	    └── 0 … n         accept and set up connections
//
// Pure state machines in other packages (internal/transport/dial, internal/transport/connpool,
// internal/transport/keepalive, internal/protocol/messaging) decide; the actors carry out what they
// decide. No actor waits: slow work is a supervised task whose result is a message.
package trunk
