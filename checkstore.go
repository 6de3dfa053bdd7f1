package gamelan

import (
	"fmt"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// StoreReport describes the store of a data directory: its peers, its inbox if it has one,
// the messages that the node keeps for others, and the records of the key-value DHT.
type StoreReport struct {
	peerstore.Report
	Inbox  InboxReport
	Stored StoredReport
	Kad    KVReport
}

// CheckStore checks the store in a data directory and changes nothing. No node may use the
// directory meanwhile. The report describes the store, and whether Start will copy and
// upgrade it. The error is the one that Start would return.
func CheckStore(dataDir string) (r StoreReport, err error) {
	var received inboxpart.Checker
	var stored store.Checker
	var records keep.Checker
	visit := func(key, value []byte) {
		received.Visit(key, value)
		stored.Visit(key, value)
		records.Visit(key, value)
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
	if r.Kad, err = records.Report(); err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	return r, nil
}
