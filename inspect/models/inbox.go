package models

import "time"

// Inbox is the state of a node's durable inbox: the field inbox of the section "node".
type Inbox struct {
	Messages     int       `json:"messages"` // not acknowledged
	MaxMessages  int       `json:"max_messages"`
	Bytes        int64     `json:"bytes"` // on the disk, with the metadata of each message
	MaxBytes     int64     `json:"max_bytes"`
	OldestAt     time.Time `json:"oldest_at,omitzero"`
	InHand       int       `json:"in_hand"`       // messages that a listener has
	Waiting      int       `json:"waiting"`       // messages without room, which keep their sender's credit
	WaitingBytes int64     `json:"waiting_bytes"` // bytes of these
	Listeners    int       `json:"listeners"`     // listeners that share the messages
	Copies       int       `json:"copies"`        // listeners that copy all messages
	Received     uint64    `json:"received"`      // since the start
	Acknowledged uint64    `json:"acknowledged"`  // since the start
	Dropped      uint64    `json:"dropped"`       // messages over the DHT dropped since the start, because the inbox was full
	Damaged      int       `json:"damaged"`       // records that cannot be read
	Full         bool      `json:"full"`
	Trouble      string    `json:"trouble,omitempty"` // why the inbox cannot be written or read
}

// Level returns how full the inbox is, from 0 to 1 or a little above.
func (i *Inbox) Level() float64 {
	if i.MaxMessages == 0 || i.MaxBytes == 0 {
		return 0
	}
	return max(float64(i.Messages)/float64(i.MaxMessages), float64(i.Bytes)/float64(i.MaxBytes))
}
