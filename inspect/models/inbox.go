package models

import "time"

// Inbox is the state of a node's durable inbox: the field inbox of the section "node".
type Inbox struct {
	Messages     int            `json:"messages" metric:"inbox_messages" help:"Messages in the inbox that are not acknowledged."`
	MaxMessages  int            `json:"max_messages"`
	Bytes        int64          `json:"bytes" metric:"inbox_bytes" help:"Bytes of the inbox on the disk, with the metadata of each message."`
	MaxBytes     int64          `json:"max_bytes" metric:"inbox_limit_bytes" help:"Most bytes of the inbox: inbox.max_bytes."`
	OldestAt     time.Time      `json:"oldest_at,omitzero" metric:"inbox_oldest_time_seconds" help:"When the oldest message of the inbox came, in seconds since 1970; 0: it is empty."`
	InHand       int            `json:"in_hand" metric:"inbox_messages_in_hand" help:"Messages of the inbox that a listener has and has not acknowledged."`
	Dead         int            `json:"dead" metric:"inbox_messages_on_shelf" help:"Messages of the inbox that were handed out too often, and are handed out no more."`
	Waiting      int            `json:"waiting" metric:"inbox_messages_waiting" help:"Messages for which the inbox has no room, and whose senders wait."`
	WaitingBytes int64          `json:"waiting_bytes"` // bytes of these
	Listeners    int            `json:"listeners" metric:"inbox_listeners" help:"Listeners that share the messages of the inbox."`
	Copies       int            `json:"copies"` // listeners that copy all messages
	Received     uint64         `json:"received" metric:"inbox_received_messages_total" help:"Messages that came into the inbox."`
	Acknowledged uint64         `json:"acknowledged" metric:"inbox_acknowledged_messages_total" help:"Messages of the inbox that were acknowledged."`
	Dropped      uint64         `json:"dropped" metric:"inbox_dropped_messages_total" help:"Messages over the DHT that were dropped because their peer or author had its share of the inbox."`
	Damaged      int            `json:"damaged"`           // records that cannot be read
	Untaken      map[string]int `json:"untaken,omitempty"` // messages of topics without a listener, of at most 8 topics
	Full         bool           `json:"full"`              // plain messages wait for room
	Trouble      string         `json:"trouble,omitempty"` // why the inbox cannot be written or read

	// Of Messages and Bytes, those over the DHT. The limits of a kind hold for these, and likewise
	// for plain messages: each kind leaves the rest to the other one.
	DHTMessages       int   `json:"dht_messages"`
	DHTBytes          int64 `json:"dht_bytes"`
	MaxMessagesOfKind int   `json:"max_messages_of_kind"`
	MaxBytesOfKind    int64 `json:"max_bytes_of_kind"`

	Fill float64 `json:"fill" unit:"ratio" metric:"inbox_fill_ratio" help:"How full the inbox is, as a whole or for the fuller kind of messages; 1 is full."`
}

// Plain returns how many messages are neither on the shelf nor of the topics in Untaken.
func (i *Inbox) Plain() int {
	n := i.Messages - i.Dead
	for _, of := range i.Untaken {
		n -= of
	}
	return n
}

// Level returns how full the inbox is, as a whole or for the fuller kind of messages, from 0 to 1
// or a little above.
func (i *Inbox) Level() float64 {
	messages, bytes := int64(i.MaxMessagesOfKind), i.MaxBytesOfKind
	return max(
		part(int64(i.Messages), int64(i.MaxMessages)), part(i.Bytes, i.MaxBytes),
		part(int64(i.Messages-i.DHTMessages), messages), part(i.Bytes-i.DHTBytes, bytes),
		part(int64(i.DHTMessages), messages), part(i.DHTBytes, bytes),
	)
}

func part(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// InboxShelf is the content of the section "inbox".
type InboxShelf struct {
	Inbox
	Shelf []ShelfMessage `json:"shelf"` // oldest first, at most 1,000
}

// ShelfMessage is a message on the shelf of an inbox.
type ShelfMessage struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Peer     string    `json:"peer"`           // the node id of the peer that has delivered it
	From     string    `json:"from,omitempty"` // the public key of its author
	Attempts int       `json:"attempts"`
	Bytes    int       `json:"bytes"` // of its body
	Text     string    `json:"text"`  // the first 80 bytes; empty where others may read along
}

// ShelfTaken is the answer of the verbs retry and drop of the section "inbox".
type ShelfTaken struct {
	Messages int `json:"messages"` // how many were on the shelf
}
