package outcomepart

import "context"

// section is the content of the section "outcomes".
type section struct {
	Sending   int    `json:"sending" rank:"1"`   // messages that have no outcome yet
	Senders   int    `json:"senders"`            // epochs of peers, each with a book of what it has sent
	Open      int    `json:"open"`               // messages of peers that are not handled or dropped
	Bytes     int64  `json:"bytes" rank:"1"`     // of all books
	MaxBytes  int64  `json:"max_bytes" rank:"3"` // of all books; beyond that, who has most loses one
	Forgotten uint64 `json:"forgotten"`          // books for which there was no room, since the start: copies of their messages are in doubt
}

func (o *Outcomes) section(context.Context) any {
	s := section{Sending: int(o.sending.Load()), MaxBytes: booksBytes}
	o.books.mu.Lock()
	defer o.books.mu.Unlock()
	s.Bytes, s.Forgotten = o.books.size, o.books.evicted
	for _, of := range o.books.of {
		s.Senders += len(of)
		for _, k := range of {
			s.Open += k.Len()
		}
	}
	return s
}
