package assemble

import (
	"fmt"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/admitpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// storeOpener is a runtime that opens stores in its own way, for tests.
type storeOpener interface {
	OpenStore(dir string) (kv.DB, error)
}

func (b *builder) openStore() (err error) {
	if b.DataDir == "" {
		b.db = kv.Memory()
	} else {
		if err := checkDataDir(datadir.Make(b.DataDir, datadir.Group(b.DataDirGroup))); err != nil {
			return err
		}
		open := kv.OpenPebble
		if r, ok := b.Runtime.(storeOpener); ok {
			open = r.OpenStore
		}
		if b.db, err = open(filepath.Join(b.DataDir, kv.StoreDir)); err != nil {
			return fmt.Errorf("gamelan: peer store: %w", err)
		}
	}
	disk := b.disk()
	if disk == nil {
		disk = kv.Nothing()
	}
	b.store, err = peerstore.Open(disk, peerstore.Options{
		Self: b.Secret.NodeID(), MaxPeers: b.MaxPeers, TestAddresses: b.Wire.TestAddresses,
		Connected: b.connected, Now: b.Runtime.Wall(),
	})
	if err != nil {
		return fmt.Errorf("gamelan: peer store: %w", err)
	}
	if n := b.store.Damaged(); n > 0 {
		b.Logger.Warn("records of the peer store cannot be read; they are left as they are", "n", n)
	}
	return nil
}

// disk returns what outlives the node, nil if it keeps nothing on a disk.
func (b *builder) disk() kv.DB {
	if b.DataDir == "" {
		return nil
	}
	return b.db
}

// checkDataDir returns an error if other users can change the data directory, its files or
// its store.
func checkDataDir(d *datadir.Dir, err error) error {
	if err == nil {
		defer d.Close()
		err = d.CheckDir(kv.StoreDir)
	}
	if err != nil {
		return datadir.Error(err)
	}
	return nil
}

// connected reports whether a peer is connected. The store must not forget such peers.
func (b *builder) connected(id identity.NodeID) bool {
	if b.trunk == (trunk.Node{}) {
		return false // the store is still being opened
	}
	_, ok := b.trunk.Connections().Get(id)
	return ok
}

// openAdmission reads the list of admitted peers.
func (b *builder) openAdmission(n *Node) (err error) {
	s := admitpart.Settings{Only: b.Admission == config.AdmitListed, Ask: b.Admit, DB: b.db, Logger: b.Logger}
	for _, seed := range b.SeedPeers {
		s.Seeds = append(s.Seeds, seed.Key)
	}
	b.admission, err = admitpart.Open(s)
	n.Admission = b.admission
	return err
}

// openDHT loads the records of DHT messages that the node has seen.
func (b *builder) openDHT() error {
	if b.DHT == nil {
		return nil
	}
	var damaged int
	var err error
	if b.dedup, damaged, err = dhtpart.LoadDedup(b.db, b.DHT.DedupCapacity, b.Runtime.Wall()); err != nil {
		return fmt.Errorf("gamelan: messages that were seen: %w", err)
	}
	if damaged > 0 {
		b.Logger.Warn("records of messages that were seen cannot be read; such messages may be heard twice", "n", damaged)
	}
	return nil
}

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
