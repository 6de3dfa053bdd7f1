package safpart

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// ServerState is the state of what is stored for others.
type ServerState struct {
	saf.IndexStats
	Limits    saf.Limits
	Requests  saf.RequestStats
	Most      []saf.Share // destinations with the most bytes, at most 10
	Region    saf.RegionStats
	Visits    int    // peers that were connected lately and are remembered
	Late      uint64 // messages that were not stored because the disk was slow or has failed
	Damaged   int    // entries of the disk that could not be read and were deleted
	Unwritten int64  // bytes that wait for the disk
	Answers   int    // under way
	Waiting   int    // requests that wait for other answers to end
	Dropped   uint64 // requests that had waited for too long
	GaveUp    uint64 // answers that did not move for 3 s while others waited
	Ended     uint64 // requests whose answers a restart of the actor has prevented
	Loading   bool   // what is stored is being read
	Full      bool   // see Trouble
	Err       error  // of the last load or write
}

// mostShares is how many destinations a state lists.
const mostShares = 10

func (k *keeper) state(actor.Context) ServerState {
	s := ServerState{
		Limits: k.f.Limits, Requests: k.requests.Stats(), Late: k.f.kept.late, Damaged: k.f.kept.damaged,
		Unwritten: k.bytes, Answers: len(k.answers), Waiting: len(k.waiting) + k.refused, Dropped: k.f.kept.dropped,
		GaveUp: k.f.kept.gaveUp, Ended: k.f.kept.ended, Loading: k.index == nil, Err: k.err,
	}
	s.Refused = make(map[saf.Refusal]uint64)
	if k.index != nil {
		s.IndexStats, s.Full = k.index.Stats(), k.index.Full()
		s.Most = k.index.Destinations(mostShares)
		s.Region, s.Visits = k.rules.Region.Stats(), k.visits.Len()
	}
	for _, r := range saf.Refusals() {
		if n := k.f.kept.refused[r]; n > 0 {
			s.Refused[r] += n
		}
	}
	return s
}
