// Package actors holds the actors of a node: one file per actor, its messages
// in messages.go, because most of them connect two actors.
//
//	node
//	├── peers             single writer of the peer store
//	├── conns             connection directory, tie-break
//	│   └── <id>-<n>      one live connection
//	├── dialer            whom to dial and when
//	├── connectivity      status, wanted peers, bans
//	├── services          protocol table
//	│   └── messaging
//	│       └── <id>      messages from and to one peer
//	├── extensions        the user's actors
//	└── listeners
//	    └── 0 … n
//
// Decisions are pure machines elsewhere (transport/dial, transport/connpool,
// transport/keepalive, protocol/messaging); the actors here carry them out. No
// actor waits: slow work is a supervised task whose result is a message.
package actors
