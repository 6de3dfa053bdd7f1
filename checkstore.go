package gamelan

import (
	"fmt"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// StoreReport says what the store of a data directory holds: the peers, and the
// inbox of a node that has one.
type StoreReport struct {
	peerstore.Report
	Inbox inbox.Report
}

// CheckStore looks at the store in a data directory that no node uses, and
// changes nothing: it says what Start will find, and whether Start will upgrade
// the store, after copying it. The error is the one that Start would report.
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
