package base

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Summary logs warnings that peers cause, at a rate that peers cannot raise: the first one
// at once, and then once a minute the number of further ones, with the last of them. An
// actor that has a Summary handles SummaryDue.
type Summary struct {
	What string // log message of the first warning
	due  *supervisor.Timer
	n    int   // warnings since the last log record
	last []any // what the last warning said
}

// SummaryDue reports the end of a minute of one Summary to its actor.
type SummaryDue struct{ of *Summary }

// summaryEvery is how often the number of further warnings is logged.
const summaryEvery = time.Minute

// Say logs a warning, or counts it for the next summary, which has the peer, the error and
// the attributes of the last one. A zero peer is left out. Say reports whether it has logged.
func (s *Summary) Say(c actor.Context, peer identity.NodeID, err error, attrs ...any) bool {
	var about []any
	if !peer.IsZero() {
		about = append(about, "peer", peer)
	}
	about = append(append(about, "err", err), attrs...)
	if s.due == nil {
		supervisor.Log(c).Warn(s.What, about...)
		s.due = supervisor.After(c, summaryEvery, SummaryDue{s})
		return true
	}
	s.n++
	s.last = about
	return false
}

// Tell logs how many further warnings the last minute had. If it had none, the next
// warning counts as a first one again.
func (d SummaryDue) Tell(c actor.Context) {
	s := d.of
	s.due = nil
	if s.n == 0 {
		return
	}
	supervisor.Log(c).Warn(s.What+": more within a minute", append([]any{"n", s.n}, s.last...)...)
	s.n, s.last = 0, nil
	s.due = supervisor.After(c, summaryEvery, SummaryDue{s})
}

// Is reports whether this is of the Summary s.
func (d SummaryDue) Is(s *Summary) bool { return d.of == s }
