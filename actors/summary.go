package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// summary has the log say warnings that peers cause, at a pace that they do not
// choose: the first one at once, and then once a minute how many there were, with
// the last of them. An actor that has one handles summaryDue.
type summary struct {
	what string // the message of the first one
	due  *supervisor.Timer
	n    int             // since the log has said it
	peer identity.NodeID // of the last one
	err  error
}

// summaryDue is the end of a minute.
type summaryDue struct{}

// summaryEvery is how often the log says how many there were.
const summaryEvery = time.Minute

// say notes one. The attributes go with the first one alone.
func (s *summary) say(c actor.Context, peer identity.NodeID, err error, attrs ...any) {
	if s.due == nil {
		supervisor.Log(c).Warn(s.what, append([]any{"peer", peer, "err", err}, attrs...)...)
		s.due = supervisor.After(c, summaryEvery, summaryDue{})
		return
	}
	s.n++
	s.peer, s.err = peer, err
}

// tell sums up the last minute; a minute without any ends it.
func (s *summary) tell(c actor.Context) {
	s.due = nil
	if s.n == 0 {
		return
	}
	supervisor.Log(c).Warn(s.what+": more within a minute", "n", s.n, "peer", s.peer, "err", s.err)
	s.n, s.err = 0, nil
	s.due = supervisor.After(c, summaryEvery, summaryDue{})
}
