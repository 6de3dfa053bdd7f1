package seednode_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

func codec(t testing.TB) seedwire.Codec {
	t.Helper()
	c, err := seedwire.NewCodec(20, seedwire.LongestValue)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKnownDatagrams reads and writes the known datagrams with the emulator's codec.
func TestKnownDatagrams(t *testing.T) {
	text, err := os.ReadFile("../../internal/kad/seedwire/testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for part := range strings.SplitSeq(string(text), "\n\n") {
		if strings.HasPrefix(part, "#") {
			continue
		}
		name, body, _ := strings.Cut(part, "\n")
		want, err := hex.DecodeString(strings.Join(strings.Fields(body), ""))
		if err != nil {
			t.Fatal(err)
		}
		d, err := seednode.Decode(want)
		if got := d.Encode(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x and %v, want %x", name, got, err, want)
		}
		n++
	}
	if n != 8 {
		t.Errorf("got %d known datagrams, want 8", n)
	}
}

// generator makes random messages.
type generator struct{ *rand.Rand }

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// address returns the text of an address: usually one that both keep, in its usual form.
func (g generator) address() (text string, usual bool) {
	port := 1 + g.IntN(65_535)
	switch g.IntN(10) {
	case 0:
		return "/onion/" + hex.EncodeToString(g.bytes(8)) + ":80", false
	case 1:
		return fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", port), false
	case 2:
		return string([]rune{'/', rune(g.IntN(0xd000)), 'ü'}), false
	case 3, 4:
		ip := netip.AddrFrom16([16]byte(append([]byte{0x20, 1}, g.bytes(14)...)))
		return fmt.Sprintf("/ip6/%s/udp/%d", ip, port), true
	}
	return fmt.Sprintf("/ip4/%d.%d.%d.%d/udp/%d", 1+g.IntN(222), g.IntN(256), g.IntN(256), g.IntN(256), port), true
}

// datagram returns a random message, and the same one as Gamelan has it.
func (g generator) datagram() (seednode.Datagram, overlay.Message) {
	d := seednode.Datagram{MessageID: g.bytes(20), Sender: g.bytes(20), Tag: seednode.Tag(g.IntN(7))}
	var m overlay.Message
	copy(m.ID[:], d.MessageID)
	copy(m.Sender[:], d.Sender)
	m.Verb = []overlay.Verb{overlay.Ping, overlay.Store, overlay.FindNode, overlay.FindValue, overlay.Pong, overlay.Nodes, overlay.Value}[d.Tag]
	switch d.Tag {
	case seednode.ReqStore, seednode.ResValueFound:
		d.Value = g.bytes(g.IntN(1 << g.IntN(13)))
		fallthrough
	case seednode.ReqFindNode, seednode.ReqFindValue:
		d.Key = g.bytes(20)
		copy(m.Target[:], d.Key)
		if d.Tag == seednode.ReqStore || d.Tag == seednode.ResValueFound {
			m.Record = &overlay.Record{Key: m.Target, Value: d.Value}
		}
	case seednode.ResListPeers:
		for range g.IntN(30) {
			text, usual := g.address()
			p := seednode.Peer{Address: text, ID: g.bytes(20)}
			d.Peers = append(d.Peers, p)
			if !usual {
				m.Skipped++
				continue
			}
			var id overlay.ID
			copy(id[:], p.ID)
			m.Contacts = append(m.Contacts, overlay.SeedContact(id, overlay.Address(text)))
		}
	}
	return d, m
}

func sameMessage(a, b overlay.Message) bool {
	same := a.Verb == b.Verb && a.ID == b.ID && a.Sender == b.Sender && a.Target == b.Target && a.Skipped == b.Skipped && (a.Record == nil) == (b.Record == nil)
	if same && a.Record != nil {
		same = a.Record.Key == b.Record.Key && bytes.Equal(a.Record.Value, b.Record.Value)
	}
	return same && slices.EqualFunc(a.Contacts, b.Contacts, func(x, y overlay.Contact) bool {
		return x.ID == y.ID && slices.Equal(x.Addresses, y.Addresses)
	})
}

// TestAgreement writes random messages with each codec, and reads them with the other.
//
// conforms: kad 1
func TestAgreement(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	c := codec(t)
	for i := range 20_000 {
		d, m := g.datagram()
		b := d.Encode()
		got, err := c.Decode(b)
		if err != nil || !sameMessage(got, m) {
			t.Fatalf("message %d: got %+v and %v, want %+v", i, got, err, m)
		}
		if m.Skipped > 0 {
			continue // Gamelan writes no such addresses
		}
		written, err := c.Append(nil, &m)
		if err != nil || !bytes.Equal(written, b) {
			t.Fatalf("message %d: got %x and %v, want %x", i, written, err, b)
		}
		back, err := seednode.Decode(written)
		if err != nil || !bytes.Equal(back.Encode(), b) {
			t.Fatalf("message %d: got %+v and %v back, want %+v", i, back, err, d)
		}
	}
}

// idsFit reports whether all ids of a datagram have 20 bytes. One that has not stops the
// seed.
func idsFit(d seednode.Datagram) bool {
	fit := len(d.MessageID) == 20 && len(d.Sender) == 20
	switch d.Tag {
	case seednode.ReqStore, seednode.ReqFindNode, seednode.ReqFindValue, seednode.ResValueFound:
		fit = fit && len(d.Key) == 20
	}
	return fit && !slices.ContainsFunc(d.Peers, func(p seednode.Peer) bool { return len(p.ID) != 20 })
}

// TestAgreementOnDamage changes, cuts and lengthens random messages. Both codecs refuse the
// same ones, but for those with ids of another length, which the seed can read.
//
// conforms: kad 2, 3
func TestAgreementOnDamage(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 4))}
	c := codec(t)
	var good, refused, lengths int
	for i := range 40_000 {
		d, _ := g.datagram()
		if g.IntN(4) == 0 {
			d.Sender = g.bytes(g.IntN(40))
		}
		if g.IntN(4) == 0 && len(d.Peers) > 0 {
			d.Peers[g.IntN(len(d.Peers))].ID = g.bytes(g.IntN(40))
		}
		b := d.Encode()
		for range g.IntN(3) {
			b[g.IntN(min(len(b), 120))] = byte(g.Uint32()) >> g.IntN(8)
		}
		switch g.IntN(4) {
		case 0:
			b = b[:g.IntN(len(b)+1)]
		case 1:
			b = append(b, g.bytes(g.IntN(50))...)
		}
		theirs, theirErr := seednode.Decode(b)
		ours, err := c.Decode(b)
		var typed *overlay.DecodeError
		if err != nil && !errors.As(err, &typed) {
			t.Fatalf("message %d: got %v, want a DecodeError", i, err)
		}
		switch {
		case theirErr == nil && idsFit(theirs):
			good++
			if err != nil || !bytes.Equal(ours.Sender[:20], theirs.Sender) || len(ours.Contacts)+ours.Skipped != len(theirs.Peers) {
				t.Fatalf("message %d: got %+v and %v, want %+v", i, ours, err, theirs)
			}
		case theirErr == nil:
			lengths++
			if !errors.Is(err, overlay.ErrIDLength) {
				t.Fatalf("message %d: got %v, want ErrIDLength for %+v", i, err, theirs)
			}
		default:
			refused++
			if err == nil {
				t.Fatalf("message %d: got %+v, which the seed cannot read: %x", i, ours, b)
			}
		}
	}
	if good < 4000 || refused < 4000 || lengths < 4000 {
		t.Errorf("got %d good, %d refused and %d of other lengths, so the test proves little", good, refused, lengths)
	}
}
