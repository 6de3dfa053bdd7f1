// Package actors holds the messages and actors of a node.
//
// Whoever writes an actor of their own needs four of its types: [Received], a
// message that has come; [SendBody], a message to send, and [Sent], what became
// of it; [SubstreamOpened], a substream of a protocol of one's own. Facts about
// connections and the state of the node, such as [PeerConnected] and
// [StatusChanged], are what Node.Events of package gamelan yields. All else is
// the wiring of the node.
//
// The package holds the actors of a node: one file per actor, its messages
// in messages.go, because most of them connect two actors.
//
//	node
//	├── peers             single writer of the peer store
//	├── conns             connection directory, tie-break
//	│   └── <id>-<n>      one live connection
//	├── dialer            whom to dial and when
//	├── connectivity      status, wanted peers, bans
//	├── services          protocol table
//	│   ├── messaging     the DHT's messages, or plain ones without the DHT
//	│   │   └── <id>      messages from and to one peer
//	│   └── plain         plain messages beside the DHT's; as messaging
//	├── dht               only with Settings.DHT
//	│   ├── inbound-0 … k what comes in: judges it, gives it to whom it is for
//	│   ├── outbound      what leaves
//	│   └── pinger        answers pings
//	├── extensions        the user's actors
//	└── listeners
//	    └── 0 … n
//
// Decisions are pure machines elsewhere (transport/dial, transport/connpool,
// transport/keepalive, protocol/messaging); the actors here carry them out. No
// actor waits: slow work is a supervised task whose result is a message.
package actors
