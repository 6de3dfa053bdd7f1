// Package saf has the rules of store and forward: nodes keep encrypted messages for
// others that are away, and hand them out on request.
//
// The server is a node that stores. [Rules] decide whether it may keep a message, with
// the [Region] of ids that it keeps messages for. The [Index] has a record of each stored
// message: it enforces the [Limits], chooses what an answer contains, and says what is to
// be deleted. [Requests] limits how often others may ask. [AppendAnswer] makes the answer.
//
// The client asks servers for what they keep for it. The [Client] decides whom and when,
// and leads the runs of a [Fetch]. The [Judge] decides on each answer, and opens its
// messages. [Watermarks] say up to when messages of a server were received.
//
// All of it is pure: it starts no goroutine, and time comes as an argument. The bodies of
// the messages are not in memory; the owner of the index keeps them on the disk.
//
// spec: dht 8, V21, Q7-Q11, Q23-Q25.
package saf
