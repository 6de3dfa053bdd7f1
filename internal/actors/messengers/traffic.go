package messengers

import (
	"slices"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// The kinds of messages, of which each has a protocol of its own.
const (
	KindPlain    = "plain"    // those that are sent straight to a peer
	KindDHT      = "dht"      // of the DHT
	KindOutcomes = "with-ids" // those whose outcome says more than that they were read, and those with a topic
	KindAnswers  = "answers"  // what became of these
)

// Kinds are the kinds of messages.
var Kinds = []string{KindPlain, KindDHT, KindOutcomes, KindAnswers}

// Traffic counts the messages of one kind since the node's start, and their bytes.
type Traffic struct {
	Kind                    string
	MessagesIn, MessagesOut uint64
	BytesIn, BytesOut       uint64 // of the bodies in, of the frames out
}

// traffic counts messages. Those who read and write substreams add to it.
type traffic struct {
	in  flow
	_   [48]byte // the two directions are counted on different goroutines
	out flow
}

type flow struct{ messages, bytes atomic.Uint64 }

// Traffic returns what was sent and received of each kind.
func (r *Room) Traffic() []Traffic {
	var all []Traffic
	for _, kind := range Kinds {
		m := r.ofKind(kind)
		if m == nil { // the node has none
			continue
		}
		t := &m.traffic
		all = append(all, Traffic{
			Kind: kind, MessagesIn: t.in.messages.Load(), MessagesOut: t.out.messages.Load(),
			BytesIn: t.in.bytes.Load(), BytesOut: t.out.bytes.Load(),
		})
	}
	return all
}

func (r *Room) ofKind(kind string) *Messaging {
	return map[string]*Messaging{KindPlain: r.Plain, KindDHT: r.Frames, KindOutcomes: r.Outcomes, KindAnswers: r.Answers}[kind]
}

// SendTook returns how many confirmed messages took how long, by [durations.Bounds], and the sum in seconds. Only
// those are timed that were sent from outside an actor.
func (r *Room) SendTook() (counts []uint64, sum float64) {
	return r.ended.took.Read()
}

// EndedFor counts the messages of the program that have ended in one way.
type EndedFor struct {
	Kind   protocol.OutcomeKind
	Reason protocol.Reason
	Count  uint64
}

// usual are the ends that are told of even when there was none of them: a counter that has been there at
// 0 shows its first step.
var usual = map[protocol.OutcomeKind][]protocol.Reason{
	protocol.Confirmed: {protocol.ReasonNone},
	protocol.InDoubt:   {protocol.ConnectionLost, protocol.Expired, protocol.Closed},
	protocol.Failed: {
		protocol.NoPeer, protocol.Banned, protocol.DialFailed, protocol.Refused, protocol.TooLong, protocol.Overloaded, protocol.Expired,
		protocol.Closed, protocol.NotTaken, protocol.NotAdmitted,
	},
}

// SentFor returns how the messages of the program have ended since the start, by reason.
func (r *Room) SentFor() (all []EndedFor) {
	for kind := protocol.Confirmed; kind <= protocol.Failed; kind++ {
		for reason := range r.ended.reasons[kind] {
			is := EndedFor{kind, protocol.Reason(reason), r.ended.reasons[kind][reason].Load()}
			if kind == protocol.Confirmed && is.Reason == protocol.ReasonNone {
				is.Count = r.Sent().Confirmed
			}
			if is.Count > 0 || slices.Contains(usual[kind], is.Reason) {
				all = append(all, is)
			}
		}
	}
	return all
}

// maxReasons is greater than every protocol.Reason.
const maxReasons = 16
