package gamelan

import (
	"fmt"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// StoreReport describes the store of a data directory: its peers, and its inbox if it has
// one.
type StoreReport struct {
	peerstore.Report
	Inbox inbox.Report
}

// CheckStore checks the store in a data directory and changes nothing. No node may use the
// directory meanwhile. The report describes the store, and whether Start will copy and
// upgrade it. The error is the one that Start would return.
func CheckStore(dataDir string) (r StoreReport, err error) {
	var c inbox.Checker
	if r.Report, err = peerstore.Check(filepath.Join(dataDir, kv.StoreDir), c.Visit); err != nil {
		return r, fmt.Errorf("gamelan: peer store: %w", err)
	}
	if r.Inbox, err = c.Report(); err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	return r, nil
}
