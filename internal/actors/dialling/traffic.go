package dialling

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/transport"
)

// The results of dials.
const (
	ResultConnected = "connected"
	ResultCancelled = "cancelled" // nobody wanted the connection any more
	ResultFailed    = "failed"
)

// Results are the results of dials, and Stages where one can fail. StageNone is that of a dial that has not failed,
// and StageNothing of one that had no address to try.
var (
	Results = []string{ResultConnected, ResultCancelled, ResultFailed}
	Stages  = []string{
		StageNone, StageNothing, string(transport.StageAddress), string(transport.StageResolve), string(transport.StageProxy), string(transport.StageConnect),
		string(upgrade.StageWire), string(upgrade.StageNoise), string(upgrade.StageKey), string(upgrade.StageIdentity), string(upgrade.StageMux),
	}
)

const (
	StageNone    = "none"
	StageNothing = "nothing tried"
)

// Ended counts the dials that have ended in one way.
type Ended struct {
	Result, Stage string
	Count         uint64
}

// ended counts dials since the node's start. The actor dialer writes it.
type ended struct {
	mu sync.Mutex
	of map[Ended]uint64 // by Result and Stage
}

// add counts a dial. attempts are those that say something of their addresses.
func (e *ended) add(err error, cancelled bool, attempts []actors.DialAttempt) {
	k := Ended{Result: ResultConnected, Stage: StageNone}
	switch {
	case err == nil:
	case cancelled:
		k.Result = ResultCancelled
	default:
		k.Result, k.Stage = ResultFailed, StageNothing
		if n := len(attempts); n > 0 {
			k.Stage = attempts[n-1].Stage
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = make(map[Ended]uint64)
	}
	e.of[k]++
}

// Ended returns how dials have ended since the node's start. A dial of a peer may try several addresses; it
// counts for the stage at which the last one failed.
func (r *Room) Ended() (all []Ended) {
	r.ended.mu.Lock()
	defer r.ended.mu.Unlock()
	for _, result := range Results {
		for _, stage := range Stages {
			n := r.ended.of[Ended{Result: result, Stage: stage}]
			always := result != ResultFailed && stage == StageNone || result == ResultFailed && stage == string(transport.StageConnect)
			if n > 0 || always {
				all = append(all, Ended{result, stage, n})
			}
		}
	}
	return all
}
