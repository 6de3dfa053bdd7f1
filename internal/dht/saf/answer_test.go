package saf_test

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// envelopeOf returns a message for somebody else with a header of the greatest fields.
func envelopeOf(body []byte) wire.Envelope {
	secret, err := identity.SecretFromBytes([]byte{1, 31: 0})
	if err != nil {
		panic(err)
	}
	key := secret.PublicKey()
	return wire.Envelope{
		Header: wire.Header{
			Version: 2, Destination: wire.Destination{Known: true, Key: key}, Signature: bytes.Repeat([]byte{7}, 110),
			Ephemeral: key[:], Flags: wire.Encrypted, Tag: math.MaxUint64, Expires: math.MaxUint64,
		},
		Body: body,
	}
}

// TestAppendAnswer: an answer has the request's id, also if it is empty, the messages as
// they were stored, and no more bytes than were counted.
//
// conforms: dht 99
func TestAppendAnswer(t *testing.T) {
	q := wire.StoredRequest{RequestID: math.MaxUint32, Limit: 3}
	for _, sizes := range [][]int{nil, {1}, {0, 10, 100_000, 1 << 19}, slices.Repeat([]int{3}, 50)} {
		var list []saf.Stored
		most := saf.AnswerOverhead
		for i, n := range sizes {
			e := envelopeOf(bytes.Repeat([]byte{byte(i)}, n))
			b := e.Append(nil)
			most += saf.Size(len(b))
			list = append(list, saf.Stored{StoredAt: begin.Unix() - int64(i) - 2, Envelope: b})
		}
		b, damaged := saf.AppendAnswer(nil, q, begin, list)
		if len(damaged) > 0 {
			t.Fatalf("%v: got %v damaged, want none", sizes, damaged)
		}
		if len(b) > most {
			t.Errorf("%v: got an answer of %d bytes, want at most %d", sizes, len(b), most)
		}
		r, err := wire.DecodeStoredResponse(b)
		if err != nil || r.RequestID != math.MaxUint32 || r.Type != 0 || len(r.Messages) != len(sizes) {
			t.Fatalf("%v: got %d messages, id %d, type %d, %v, want %d with the request's id and type 0", sizes, len(r.Messages), r.RequestID, r.Type, err, len(sizes))
		}
		for i := range r.Messages {
			m := &r.Messages[i]
			e, err := m.Envelope()
			if err != nil || !bytes.Equal(e.Append(nil), list[i].Envelope) || m.StoredAt != uint64(list[i].StoredAt) || m.Version != 2 {
				t.Errorf("message %d: got %v, stored at %d, version %d, want it as it was stored", i, err, m.StoredAt, m.Version)
			}
		}
	}
}

// TestAnswerWithoutDamaged leaves out what does not decode, and names it.
func TestAnswerWithoutDamaged(t *testing.T) {
	e := envelopeOf([]byte("a"))
	good := saf.Stored{StoredAt: 1, Envelope: e.Append(nil)}
	b, damaged := saf.AppendAnswer(nil, wire.StoredRequest{RequestID: 4}, begin, []saf.Stored{{}, good, {Envelope: []byte{0xff}}})
	r, err := wire.DecodeStoredResponse(b)
	if err != nil || len(r.Messages) != 1 || !slices.Equal(damaged, []int{0, 2}) {
		t.Errorf("got %d messages, damaged %v, %v, want the second alone", len(r.Messages), damaged, err)
	}
}

// TestAnswerClock: no message has a time later than 2 s before the node's clock, because
// others ban for a time in their future.
func TestAnswerClock(t *testing.T) {
	e := envelopeOf([]byte("a"))
	for _, c := range []struct {
		storedAt, wall time.Time
		want           uint64
	}{
		{begin, begin.Add(time.Hour), uint64(begin.Unix())},
		{begin, begin, uint64(begin.Unix()) - 2},
		{begin, begin.Add(time.Second), uint64(begin.Unix()) - 1},
		{begin.Add(24 * time.Hour), begin, uint64(begin.Unix()) - 2}, // the clock was set back
		{begin, time.Unix(1, 0), 0},
		{time.Unix(-100, 0), begin, 0},
	} {
		b, _ := saf.AppendAnswer(nil, wire.StoredRequest{}, c.wall, []saf.Stored{{c.storedAt.Unix(), e.Append(nil)}})
		r, err := wire.DecodeStoredResponse(b)
		if err != nil || r.Messages[0].StoredAt != c.want {
			t.Errorf("stored at %v, now %v: got %d, %v, want %d", c.storedAt, c.wall, r.Messages[0].StoredAt, err, c.want)
		}
	}
}
