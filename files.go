package gamelan

import "github.com/gamelan-p2p/gamelan/config"

// The most files that a node has open, beside those of its inbound connections.
const (
	outboundFiles = 80 // above 50 idle ones are closed once a minute
	storeFiles    = 300
	otherFiles    = 60 // the API's clients, resolvers, the log, the runtime
)

// filesNeeded returns how many files a node with these limits may have open.
func filesNeeded(s *config.Settled) uint64 {
	n := s.MaxInbound + s.MaxSetups + s.MaxDials + outboundFiles + otherFiles + len(s.ListenOn)
	if s.DataDir != "" {
		n += storeFiles
	}
	return uint64(n)
}
