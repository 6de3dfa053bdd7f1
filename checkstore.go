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

// InboxReport is what [CheckStore] says of the inbox.
type InboxReport struct {
	Schema   int // schema version of the records; 0: the store has no inbox yet
	Current  int // schema version that this release writes
	Messages int
	Bytes    int64 // of all records
	Damaged  int   // records that cannot be read; a node leaves them as they are
}

// StoredReport is what [CheckStore] says of the messages that are stored for others.
type StoredReport struct {
	Schema   int // schema version of the entries; 0: the store has no messages yet
	Current  int // schema version that this release writes
	Messages int
	Bytes    int64 // of all entries
	Damaged  int   // messages that cannot be read, or not all of them; a node deletes them
}

// KVReport is what [CheckStore] says of the entries of all clients of the key-value DHT.
type KVReport struct {
	Schema   int   // schema version of the entries; 0: there are none yet
	Current  int   // schema version that this release writes
	Clients  int   // of which there are entries
	Records  int   // of others
	Own      int   // publications
	Contacts int   // former ones included
	Bytes    int64 // of all entries
	Damaged  int   // entries that cannot be read; a node deletes them
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
	inbox, err := received.Report()
	if err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	messages, err := stored.Report()
	if err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	kad, err := records.Report()
	if err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	r.Inbox, r.Stored, r.Kad = InboxReport(inbox), StoredReport(messages), KVReport(kad)
	return r, nil
}
