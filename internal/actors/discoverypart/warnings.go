package discoverypart

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// warnings returns a warning if no seed answers: those that were asked have not, and none is connected.
func (d *Discovery) warnings() models.Notices {
	s := d.State().Sync
	var last dht.SeedState
	for _, seed := range s.Seeds {
		if _, connected := d.trunk.Connection(seed.Peer); connected || seed.Answered {
			return nil
		}
		if seed.At.After(last.At) {
			last = seed
		}
	}
	switch {
	case len(s.Seeds) == 0 && s.SeedTrouble != "":
		n := codes.SeedNames.Notice(s.SeedTrouble)
		n.What, n.Step, _ = strings.Cut(s.SeedTrouble, "; ")
		return models.Notices{n}
	case last.At.IsZero():
		return nil
	}
	ago := words.Long(d.trunk.Now().Sub(last.At))
	why := words.Sentence(last.Err)
	if where, err := trunk.LastTried(last.Err); where != "" {
		_, why, _ = trunk.Because(err, where)
	}
	if len(s.Seeds) == 1 {
		return models.Notices{codes.SeedsSilent.Notice(fmt.Sprintf("the seed has not answered, %s ago: %s", ago, why))}
	}
	return models.Notices{codes.SeedsSilent.Notice(fmt.Sprintf("none of %s has answered, the last %s ago: %s", inspect.Count(uint64(len(s.Seeds)), "seed"), ago, why))}
}
