package saf

import "fmt"

// Refusal is the reason for which a message is not stored. The zero value is none: the
// message may be stored, or was.
type Refusal uint8

const (
	Repeated        Refusal = iota + 1 // a further copy of a message that was counted
	Empty                              // its body is empty
	Expired                            // past its expiry
	TooLong                            // its body is longer than Limits.Message
	OtherType                          // a message of the DHT itself
	Readable                           // not encrypted for somebody else
	Unsigned                           // has no signature
	ForUs                              // its destination is this node
	ForNobody                          // its destination is a key that nobody has
	OutsideRegion                      // its destination is too far from this node
	Banned                             // its destination is banned here
	AlreadyStored                      // an equal message is stored
	Full                               // only better messages could make way for it
	SourceFull                         // the same, of the messages of its source
	DestinationFull                    // the same, of the messages for its destination
	PairFull                           // the same, of the messages of its source for its destination
)

var refusals = [...]string{
	0:        "none",
	Repeated: "repeated", Empty: "empty", Expired: "expired", TooLong: "too long", OtherType: "message of the DHT",
	Readable: "not encrypted for somebody else", Unsigned: "unsigned", ForUs: "for this node", ForNobody: "for nobody",
	OutsideRegion: "outside the region", Banned: "destination banned", AlreadyStored: "already stored",
	Full: "store full", SourceFull: "source at its limit", DestinationFull: "destination at its limit",
	PairFull: "source at its limit for the destination",
}

// Refusals returns all reasons.
func Refusals() []Refusal {
	all := make([]Refusal, 0, len(refusals)-1)
	for r := Repeated; int(r) < len(refusals); r++ {
		all = append(all, r)
	}
	return all
}

// String returns the reason in words.
func (r Refusal) String() string {
	if int(r) < len(refusals) {
		return refusals[r]
	}
	return fmt.Sprintf("refusal %d", uint8(r))
}

// MarshalText returns the same text as [Refusal.String].
func (r Refusal) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
