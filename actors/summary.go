package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Summary has the log say warnings that peers cause, at a pace that they do not
// choose: the first one at once, and then once a minute how many there were, with
// the last of them. An actor that has one, or several, handles SummaryDue.
type Summary struct {
	What string // the message of the first one
	due  *supervisor.Timer
	n    int             // since the log has said it
	peer identity.NodeID // of the last one
	err  error
}

// SummaryDue is the end of a minute of one Summary.
type SummaryDue struct{ of *Summary }

// summaryEvery is how often the log says how many there were.
const summaryEvery = time.Minute

// Say notes one. The attributes go with the first one alone.
func (s *Summary) Say(c actor.Context, peer identity.NodeID, err error, attrs ...any) {
	if s.due == nil {
		supervisor.Log(c).Warn(s.What, append([]any{"peer", peer, "err", err}, attrs...)...)
		s.due = supervisor.After(c, summaryEvery, SummaryDue{s})
		return
	}
	s.n++
	s.peer, s.err = peer, err
}

// Tell sums up the last minute; a minute without any ends it.
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
