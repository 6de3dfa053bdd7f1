package transporttest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
)

// NameServer is a DNS server for the names of a test. The keys of Names are lower-case,
// without a dot at the end. Names must not change while names are looked up.
type NameServer struct {
	Names map[string][]netip.Addr

	asked atomic.Int64
}

// Asked returns the number of queries so far.
func (s *NameServer) Asked() int64 { return s.asked.Load() }

// Resolver returns a resolver that asks s alone, without a network.
func (s *NameServer) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}}
}

// serve answers queries until the other side closes. Each query follows its length, as
// over TCP (RFC 1035 4.2.2).
func (s *NameServer) serve(c net.Conn) {
	defer c.Close()
	for {
		var n [2]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		s.asked.Add(1)
		answer := s.answer(question)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

const (
	headerLen = 12
	typeA     = 1
	typeAAAA  = 28
)

// answer returns the answer to a query (RFC 1035 4.1), or nil when q is no query.
func (s *NameServer) answer(q []byte) []byte {
	var labels []string
	at := headerLen
	for {
		if at >= len(q) || at+1+int(q[at]) > len(q) {
			return nil
		}
		n := int(q[at])
		at++
		if n == 0 {
			break
		}
		labels = append(labels, strings.ToLower(string(q[at:at+n])))
		at += n
	}
	if at+4 > len(q) {
		return nil
	}
	kind, end := binary.BigEndian.Uint16(q[at:]), at+4
	ips, known := s.Names[strings.Join(labels, ".")]
	a := append([]byte(nil), q[:end]...)
	a[2], a[3] = 0x84, 0x80 // an answer with authority, recursion available
	if !known {
		a[3] |= 3 // no such name
	}
	var answers uint16
	for _, ip := range ips {
		if ip.Is4() != (kind == typeA) || ip.Is6() != (kind == typeAAAA) {
			continue
		}
		answers++
		b := ip.AsSlice()
		a = append(a, 0xc0, headerLen)                 // the name is the question's
		a = append(a, 0, byte(kind), 0, 1, 0, 0, 0, 0) // class Internet, not to be kept
		a = append(a, 0, byte(len(b)))
		a = append(a, b...)
	}
	binary.BigEndian.PutUint16(a[6:], answers)
	binary.BigEndian.PutUint32(a[8:], 0) // nothing beside the answers
	return a
}
