package actors

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
	n    int             // warnings since the last log record
	peer identity.NodeID // of the last warning
	err  error
}

// SummaryDue reports the end of a minute of one Summary to its actor.
type SummaryDue struct{ of *Summary }

// summaryEvery is how often the number of further warnings is logged.
const summaryEvery = time.Minute

// Say logs a warning, or counts it for the next summary. Only the first warning is logged
// with the attributes.
func (s *Summary) Say(c actor.Context, peer identity.NodeID, err error, attrs ...any) {
	if s.due == nil {
		supervisor.Log(c).Warn(s.What, append([]any{"peer", peer, "err", err}, attrs...)...)
		s.due = supervisor.After(c, summaryEvery, SummaryDue{s})
		return
	}
	s.n++
	s.peer, s.err = peer, err
}

// Tell logs how many further warnings the last minute had. If it had none, the next
// warning counts as a first one again.
func (d SummaryDue) Tell(c actor.Context) {
	s := d.of
	s.due = nil
	if s.n == 0 {
		return
	}
	supervisor.Log(c).Warn(s.What+": more within a minute", "n", s.n, "peer", s.peer, "err", s.err)
	s.n, s.err = 0, nil
	s.due = supervisor.After(c, summaryEvery, SummaryDue{s})
}
