package saf

import "fmt"

// Skip is why a message of a response is not delivered although the server has committed
// no offence.
type Skip uint8

const (
	SkipDuplicate     Skip = iota // delivered already, or twice in the response
	SkipUndecryptable             // for us, but it does not decrypt
	SkipBadBody                   // its content is no message of an application
	SkipOld                       // it expired over [dht.StoredLife] ago
	skips
)

// Skips counts messages by why they were skipped.
type Skips [skips]int

var skipTexts = [skips]string{
	SkipDuplicate:     "delivered before",
	SkipUndecryptable: "undecryptable", SkipBadBody: "bad body", SkipOld: "expired long ago",
}

// String returns the reason in words, for instance "delivered before".
func (s Skip) String() string {
	if s < skips {
		return skipTexts[s]
	}
	return fmt.Sprintf("skip %d", uint8(s))
}

// Sum returns how many messages were skipped.
func (s Skips) Sum() (n int) {
	for _, k := range s {
		n += k
	}
	return n
}
