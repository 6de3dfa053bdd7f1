package actors

import "github.com/gamelan-p2p/gamelan/identity"

// OverDHT holds the fields that only a message over the DHT has. The Peer of such a message
// need not be its author.
type OverDHT struct {
	Type        int32
	Encrypted   bool
	Destination identity.PublicKey
	Tag         uint64
	Copies      uint32 // how many copies have come, including this one
	Stored      bool   // another node had stored it while this one was away
	Expires     uint64 // when nodes stop relaying it, Unix seconds by its author's clock; 0: never
}

// ListenOptions are the settings of one listener of the inbox.
type ListenOptions struct {
	// All makes the listener a copier: it gets every kept message and every new one,
	// also those that other listeners have in hand, and takes none of them out of the
	// inbox. Without All each message goes to one listener at a time.
	All bool
	// Most is how many messages are handed out; 0 is no limit.
	Most int
	// Wait makes Listen wait after Most messages until they are acknowledged, none was
	// for ten seconds, or ctx ends. Messages that are not acknowledged by then go to the
	// next listener at once. It is for a caller that acknowledges on another goroutine
	// and ends ctx when it gives up.
	Wait bool
	// Topic has the listener take messages with that topic alone, and without Topic it takes those that have none. With All, an
	// empty Topic is for all messages.
	Topic string
	// Name is the name by which HandBack finds the listener. It may be empty.
	Name string
}

// InboxLevel is how full the inbox is.
type InboxLevel struct {
	Messages     int   // messages with room that are not acknowledged
	DHT          int   // how many of Messages came over the DHT
	DHTBytes     int64 // size of their records
	Bytes        int64 // size of all records with room, also of those that only copiers want
	Oldest       int64 // arrival of the oldest message, in nanoseconds since 1970; 0: none
	InHand       int   // how many of Messages are in hand
	Dead         int   // how many of Messages are on the shelf: they were handed out too often
	Waiting      int   // messages without room, which keep their credit
	WaitingBytes int64
	Listeners    int            // listeners that share
	Copies       int            // listeners that copy
	Untaken      map[string]int // messages of topics without a listener, at most 8 topics
	Dropped      uint64         // messages over the DHT for which there was no room, since the start
}

// InboxStatus is the state of the inbox.
type InboxStatus struct {
	InboxLevel
	MaxBytes    int64 // limit of Bytes
	MaxMessages int   // limit of Messages
	Full        bool
	Loading     bool   // the messages on the disk are not read yet
	Received    uint64 // since the start
	Acked       uint64 // since the start
	Damaged     int    // records on the disk that cannot be read
	Err         error  // of the last write or load; nil: it succeeded
}

// InboxReport is what a check of the store says of the inbox.
type InboxReport struct {
	Schema   int // schema version of the records; 0: the store has no inbox yet
	Current  int // schema version that this release writes
	Messages int
	Bytes    int64 // of all records
	Damaged  int   // records that cannot be read; a node leaves them as they are
}
