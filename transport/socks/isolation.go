package socks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Isolation chooses which dials share a pair of user name and password. Tor builds circuits
// for each pair; another proxy that wants no credentials ignores it.
type Isolation uint8

// The kinds of isolation.
const (
	// PerPeer gives each peer a pair ([transport.WithPeer]), and a dial of no known peer
	// one for its address.
	PerPeer Isolation = iota
	// PerDial gives each dial a pair.
	PerDial
	// NoIsolation sends no credentials.
	NoIsolation
)

// isolationUser is the user name of every pair. Tor reserves names that begin with <torS0X>.
const isolationUser = "gamelan"

const (
	freshAfter  = 2     // failures of one address in a row, after which its pair changes
	maxTroubled = 1_024 // addresses whose failures are remembered; beyond, the oldest is forgotten
)

// pairs makes the user names and passwords. A password says nothing about its peer to those
// who do not know the secret.
type pairs struct {
	kind   Isolation
	secret [32]byte

	mu       sync.Mutex
	dials    uint64
	troubled *lru.Map[string, trouble] // by address
}

// trouble is what is remembered about an address that could not be dialled.
type trouble struct {
	inARow     int // failures
	generation uint64
}

func newPairs(kind Isolation, secret [32]byte) *pairs {
	return &pairs{kind: kind, secret: secret, troubled: lru.New[string, trouble](maxTroubled)}
}

// credentials returns the pair for a dial of the peer, "" if it is not known, at the address.
func (p *pairs) credentials(peer, addr string) Credentials {
	if p.kind == NoIsolation {
		return Credentials{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key, number := "peer "+peer, uint64(0)
	switch {
	case p.kind == PerDial:
		p.dials++
		key, number = "dial", p.dials
	default:
		if peer == "" {
			key = "address " + addr
		}
		if t := p.troubled.Get(addr); t != nil {
			number = t.generation
		}
	}
	h := hmac.New(sha256.New, p.secret[:])
	h.Write(binary.BigEndian.AppendUint64(nil, number))
	h.Write([]byte(key))
	return Credentials{User: isolationUser, Password: hex.EncodeToString(h.Sum(nil)[:16])}
}

// ended records how a dial of the address has ended, and returns how many have failed in a
// row.
func (p *pairs) ended(addr string, worked bool) (failures int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if worked {
		if t := p.troubled.Get(addr); t != nil {
			t.inARow = 0
		}
		return 0
	}
	t := p.troubled.Keep(addr)
	if t.inARow++; t.inARow%freshAfter == 0 {
		t.generation++
	}
	return t.inARow
}
