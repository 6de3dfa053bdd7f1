package gamelan

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The most files that a node has open, beside those of its inbound connections.
const (
	outboundFiles = 80 // above 50 idle ones are closed once a minute
	storeFiles    = 300
	otherFiles    = 60 // the API's clients, resolvers, the log, the runtime
)

// filesNeeded returns how many files a node with these limits may have open.
func filesNeeded(s *settled) uint64 {
	n := s.MaxInbound + s.MaxSetups + s.MaxDials + outboundFiles + otherFiles + len(s.listen)
	if s.DataDir != "" {
		n += storeFiles
	}
	return uint64(n)
}

// filesWarning returns a warning if a process that may have most files open cannot have as many as
// its limits need. most 0 is unknown.
func filesWarning(need, most uint64) models.Notices {
	if most == 0 || most >= need {
		return nil
	}
	return models.Notices{codes.FewFiles.Notice(fmt.Sprintf("this process may have %s open, and the limits of its connections need %s", inspect.Count(most, "file"), inspect.Number(need)))}
}
