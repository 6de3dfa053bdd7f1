package peerstore

import (
	"strings"
	"time"
	"unicode/utf8"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of one record. Identity messages and claims that were accepted are
// below them (spec: comms 7.4); they bound what other callers can store.
const (
	maxText           = 256 // bytes of a reason or a user agent
	maxProtocols      = 64
	maxProtocolLen    = 255 // bytes
	maxClaimAddresses = 32
	maxAddressLen     = 512 // bytes
)

// forever is the latest time that the store can hold.
var forever = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// moment converts a time to the form of the store: milliseconds, UTC, no monotonic
// reading.
func moment(t time.Time) time.Time {
	switch {
	case t.IsZero():
		return time.Time{}
	case t.After(forever):
		return forever
	case t.Before(time.Unix(0, 0)):
		return time.Unix(0, 0).UTC()
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// printable makes text from a peer safe for logs and records: at most maxText bytes,
// with blanks in place of control characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

// clean returns p in the form for the store: times converted, texts cut, and only
// addresses that may be kept. It shares no slice with p.
func clean(p Peer, testAddresses bool) Peer {
	p.AddedAt, p.BannedUntil, p.BannedAt = moment(p.AddedAt), moment(p.BannedUntil), moment(p.BannedAt)
	if p.BannedUntil.IsZero() {
		p.BannedAt = time.Time{}
	}
	p.BanReason = printable(p.BanReason)
	p.UserAgent = cut(p.UserAgent, maxText)
	given := p.Addresses
	p.Addresses = make([]Address, 0, min(len(given), MaxAddresses))
	for _, a := range given {
		if !keep(a, testAddresses) {
			continue
		}
		a.LastSeen, a.LastAttempted = moment(a.LastSeen), moment(a.LastAttempted)
		a.LastFailure = printable(a.LastFailure)
		a.Attempts = min(max(a.Attempts, 0), maxAttempts)
		a.DialTime, a.Latency = a.DialTime.clean(), a.Latency.clean()
		if i := find(p.Addresses, a.Addr); i >= 0 {
			p.Addresses[i].merge(a)
			continue
		}
		p.Addresses = append(p.Addresses, a)
	}
	var ids []protocol.ID
	for _, id := range p.Protocols[:min(len(p.Protocols), maxProtocols)] {
		if len(id) <= maxProtocolLen {
			ids = append(ids, id)
		}
	}
	p.Protocols = ids
	if p.Claim != nil && (p.Claim.Key != p.Key || len(p.Claim.Addresses) > maxClaimAddresses || tooLong(p.Claim.Addresses)) {
		p.Claim = nil
	}
	return p
}

// keep reports whether the address may be stored. An address that a peer claims must
// be external, unless test addresses are allowed (V4). A configured one only needs to
// be well formed.
func keep(a Address, testAddresses bool) bool {
	if int(a.Source) >= len(sourceNames) || size(a.Addr) > maxAddressLen {
		return false
	}
	if a.Source == Config {
		return address.Check(a.Addr) == nil
	}
	return address.Usable(a.Addr, testAddresses)
}

func size(a ma.Multiaddr) (n int) {
	for i := range a {
		n += len(a[i].Bytes())
	}
	return n
}

func (a Average) clean() Average {
	if a.Count <= 0 {
		return Average{}
	}
	return Average{Mean: max(a.Mean, 0), Count: min(a.Count, maxSamples)}
}

func cut(s string, n int) string { return s[:min(len(s), n)] }

func tooLong(list [][]byte) bool {
	for _, b := range list {
		if len(b) > maxAddressLen {
			return true
		}
	}
	return false
}
