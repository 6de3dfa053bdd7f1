package inspect

import "time"

// Inbox is how the durable inbox of a node is: the field inbox of the section
// "node".
type Inbox struct {
	Messages     int       `json:"messages"` // that nobody has acknowledged
	MaxMessages  int       `json:"max_messages"`
	Bytes        int64     `json:"bytes"` // on the disk, with what is known of each message
	MaxBytes     int64     `json:"max_bytes"`
	OldestAt     time.Time `json:"oldest_at,omitzero"`
	InHand       int       `json:"in_hand"`       // of the messages, with a listener
	Waiting      int       `json:"waiting"`       // that have no room, and keep their sender's credit
	WaitingBytes int64     `json:"waiting_bytes"` //
	Listeners    int       `json:"listeners"`     // that share the messages
	Copies       int       `json:"copies"`        // that copy all of them
	Received     uint64    `json:"received"`      // since the start
	Acknowledged uint64    `json:"acknowledged"`  // since the start
	Dropped      uint64    `json:"dropped"`       // over the DHT, since the start, because the inbox was full
	Damaged      int       `json:"damaged"`       // records that cannot be read
	Full         bool      `json:"full"`
	Trouble      string    `json:"trouble,omitempty"` // why it cannot be written or read
}

// Level is how full the inbox is, from 0 to 1 or a little above.
func (i *Inbox) Level() float64 {
	if i.MaxMessages == 0 || i.MaxBytes == 0 {
		return 0
	}
	return max(float64(i.Messages)/float64(i.MaxMessages), float64(i.Bytes)/float64(i.MaxBytes))
}
