package peerstore

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// part is a run of adjacent records of the store.
type part struct {
	raw     []byte // keys and values, one after the other
	ends    []int  // of each key and each value
	peers   []*Peer
	damaged int
}

// partSize is how many records are decoded together.
const partSize = 2000

// readParts reads and decodes all records. Decoding takes most of the time, so it runs
// on all processors.
func readParts(db kv.DB) ([]*part, error) {
	var parts []*part
	var decoding sync.WaitGroup
	p := &part{}
	flush := func() {
		if len(p.ends) == 0 {
			return
		}
		size := len(p.raw) // decode sets raw to nil
		parts = append(parts, p)
		decoding.Go(p.decode)
		p = &part{raw: make([]byte, 0, size+size/4), ends: make([]int, 0, 2*partSize)}
	}
	entries, scanErr := db.Scan([]byte{keyPrefix})
	for key, value := range entries {
		p.raw = append(p.raw, key...)
		p.ends = append(p.ends, len(p.raw))
		p.raw = append(p.raw, value...)
		p.ends = append(p.ends, len(p.raw))
		if len(p.ends) == 2*partSize {
			flush()
		}
	}
	flush()
	decoding.Wait()
	return parts, scanErr()
}

func (p *part) decode() {
	shared := newShared()
	p.peers = make([]*Peer, 0, len(p.ends)/2)
	start := 0
	for i := 0; i < len(p.ends); i += 2 {
		key, value := p.raw[start:p.ends[i]], p.raw[p.ends[i]:p.ends[i+1]]
		start = p.ends[i+1]
		var peer *Peer
		id, err := identity.NodeIDFromBytes(key[1:])
		if err == nil {
			peer, err = decodeRecord(value, id, shared)
		}
		if err != nil {
			p.damaged++
			continue
		}
		p.peers = append(p.peers, peer)
	}
	p.raw, p.ends = nil, nil
}
