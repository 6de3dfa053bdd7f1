package gamelan

import (
	"fmt"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/actors/saf/store"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// StoreReport describes the store of a data directory: its peers, its inbox if it has one,
// and the messages that the node keeps for others.
type StoreReport struct {
	peerstore.Report
	Inbox  InboxReport
	Stored StoredReport
}

// CheckStore checks the store in a data directory and changes nothing. No node may use the
// directory meanwhile. The report describes the store, and whether Start will copy and
// upgrade it. The error is the one that Start would return.
func CheckStore(dataDir string) (r StoreReport, err error) {
	var received inbox.Checker
	var stored store.Checker
	visit := func(key, value []byte) {
		received.Visit(key, value)
		stored.Visit(key, value)
	}
	if r.Report, err = peerstore.Check(filepath.Join(dataDir, kv.StoreDir), visit); err != nil {
		return r, fmt.Errorf("gamelan: peer store: %w", err)
	}
	if r.Inbox, err = received.Report(); err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	if r.Stored, err = stored.Report(); err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	return r, nil
}
