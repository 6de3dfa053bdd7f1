package models

import "time"

// Inbox is the state of a node's durable inbox: the field inbox of the section "node".
type Inbox struct {
	Messages     int            `json:"messages"` // not acknowledged
	MaxMessages  int            `json:"max_messages"`
	Bytes        int64          `json:"bytes"` // on the disk, with the metadata of each message
	MaxBytes     int64          `json:"max_bytes"`
	OldestAt     time.Time      `json:"oldest_at,omitzero"`
	InHand       int            `json:"in_hand"`           // messages that a listener has
	Dead         int            `json:"dead"`              // messages on the shelf: they were handed out too often
	Waiting      int            `json:"waiting"`           // messages without room, which keep their sender's credit
	WaitingBytes int64          `json:"waiting_bytes"`     // bytes of these
	Listeners    int            `json:"listeners"`         // listeners that share the messages
	Copies       int            `json:"copies"`            // listeners that copy all messages
	Received     uint64         `json:"received"`          // since the start
	Acknowledged uint64         `json:"acknowledged"`      // since the start
	Dropped      uint64         `json:"dropped"`           // messages over the DHT dropped since the start, because their peer or author had its share of the room
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
}

// Plain returns how many messages are not of the topics in Untaken.
func (i *Inbox) Plain() int {
	n := i.Messages
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
	Text     string    `json:"text"`  // the first 80 bytes
}

// ShelfTaken is the answer of the verbs retry and drop of the section "inbox".
type ShelfTaken struct {
	Messages int `json:"messages"` // how many were on the shelf
}
