package saf_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// FuzzJudge judges the bytes as a response. Every message is delivered, skipped, or stands
// at or behind an offence; a letter is for us, and its signature verifies.
func FuzzJudge(f *testing.F) {
	key := us.PublicKey()
	sealedOne := sealed(f, key, "sealed")
	f.Add(response(sealedOne, unsealed(f, "signed", true), unsealed(f, "not signed", false))[0])
	f.Add(response(unsealed(f, "again", true), sealed(f, other.PublicKey(), "foreign"))[0])
	f.Add(response(unsealed(f, "ahead", true).later(saf.ClockSkew * 2))[0])
	f.Add(append(response()[0], 0x10, 7, 0x18, 3))
	f.Add([]byte{0x0a, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := judge([][]byte{b})
		if d.Violation != nil && d.Err == nil {
			t.Fatal("an offence without error")
		}
		if n := len(d.Letters) + d.Skipped.Sum(); n > d.Messages || d.Err == nil && n != d.Messages || n > saf.AnswerLimit {
			t.Fatalf("%d letters and %d skipped of %d messages, %v", len(d.Letters), d.Skipped.Sum(), d.Messages, d.Err)
		}
		ahead := 0
		for _, l := range d.Letters {
			h := &l.Envelope.Header
			if h.Destination.Known && h.Destination.Key != key || l.Hash != l.Envelope.DedupHash() {
				t.Fatalf("got %+v", l)
			}
			signer, err := l.Envelope.VerifyOrigin()
			if err != nil || !h.Encrypted() && signer != l.From || h.Encrypted() && l.From.IsZero() {
				t.Fatalf("from %v, signed by %v, %v", l.From, signer, err)
			}
			switch skew := uint64(wall.Add(saf.ClockSkew).Unix()); {
			case l.StoredAt > uint64(wall.Add(saf.ClockOffence).Unix()):
				t.Fatalf("stored at %d", l.StoredAt)
			case l.StoredAt > skew:
				ahead++
			case l.StoredAt > d.Newest || d.Newest > skew:
				t.Fatalf("stored at %d, newest %d", l.StoredAt, d.Newest)
			}
		}
		if ahead != d.Ahead {
			t.Fatalf("%d letters are ahead, and %d were counted", ahead, d.Ahead)
		}
	})
}
