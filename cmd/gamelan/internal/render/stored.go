package render

import "github.com/gamelan-p2p/gamelan/inspect"

// StoreMeaning says what a message to be stored may come to.
const StoreMeaning = "A neighbour that stores it gives it to the receiver when that is back and asks: usually for up to 3 days if it knows the receiver, and for 6 hours if not. Neither is promised, and no receipt comes back."

// promise says, for messages that nodes were asked to store, where they went and what that
// means.
func (p *Reports) promise() {
	if p.direct > 0 {
		p.o.Note("%s went to the receiver itself, which is connected, and to nobody else.", inspect.Count(p.direct, "message"))
	}
	if p.toStore > 0 && p.missed < p.messages {
		p.o.Note("%s", StoreMeaning)
	}
}
