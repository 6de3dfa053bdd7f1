package netsync

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Limits of what a node asks for and of how much it tolerates (spec: dht 10.1, V24, V25).
const (
	MaxClaims            = 5 // of a peer
	MaxAddressesPerClaim = 5
	// MaxBad is how many records with a bad signature or a malformed address are
	// skipped in one answer. One more is an offence.
	MaxBad = 5

	OpenLimit = 10 * time.Second // for the session with the server
	ItemLimit = 5 * time.Second  // for the first item, and for each further one
)

// Errors that end the reading of an answer. Those of bad data are causes of a
// [protocol.Violation].
var (
	ErrTooManyPeers  = errors.New("netsync: more peers than asked for")
	ErrBadItem       = errors.New("netsync: item does not decode")
	ErrPeerTwice     = errors.New("netsync: the same peer twice")
	ErrBadPeers      = errors.New("netsync: too many bad peers")
	ErrStalled       = errors.New("netsync: the answer stalled")
	ErrStatus        = errors.New("netsync: refused")
	ErrServerFailing = errors.New("netsync: the server breaks the protocol")
)

// Record is the result of one item of an answer.
type Record uint8

// The results of an item. All but New and Newer are skipped.
const (
	New      Record = iota // of a peer that we did not know
	Newer                  // has a newer claim of a known peer
	Known                  // has no newer claim
	Own                    // of this node itself
	Unusable               // valid or possibly valid, and of no use to us
	Bad                    // has a bad signature or a malformed address
)

var recordNames = [...]string{"new", "newer", "known", "own", "unusable", "bad"}

// String returns the result in a word.
func (r Record) String() string {
	if int(r) < len(recordNames) {
		return recordNames[r]
	}
	return fmt.Sprintf("record %d", uint8(r))
}

// Asking says what is read and from whom.
type Asking struct {
	Self identity.PublicKey
	N    int // number of peers that were asked for
	// Connected says that the server was connected before this node chose it. Such a
	// server is banned for bad data only.
	Connected bool
	// Known returns the date of the claim that the node has of a peer, and whether it
	// knows the peer at all. The date of a peer without a claim is negative.
	Known func(identity.PublicKey) (updatedAt int64, ok bool)
	Rules discovery.Rules // for the claims
}

// Reading is the state of one answer that is being read. It verifies one signature for
// each item at most, and only of claims that are newer than what the node has.
type Reading struct {
	Asking
	Counts [Bad + 1]int // items by their result

	opened bool
	items  int
	seen   map[identity.PublicKey]struct{}
}

// NewReading returns a Reading before the first item.
func NewReading(a Asking) *Reading {
	return &Reading{Asking: a, seen: make(map[identity.PublicKey]struct{})}
}

// Request returns the request for the answer.
func (r *Reading) Request(clients bool) wire.GetPeers {
	return wire.GetPeers{N: uint32(r.N), IncludeClients: clients, MaxClaims: MaxClaims, MaxAddressesPerClaim: MaxAddressesPerClaim}
}

// Opened reports that the session is open and the request about to be sent. Before that
// nothing is the server's fault.
func (r *Reading) Opened() { r.opened = true }

// Item interprets an item. The claim is set for New and Newer records; it shares nothing
// with b. An error is a [protocol.Violation], and ends the reading.
func (r *Reading) Item(now time.Time, b []byte) (c identity.Claim, result Record, err error) {
	if r.items++; r.items > r.N {
		return c, Bad, offence(fmt.Errorf("%w: %d", ErrTooManyPeers, r.N))
	}
	p, err := wire.DecodePeerInfo(b)
	if err != nil {
		return c, Bad, offence(fmt.Errorf("%w: %w", ErrBadItem, err))
	}
	if len(p.Key) != len(identity.PublicKey{}) {
		return c, Bad, offence(fmt.Errorf("%w: key of %d bytes", ErrBadItem, len(p.Key)))
	}
	key := identity.PublicKey(p.Key)
	if _, ok := r.seen[key]; ok {
		return c, Bad, offence(fmt.Errorf("%w: %s", ErrPeerTwice, key.Short()))
	}
	r.seen[key] = struct{}{}
	c, result, err = r.record(now, key, p)
	if err != nil && result != Bad {
		return c, Bad, offence(fmt.Errorf("%w: %w", ErrBadItem, err))
	}
	r.Counts[result]++
	if r.Counts[Bad] > MaxBad {
		return c, Bad, offence(fmt.Errorf("%w: %d, the last one: %w", ErrBadPeers, r.Counts[Bad], err))
	}
	return c, result, nil
}

// record interprets the record of a peer. An error of a Bad one is its reason; any other
// means that the item is none.
func (r *Reading) record(now time.Time, key identity.PublicKey, p wire.PeerInfo) (c identity.Claim, result Record, err error) {
	if key == r.Self {
		return c, Own, nil
	}
	if len(p.Claims) > MaxClaims {
		return c, Bad, fmt.Errorf("%d claims", len(p.Claims))
	}
	known, old := r.Known(key)
	if !old {
		if _, err := identity.PublicKeyFromBytes(p.Key); err != nil {
			return c, New, err
		}
	}
	newest, err := newest(p.Claims)
	switch {
	case err != nil:
		return c, Bad, err
	case newest == nil, len(newest.Addresses) == 0, unfamiliar(newest):
		return c, Unusable, nil
	case old && newest.Signature.UpdatedAt <= known:
		return c, Known, nil
	}
	p.Claims = []wire.PeerClaim{*newest}
	claims, err := p.SignedClaims()
	if err != nil {
		return c, Bad, err
	}
	c, err = r.Rules.Check(key, claims, now)
	if refused, ok := errors.AsType[*discovery.ClaimError](err); ok {
		if refused.Fault == discovery.BadDate || !refused.Fault.Offence() { // of a bad date our own clock may be the cause
			return c, Unusable, nil
		}
		return c, Bad, err
	}
	if old {
		return c, Newer, nil
	}
	return c, New, nil
}

// newest returns the newest claim, which is the only one that the store would keep. Servers
// may repeat a claim (spec: dht Q12).
func newest(claims []wire.PeerClaim) (newest *wire.PeerClaim, err error) {
	for i := range claims {
		c := &claims[i]
		switch {
		case c.Signature == nil:
			return nil, errors.New("a claim without signature")
		case newest == nil || c.Signature.UpdatedAt > newest.Signature.UpdatedAt:
			newest = c
		}
	}
	return newest, nil
}

// unfamiliar reports whether a claim may be valid by the rules of another release.
func unfamiliar(c *wire.PeerClaim) bool {
	return !identity.Features(c.Features).Valid() || c.Signature.Version > math.MaxUint8
}

// End returns why the reading ended, for the error of the call, or nil when the answer is
// complete. The error is a [protocol.Violation] if the server must be banned.
//
// A stall is nobody's offence: a slow server, a slow network and this node with too much
// to do look alike.
func (r *Reading) End(err error) error {
	var violation *protocol.Violation
	var status *rpc.Error
	var rejected *rpc.RejectedError
	switch {
	case err == nil, errors.As(err, &violation), errors.Is(err, ErrStalled), errors.As(err, &rejected),
		errors.Is(err, rpc.Timeout), errors.Is(err, Busy), !r.opened, r.Connected:
		return err
	case errors.As(err, &status):
		return protocol.Violated("dht", protocol.BanMedium, fmt.Errorf("%w: %w", ErrStatus, err))
	case errors.Is(err, rpc.ErrProtocol), errors.Is(err, frame.ErrTooLong):
		return protocol.Violated("dht", protocol.BanLong, fmt.Errorf("%w: %w", ErrServerFailing, err))
	}
	return err
}

func offence(err error) error { return protocol.Violated("dht", protocol.BanLong, err) }
