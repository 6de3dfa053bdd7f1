package seedwire_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

func BenchmarkDecodeFindNode(b *testing.B) {
	c, datagram := codec(b, 20, 0), vectors(b)["find-node"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(datagram); err != nil {
			b.Fatal(err)
		}
	}
}

// twenty lists as many contacts as an answer has.
func twenty() *overlay.Message {
	m := &overlay.Message{Verb: overlay.Nodes}
	for i := range 20 {
		m.Contacts = append(m.Contacts, overlay.SeedContact(sequence(byte(i)), "/ip4/203.0.113.254/udp/65535"))
	}
	return m
}

func BenchmarkEncodeListOf20(b *testing.B) {
	c, m, buffer := codec(b, 20, 0), twenty(), make([]byte, 0, seedwire.MaxList)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Append(buffer, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeListOf20(b *testing.B) {
	c := codec(b, 20, 0)
	datagram, err := c.Append(nil, twenty())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(datagram); err != nil {
			b.Fatal(err)
		}
	}
}
