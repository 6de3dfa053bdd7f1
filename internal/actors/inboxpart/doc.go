// Package inboxpart stores the messages that a node receives on its disk until a program
// acknowledges them.
//
// Its main actor, the keeper, is the node's handler of plain messages. For each DHT
// message type that is kept, a type actor hands the messages on to the keeper.
//
//	extensions
//	├── handler    keeper: takes messages, writes them in batches, hands them out
//	└── type-<t>   type actor: hands the messages of one type on to the keeper
//
// [Box] is the pure machine: it decides which messages are kept, which wait for room, and
// which listener has which message in hand. [Inbox] is what gamelan.Inbox wraps, with
// [Inbox.Listen] and [Inbox.Ack]. Bodies are in memory only until they are written and
// synced, at most a second, and while a listener reads them.
//
// A message's credit returns when the message is written. The message is synced within a
// second, and when the node closes in order. So a kill -9 or a loss of power loses at
// most the messages that were written in the last second, and those that were not written
// yet: these fit in windows and credit, about 2 MiB for each peer and protocol. The
// outcome of such messages may still be confirmed.
package inboxpart
