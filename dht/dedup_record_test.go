package dht_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
)

// Records of earlier releases on disk must always decode.
func TestDedupRecordBytes(t *testing.T) {
	first := time.Date(2026, time.November, 20, 12, 0, 0, 1, time.UTC)
	for _, c := range []struct {
		name, bytes string
		record      dht.DedupRecord
	}{
		{
			// version 1; 13 bytes; 258 hits; 2026-11-20 12:00:00.000000001; a second later
			"all of it", "01" + "0102030405060708090a0b0c0d" + "00000102" + "18e9bf0f8d4e8001" + "18e9bf0fc8e94a01",
			dht.DedupRecord{From: [13]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, Hits: 258, First: first, LastHit: first.Add(time.Second)},
		},
		{
			"no times", "01" + strings.Repeat("00", 13) + "00000001" + strings.Repeat("00", 16),
			dht.DedupRecord{Hits: 1},
		},
		{
			"the most", "01" + strings.Repeat("ff", 13) + "ffffffff" + strings.Repeat("7fffffffffffffff", 2),
			dht.DedupRecord{
				From: [13]byte(bytes.Repeat([]byte{0xff}, 13)), Hits: math.MaxUint32,
				First: time.Unix(0, math.MaxInt64).UTC(), LastHit: time.Unix(0, math.MaxInt64).UTC(),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.record.Hash = hashOf(7)
			if got := hex.EncodeToString(c.record.Append(nil)); got != c.bytes {
				t.Errorf("got %s, want %s", got, c.bytes)
			}
			got, err := dht.DecodeDedupRecord(hashOf(7), unhex(t, c.bytes))
			if err != nil || got != c.record {
				t.Errorf("got %+v, %v, want %+v", got, err, c.record)
			}
		})
	}
	if dht.DedupRecordLen != 34 {
		t.Errorf("got a length of %d, want 34", dht.DedupRecordLen)
	}
}

// A clock far off makes no other time of it.
func TestDedupRecordOfAStrangeClock(t *testing.T) {
	r := dht.DedupRecord{Hits: 1, First: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), LastHit: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	got, err := dht.DecodeDedupRecord(r.Hash, r.Append(nil))
	if err != nil || !got.First.IsZero() || got.LastHit.Year() != 2262 {
		t.Errorf("got %+v, %v, want no time and one in 2262", got, err)
	}
}

func TestDamagedDedupRecord(t *testing.T) {
	r := dht.DedupRecord{Hits: 1, First: time.Unix(expires, 0), LastHit: time.Unix(expires, 0)}
	good := r.Append(nil)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:33], "long": append(bytes.Clone(good), 0),
		"version 0": change(0, 0), "version 2": change(0, 2), "no hits": change(17, 0),
		"first too late": change(18, 0x80), "last too late": change(26, 0xff),
	} {
		if got, err := dht.DecodeDedupRecord(r.Hash, b); !errors.Is(err, dht.ErrDedupRecord) {
			t.Errorf("%s: got %+v, %v, want ErrDedupRecord", name, got, err)
		}
	}
	if _, err := dht.DecodeDedupRecord(r.Hash, good); err != nil {
		t.Errorf("the good one: got %v, want nil", err)
	}
}

// Every record has one encoding.
func FuzzDedupRecord(f *testing.F) {
	r := dht.DedupRecord{From: nodeOf(3), Hits: 7, First: time.Unix(expires, 1), LastHit: time.Unix(expires, 2)}
	f.Add(r.Append(nil))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1}, dht.DedupRecordLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := dht.DecodeDedupRecord(hashOf(1), b)
		if err != nil {
			return
		}
		if r.Hash != hashOf(1) || r.Hits == 0 {
			t.Fatalf("got %+v, want the hash it was asked for, seen at least once", r)
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("got %x, want %x", again, b)
		}
	})
}
