package overlay

import (
	"encoding/binary"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Overlay is one of the two networks that a client can belong to (spec: kad B1).
type Overlay uint8

// The overlays.
const (
	Native Overlay = iota // authenticated contacts, records that prove themselves
	Seed                  // anybody is a contact, any value is stored
)

// String returns the name in lower case.
func (o Overlay) String() string {
	if o == Seed {
		return "seed"
	}
	return "native"
}

// Verb says what a message is.
type Verb uint8

// The requests, and the answers. On the wire of the overlay Native every answer is a
// Reply, which does not say what it answers.
const (
	NoVerb    Verb = iota
	Ping           // are you there?
	FindNode       // who is near to Target?
	FindValue      // what is stored under Target, or else, who is near to it?
	Store          // store Record
	Pong           // I am
	Nodes          // these Contacts are near
	Value          // Record is what you asked for
	Reply          // answer of the overlay Native: Status, and anything of Contacts and Record
)

var verbNames = [...]string{"none", "ping", "find-node", "find-value", "store", "pong", "nodes", "value", "reply"}

// String returns the name in lower case.
func (v Verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return "unknown"
}

// IsRequest reports whether the message asks for an answer. A Store of the overlay Seed
// gets none.
func (v Verb) IsRequest() bool { return v >= Ping && v <= Store }

// Answers reports whether an answer v may be one to request.
func (v Verb) Answers(request Verb) bool {
	switch v {
	case Reply:
		return request.IsRequest()
	case Pong:
		return request == Ping
	case Nodes:
		return request == FindNode || request == FindValue
	case Value:
		return request == FindValue
	}
	return false
}

// RequestID connects an answer with its request. In the overlay Seed it has as many bytes
// as ids have, at the beginning; in Native it is a number, in the first eight bytes.
type RequestID [IDLen]byte

// RequestNumber returns the id of the request with number n of the overlay Native.
func RequestNumber(n uint64) (id RequestID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// Number is the reverse of [RequestNumber].
func (id RequestID) Number() uint64 { return binary.BigEndian.Uint64(id[:]) }

// Status is the outcome of a request in the overlay Native (spec: kad B11).
type Status uint32

// The statuses, with their numbers on the wire.
const (
	OK           Status = 0
	NotFound     Status = 1
	BadRequest   Status = 2
	RateLimited  Status = 3 // ask again after RetryAfter
	Quota        Status = 4 // the store is full
	NotClose     Status = 5 // Contacts are nearer to the key
	TooLarge     Status = 6
	BadSignature Status = 7 // or a hash that does not fit
	SeqTooLow    Status = 8 // Record is the newer one
	Unsupported  Status = 10
	Busy         Status = 11
	Expired      Status = 12 // or an expiry too far ahead
)

// String returns the name in lower case, and "status n" for an unknown one.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case NotFound:
		return "not found"
	case BadRequest:
		return "bad request"
	case RateLimited:
		return "rate limited"
	case Quota:
		return "quota"
	case NotClose:
		return "not close"
	case TooLarge:
		return "too large"
	case BadSignature:
		return "bad signature"
	case SeqTooLow:
		return "seq too low"
	case Unsupported:
		return "unsupported"
	case Busy:
		return "busy"
	case Expired:
		return "expired"
	}
	return "unknown status"
}

// Message is a message of either overlay. Fields that its Verb does not use are zero.
type Message struct {
	Verb   Verb
	ID     RequestID
	Sender ID // overlay Seed; in Native the key of the [Packet] says who sends

	// Of requests. Timeout, ReadOnly, Want and the fields Have… and Cached, TTL are of the
	// overlay Native only.
	Timeout     time.Duration // what remains of the asker's time; 0: unknown
	ReadOnly    bool          // the asker serves nobody: it is no contact
	Target      ID            // FindNode: an id; FindValue, and Value and Store of Seed: the key
	Want        int           // how many contacts are wanted; 0: as many as usual
	HaveSeq     uint64        // Ping: the stamp of the claim that the asker has; FindValue: its record's
	HaveExpires uint64        // FindValue: only a newer record is wanted
	Cached      bool          // Store: as a copy that is not replicated
	TTL         time.Duration // Store: the life asked for; 0: as long as usual

	// Record is what is to be stored, or what was found; otherwise nil.
	Record *Record

	// Of answers. All but Contacts are of the overlay Native only.
	Contacts   []Contact
	Skipped    int // contacts that were received and left out, because of their addresses
	Status     Status
	RetryAfter time.Duration
	Detail     string        // for people
	Granted    time.Duration // how long the record is stored
	Self       *Contact      // the answerer; nil: its claim is the one that the asker has
}

// Packet is a message with the address that it came from or goes to.
type Packet struct {
	Address   Address
	PublicKey identity.PublicKey // of the peer, if the gateway has authenticated it
	Message   Message
	Size      int // bytes on the wire; set by the gateway that received it
	// Substream numbers the way that a request came on, where an address has several one after
	// the other. Its answer goes there: on another one the asker has not asked.
	Substream uint64
}
