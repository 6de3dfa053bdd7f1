package peerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ErrBadRecord reports bytes that are no record of this store.
var ErrBadRecord = errors.New("peerstore: bad record")

// recordVersion is the first byte of every record.
//
// A record is, in this order and with nothing after it: the version; the key (32
// bytes, zero if unknown); features; flags (1 byte); added at; banned until; ban
// reason; user agent; the number of protocols and each; the number of addresses
// and each (bytes, source, last seen, last attempted, attempts, last failure,
// dial time, latency); 0, or 1 and the claim (features, number of addresses and
// each, signature version, nonce, s, updated at). Numbers are minimal unsigned
// varints, texts and bytes follow their length, a time is 0 or one more than its
// milliseconds since 1970, an average is its count and, unless that is 0, its
// nanoseconds. So a record has one encoding only.
//
// A record of version 2 has, after banned until, the time when the ban was made; this
// version is written for all bans with a known time and for no other record. Version 3
// has the number of the origin there, and version 4 has both, in this order; these are
// written only for records with an origin.
const (
	recordVersion       = 1
	recordVersionBan    = 2
	recordVersionOrigin = 3
	recordVersionBoth   = 4
)

// recordVersionOf returns the version that the record is written in.
func recordVersionOf(p *Peer) byte {
	version := byte(recordVersion)
	if !p.BannedAt.IsZero() {
		version = recordVersionBan
	}
	if p.Origin != 0 {
		version += recordVersionOrigin - recordVersion
	}
	return version
}

// appendRecord appends the encoding of a clean record.
func appendRecord(b []byte, p *Peer) []byte {
	b = append(b, recordVersionOf(p))
	b = append(b, p.Key[:]...)
	b = binary.AppendUvarint(b, uint64(p.Features))
	b = append(b, byte(p.Flags))
	b = appendTime(b, p.AddedAt)
	b = appendTime(b, p.BannedUntil)
	if !p.BannedAt.IsZero() {
		b = appendTime(b, p.BannedAt)
	}
	if p.Origin != 0 {
		b = binary.AppendUvarint(b, uint64(p.Origin))
	}
	b = appendText(b, p.BanReason)
	b = appendText(b, p.UserAgent)
	b = binary.AppendUvarint(b, uint64(len(p.Protocols)))
	for _, id := range p.Protocols {
		b = appendText(b, id)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Addresses)))
	for i := range p.Addresses {
		a := &p.Addresses[i]
		b = appendText(b, a.Addr.Bytes())
		b = append(b, byte(a.Source))
		b = appendTime(b, a.LastSeen)
		b = appendTime(b, a.LastAttempted)
		b = binary.AppendUvarint(b, uint64(a.Attempts))
		b = appendText(b, a.LastFailure)
		b = appendAverage(b, a.DialTime)
		b = appendAverage(b, a.Latency)
	}
	if p.Claim == nil {
		return append(b, 0)
	}
	c := p.Claim
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(c.Features))
	b = binary.AppendUvarint(b, uint64(len(c.Addresses)))
	for _, a := range c.Addresses {
		b = appendText(b, a)
	}
	b = append(b, c.Signature.Version)
	b = append(b, c.Signature.Nonce[:]...)
	b = append(b, c.Signature.S[:]...)
	return binary.AppendUvarint(b, uint64(c.Signature.UpdatedAt))
}

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(t.UnixMilli())+1)
}

func appendAverage(b []byte, a Average) []byte {
	b = append(b, byte(a.Count))
	if a.Count > 0 {
		b = binary.AppendUvarint(b, uint64(a.Mean))
	}
	return b
}

// decodeRecord returns the record of id that b encodes. It keeps nothing of b. It takes
// texts that many records have in common from shared. It does not check keys and
// signatures again: they were checked before they were stored.
func decodeRecord(b []byte, id identity.NodeID, shared *shared) (*Peer, error) {
	d := decoder{b: b, shared: shared}
	version := d.byte()
	if d.err == nil && (version < recordVersion || version > recordVersionBoth) {
		return nil, fmt.Errorf("%w: version %d, want %d to %d", ErrBadRecord, version, recordVersion, recordVersionBoth)
	}
	p := &Peer{ID: id}
	copy(p.Key[:], d.take(len(p.Key)))
	p.Features = identity.Features(d.number(math.MaxUint32))
	p.Flags = Flags(d.byte())
	p.AddedAt = d.time()
	p.BannedUntil = d.time()
	if version == recordVersionBan || version == recordVersionBoth {
		if p.BannedAt = d.time(); d.err == nil && (p.BannedAt.IsZero() || p.BannedUntil.IsZero()) {
			d.fail("ban without a time")
		}
	}
	if version >= recordVersionOrigin {
		if p.Origin = Origin(d.number(math.MaxUint64)); p.Origin == 0 {
			d.fail("origin")
		}
	}
	p.BanReason = string(d.text(maxText))
	p.UserAgent = shared.text(d.text(maxText))
	p.Protocols = d.protocols(shared)
	if n := int(d.number(MaxAddresses)); n > 0 {
		p.Addresses = make([]Address, n)
		for i := range p.Addresses {
			d.address(&p.Addresses[i])
		}
	}
	switch d.byte() {
	case 0:
	case 1:
		p.Claim = d.claim(p.Key)
	default:
		d.fail("claim mark")
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes after the end")
	}
	if d.err == nil && !p.Key.IsZero() && p.Key.NodeID() != id {
		d.fail("key of another node")
	}
	if d.err != nil {
		return nil, d.err
	}
	return p, nil
}

// decoder reads the fields of a record. After the first error it returns zeros.
type decoder struct {
	b      []byte
	err    error
	shared *shared
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrBadRecord, what)
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("ends early")
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) number(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	switch {
	case n <= 0, n > 1 && d.b[n-1] == 0, v > most:
		d.fail("number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(most int) []byte { return d.take(int(d.number(uint64(most)))) }

func (d *decoder) time() time.Time {
	v := d.number(uint64(forever.UnixMilli()) + 1)
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(v - 1)).UTC()
}

func (d *decoder) average() (a Average) {
	a.Count = int(d.byte())
	if a.Count > maxSamples {
		d.fail("sample count")
		return Average{}
	}
	if a.Count > 0 {
		a.Mean = time.Duration(d.number(math.MaxInt64))
	}
	return a
}

func (d *decoder) protocols(shared *shared) []protocol.ID {
	start := d.b
	n := int(d.number(maxProtocols))
	for range n {
		d.text(maxProtocolLen)
	}
	if n == 0 || d.err != nil {
		return nil
	}
	return shared.list(start[:len(start)-len(d.b)], n)
}

func (d *decoder) address(a *Address) {
	text := d.text(maxAddressLen)
	if d.err != nil {
		return
	}
	if a.Addr = d.shared.multiaddr(text); a.Addr == nil {
		d.fail("address")
		return
	}
	if a.Source = Source(d.byte()); int(a.Source) >= len(sourceNames) {
		d.fail("source")
	}
	a.LastSeen = d.time()
	a.LastAttempted = d.time()
	a.Attempts = int(d.number(maxAttempts))
	a.LastFailure = string(d.text(maxText))
	a.DialTime = d.average()
	a.Latency = d.average()
}

func (d *decoder) claim(key identity.PublicKey) *identity.Claim {
	c := &identity.Claim{Key: key, Features: identity.Features(d.number(math.MaxUint32))}
	if n := int(d.number(maxClaimAddresses)); n > 0 {
		c.Addresses = make([][]byte, n)
		for i := range c.Addresses {
			c.Addresses[i] = bytes.Clone(d.text(maxAddressLen))
		}
	}
	c.Signature.Version = d.byte()
	copy(c.Signature.Nonce[:], d.take(32))
	copy(c.Signature.S[:], d.take(32))
	c.Signature.UpdatedAt = int64(d.number(math.MaxInt64))
	return c
}

// maxShared is the greatest number of different texts and lists that are shared.
const maxShared = 1024

// shared holds texts, lists and ports that many records have in common.
type shared struct {
	texts map[string]string
	lists map[string][]protocol.ID
	ends  map[[tcpLen]byte]ma.Component // /tcp/… as the last part of an address
}

func newShared() *shared {
	return &shared{texts: make(map[string]string), lists: make(map[string][]protocol.ID), ends: make(map[[tcpLen]byte]ma.Component)}
}

// The length of /tcp/… and of /ip4/… in bytes, and their codes.
const (
	tcpLen, ip4Len   = 3, 5
	tcpCode, ip4Code = 6, 4
)

// multiaddr returns the address that b encodes, or nil if b is no address or not in the
// form of the store. Most addresses are an IPv4 address and a port; sharing the ports
// halves the work of opening a store.
func (s *shared) multiaddr(b []byte) ma.Multiaddr {
	if len(b) == ip4Len+tcpLen && b[0] == ip4Code && b[ip4Len] == tcpCode {
		port, known := s.ends[[tcpLen]byte(b[ip4Len:])]
		if known {
			if ip, err := ma.NewMultiaddrBytes(b[:ip4Len]); err == nil {
				return ma.Multiaddr{ip[0], port}
			}
		}
	}
	addr, err := address.FromBytes(b)
	if err != nil || !bytes.Equal(addr.Bytes(), b) {
		return nil
	}
	if len(b) == ip4Len+tcpLen && len(addr) == 2 && b[ip4Len] == tcpCode && len(s.ends) < maxShared {
		s.ends[[tcpLen]byte(b[ip4Len:])] = addr[1]
	}
	return addr
}

func (s *shared) text(b []byte) string {
	if t, ok := s.texts[string(b)]; ok {
		return t
	}
	t := string(b)
	if len(s.texts) < maxShared {
		s.texts[t] = t
	}
	return t
}

// list returns the n protocols that b encodes; the decoder has checked b.
func (s *shared) list(b []byte, n int) []protocol.ID {
	if l, ok := s.lists[string(b)]; ok {
		return l
	}
	d := decoder{b: b}
	d.number(maxProtocols)
	l := make([]protocol.ID, n)
	for i := range l {
		l[i] = protocol.ID(s.text(d.text(maxProtocolLen)))
	}
	if len(s.lists) < maxShared {
		s.lists[string(b)] = l
	}
	return l
}

// share replaces a clean record's text and list by equal ones of other records.
func (s *shared) share(p *Peer) {
	p.UserAgent = s.text([]byte(p.UserAgent))
	if len(p.Protocols) == 0 {
		p.Protocols = nil
		return
	}
	b := binary.AppendUvarint(nil, uint64(len(p.Protocols)))
	for _, id := range p.Protocols {
		b = appendText(b, id)
	}
	p.Protocols = s.list(b, len(p.Protocols))
}
