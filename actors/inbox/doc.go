// Package inbox keeps the messages that a node receives on its disk until
// somebody acknowledges them.
//
// It is a wing of package actors: one actor, the node's handler of plain
// messages, which ears of message types hand the messages of the DHT on to.
//
//	extensions
//	├── handler    keeper: takes messages, writes them in batches, hands them out
//	└── type-<t>   ear: hands the messages of one type on to it
//
// [Box] is the pure part: what is kept, what waits for room, and who has what in
// hand. [Inbox] is what a program uses: [Inbox.Listen] and [Inbox.Ack]. Bodies
// are in memory only until they are written and synced, at most a second, and
// while somebody reads them.
//
// A message's credit returns when the message is written. It is synced within a
// second, and when the node closes in order, so a kill -9 or a loss of power
// loses at most what was written in the last second, and what had not been
// written yet: messages in windows and credit, about 2 MiB for each peer and
// protocol. Their senders were told confirmed all the same.
package inbox
