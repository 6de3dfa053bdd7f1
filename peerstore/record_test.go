package peerstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// goldenPeer has something in every field.
func goldenPeer() Peer {
	k, err := identity.ParsePublicKey(seedKey)
	if err != nil {
		panic(err)
	}
	c := claim(k, 0, a1)
	c.Signature.Version = 2
	c.Signature.Nonce[0], c.Signature.S[31] = 0xaa, 0xbb
	return Peer{
		Key: k, ID: k.NodeID(), Features: identity.FeatureNode, Flags: FlagSeed,
		UserAgent: "ua/1", Protocols: []protocol.ID{"t/a", "t/b"},
		AddedAt: time.UnixMilli(1).UTC(), BannedUntil: begin, BanReason: "why",
		Addresses: []Address{
			{
				Addr: addr(a1), Source: JoinMessage, LastSeen: time.UnixMilli(0).UTC(), LastAttempted: time.UnixMilli(127).UTC(),
				Attempts: 300, LastFailure: "no", DialTime: Average{Mean: 5, Count: 1}, Latency: Average{Mean: time.Second, Count: 100},
			},
			{Addr: addr("/memory/1")},
		},
		Claim: &c,
	}
}

// golden is the record of goldenPeer, taken apart by hand.
const golden = "01" + // version
	seedKey +
	"03" + // features
	"01" + // flags
	"02" + // added 1 ms after the epoch
	"819494caca33" + // banned until 2026-03-01 12:00:00
	"03" + "776879" + // "why"
	"04" + "75612f31" + // "ua/1"
	"02" + "03742f61" + "03742f62" + // two protocols
	"02" + // two addresses
	"08" + "0401010101060001" + "05" + // /ip4/1.1.1.1/tcp/1, join message
	"01" + "8001" + // seen at 0 ms, attempted at 127 ms
	"ac02" + "02" + "6e6f" + // 300 attempts, "no"
	"0105" + "648094ebdc03" + // dial time, latency
	"0a" + "89060000000000000001" + "00" + // /memory/1, config
	"00" + "00" + "00" + "00" + "00" + "00" + // nothing known of it
	"01" + "03" + "01" + "08" + "0401010101060001" + // claim: features, one address
	"02" + "aa00000000000000000000000000000000000000000000000000000000000000" + // version, nonce
	"00000000000000000000000000000000000000000000000000000000000000bb" +
	"c0d490cd06" // updated at 2026-03-01 12:00:00

func TestRecordBytes(t *testing.T) {
	want, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	p := goldenPeer()
	if got := appendRecord(nil, &p); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
	got, err := decodeRecord(want, p.ID, newShared())
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	if !reflect.DeepEqual(*got, p) {
		t.Errorf("got\n%+v, want\n%+v", *got, p)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := goldenPeer()
	good := appendRecord(nil, &p)
	for n := range good {
		if _, err := decodeRecord(good[:n], p.ID, newShared()); !errors.Is(err, ErrBadRecord) {
			t.Fatalf("first %d bytes: got %v, want ErrBadRecord", n, err)
		}
	}
	bare := Peer{ID: p.ID}
	empty := appendRecord(nil, &bare)
	put := func(at int, b ...byte) []byte {
		c := bytes.Clone(empty)
		return append(c[:at], append(b, c[at+1:]...)...)
	}
	for name, c := range map[string]struct {
		b    []byte
		id   identity.NodeID
		word string
	}{
		"newer version":          {put(0, 5), p.ID, "version 5"},
		"trailing byte":          {append(bytes.Clone(good), 0), p.ID, "after the end"},
		"other node's":           {good, key(9).NodeID(), "another node"},
		"number not minimal":     {put(33, 0x80, 0), p.ID, "number"},
		"features over 32 bits":  {put(33, 0xff, 0xff, 0xff, 0xff, 0x7f), p.ID, "number"},
		"number over 64 bits":    {put(33, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), p.ID, "number"},
		"time after all":         {put(35, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), p.ID, "number"},
		"text longer than there": {put(37, 0x7f), p.ID, "ends early"},
		"text over the limit":    {put(37, 0x81, 0x02), p.ID, "number"},
		"65 protocols":           {put(39, 65), p.ID, "number"},
		"11 addresses":           {put(40, 11), p.ID, "number"},
		"claim mark":             {put(41, 2), p.ID, "claim mark"},
	} {
		_, err := decodeRecord(c.b, c.id, newShared())
		if !errors.Is(err, ErrBadRecord) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: got %v, want ErrBadRecord that says %q", name, err, c.word)
		}
	}
}

// TestCleanRecordsSurviveTheDisk has records with everything wrong that a caller
// can put in: what the store makes of them reads back equal.
func TestCleanRecordsSurviveTheDisk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, r.IntN(600))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	at := func() time.Time {
		switch r.IntN(4) {
		case 0:
			return time.Time{}
		case 1:
			return time.Unix(r.Int64()-1<<62, r.Int64N(1e9))
		}
		return time.Now().Add(time.Duration(r.Int64N(1e18)))
	}
	average := func() Average { return Average{time.Duration(r.Int64()) - 1<<62, r.IntN(300) - 50} }
	for i := range 500 {
		p := Peer{Key: key(uint64(i)), Features: identity.Features(r.Uint32()), Flags: Flags(r.Uint32()), UserAgent: text(), BanReason: text(), AddedAt: at(), BannedUntil: at()}
		p.ID = p.Key.NodeID()
		for range r.IntN(100) {
			p.Protocols = append(p.Protocols, protocol.ID(text()))
		}
		for range r.IntN(20) {
			p.Addresses = append(p.Addresses, Address{
				Addr: addrN(r.IntN(15)), Source: Source(r.IntN(8)), LastSeen: at(), LastAttempted: at(),
				Attempts: int(r.Int64() - 1<<62), LastFailure: text(), DialTime: average(), Latency: average(),
			})
		}
		if r.IntN(2) == 0 {
			c := identity.Claim{Key: p.Key, Features: p.Features}
			for range r.IntN(40) {
				c.Addresses = append(c.Addresses, []byte(text()))
			}
			p.Claim = &c
		}
		p = clean(p, false)
		p.Addresses = rank(p.Addresses, begin)
		s := newShared()
		s.share(&p)
		b := appendRecord(nil, &p)
		got, err := decodeRecord(b, p.ID, newShared())
		if err != nil {
			t.Fatalf("record %d: got %v, want nil", i, err)
		}
		if again := appendRecord(nil, got); !bytes.Equal(again, b) {
			t.Fatalf("record %d: got\n%x after reading back, want\n%x", i, again, b)
		}
		if !got.BannedUntil.Equal(p.BannedUntil) || got.UserAgent != p.UserAgent || len(got.Addresses) != len(p.Addresses) {
			t.Fatalf("record %d: got\n%+v, want\n%+v", i, *got, p)
		}
	}
}

func FuzzPeerRecord(f *testing.F) {
	p := goldenPeer()
	f.Add(appendRecord(nil, &p))
	p.Claim = nil
	f.Add(appendRecord(nil, &p))
	f.Add(appendRecord(nil, &Peer{ID: p.ID, BannedUntil: begin, BanReason: "bad"}))
	f.Add([]byte{recordVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeRecord(b, goldenPeer().ID, newShared())
		if err != nil {
			if !errors.Is(err, ErrBadRecord) {
				t.Fatalf("got %v, want ErrBadRecord", err)
			}
			return
		}
		if again := appendRecord(nil, p); !bytes.Equal(again, b) {
			t.Fatalf("got\n%x from what was read, want the one encoding\n%x", again, b)
		}
	})
}
