package kad_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// A put has one outcome for each holder. When fewer than the quorum store the record, it
// fails with them, and the record stays published.
//
// conforms: kad 47
func TestPutOutcomes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := 0
		l := network(t, 10, kad.StandaloneOptions{}, func(c *kad.Config) {
			if n++; n > 4 { // six of ten refuse
				limits := values.DefaultLimits(kad.Native)
				limits.Total.Records = 0
				c.Limits = &limits
			}
		})
		silent := l.clients[1].Addresses()[0]
		from := l.clients[0].Addresses()[0]
		l.hub.Cut(func(a, b kad.Address) bool { return a == from && b == silent || a == silent && b == from })
		r, err := l.clients[0].Put(t.Context(), []byte("hello"))
		partial := (*kad.PartialError)(nil)
		if !errors.As(err, &partial) || len(partial.Report.Outcomes) != len(r.Outcomes) {
			t.Fatalf("got %v, want a %T", err, partial)
		}
		states := make(map[overlay.OutcomeState]int)
		seen := make(map[kad.ID]bool)
		for _, o := range r.Outcomes {
			states[o.State]++
			if seen[o.Contact.ID] {
				t.Errorf("got two outcomes of %s", o.Contact.ID.Short())
			}
			seen[o.Contact.ID] = true
			if o.State == overlay.Stored && o.Life <= 0 {
				t.Errorf("got no life granted by %s", o.Contact.ID.Short())
			}
		}
		if r.Accepted != states[overlay.Stored] || states[overlay.Stored] != 2 || states[overlay.Refused] != 6 {
			t.Errorf("got %v of %d, want 2 stored and 6 refused", states, len(r.Outcomes))
		}
		if own, err := l.clients[0].Own(t.Context()); err != nil || len(own) != 1 {
			t.Errorf("got %v, %v, want that it stays published", own, err)
		}
	})
}

// A signed value is changed by its signer, deleted, and not changed by an older version.
func TestSignedValue(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 8, kad.StandaloneOptions{}, nil)
		_, signer, _ := ed25519.GenerateKey(nil)
		a, b, c := l.clients[0], l.clients[3], l.clients[6]
		var key kad.Key
		for i, w := range []*kad.Client{a, b, a} {
			r, err := w.PutSigned(t.Context(), signer, kad.Value{Salt: []byte("profile"), Body: fmt.Appendf(nil, "version %d", i+1)})
			if err != nil {
				t.Fatalf("version %d: %v", i+1, err)
			}
			key = r.Key
			time.Sleep(time.Second)
			got, err := c.Get(t.Context(), key)
			if err != nil || got.Seq != uint64(i+1) {
				t.Errorf("got %v, %v, want version %d", got, err, i+1)
			}
		}
		low := (*kad.SeqTooLowError)(nil)
		if _, err := b.PutSigned(t.Context(), signer, kad.Value{Salt: []byte("profile"), Seq: 1}); !errors.As(err, &low) || low.Current.Seq != 3 {
			t.Errorf("got %v, want a %T with version 3", err, low)
		}
		if _, err := a.Delete(t.Context(), signer, []byte("profile")); err != nil {
			t.Error(err)
		}
		if r, err := c.Get(t.Context(), key); !errors.Is(err, kad.ErrNotFound) {
			t.Errorf("got %v, %v after the deletion, want %v", r, err, kad.ErrNotFound)
		}
	})
}

// A version that is older than the acknowledged publication is refused, and replaces it neither
// in memory nor on the disk; so is one that the client has signed again meanwhile.
func TestOlderVersionReplacesNothing(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		keeper := keep.New(kv.Memory(), "c0", kad.Native)
		c := l.add(func(c *kad.Config) { c.Keeper = keeper })
		l.add(nil)
		time.Sleep(time.Minute)
		_, key, _ := ed25519.GenerateKey(nil)
		signer := &slowSigner{Signer: key}
		want := func(seq uint64, body string) {
			t.Helper()
			kept, err := keeper.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			own, err := c.Own(t.Context())
			if err != nil || len(own) != 1 || len(kept.Own) != 1 {
				t.Fatalf("got %d publications in memory, %d on the disk, and %v", len(own), len(kept.Own), err)
			}
			for where, r := range map[string]*kad.Record{"in memory": own[0].Record, "on the disk": kept.Own[0].Record} {
				if r.Seq != seq || string(r.Value) != body {
					t.Errorf("%s: got seq %d, %q, want %d, %q", where, r.Seq, r.Value, seq, body)
				}
			}
		}
		if _, err := c.PutSigned(t.Context(), signer, kad.Value{Body: []byte("newer"), Seq: 5, TTL: 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		low := (*kad.SeqTooLowError)(nil)
		if _, err := c.PutSigned(t.Context(), signer, kad.Value{Body: []byte("older"), Seq: 4}); !errors.As(err, &low) || low.Current.Seq != 5 {
			t.Errorf("got %v, want a %T with version 5", err, low)
		}
		want(5, "newer")

		time.Sleep(10 * time.Hour)
		signer.takes.Store(int64(4 * time.Hour)) // when the client signs again, in 1 to 4 hours
		time.Sleep(4 * time.Hour)
		signer.takes.Store(0)
		if _, err := c.PutSigned(t.Context(), signer, kad.Value{Body: []byte("other"), Seq: 5, TTL: 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		want(5, "other")
	})
}

// slowSigner signs as slowly as the test wants.
type slowSigner struct {
	crypto.Signer
	takes atomic.Int64 // a time.Duration
}

func (s *slowSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	time.Sleep(time.Duration(s.takes.Load()))
	return s.Signer.Sign(r, digest, o)
}

// A reader brings the newest version to those of the nearest that have an older one.
//
// conforms: kad 50
func TestReadRepair(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 9, kad.StandaloneOptions{}, nil)
		_, signer, _ := ed25519.GenerateKey(nil)
		writer := l.clients[0]
		report, err := writer.PutSigned(t.Context(), signer, kad.Value{Body: []byte("old")})
		if err != nil {
			t.Fatal(err)
		}
		from := writer.Addresses()[0]
		away := map[kad.Address]bool{}
		for _, c := range l.clients[5:] {
			away[c.Addresses()[0]] = true
		}
		l.hub.Cut(func(a, b kad.Address) bool { return a == from && away[b] || b == from && away[a] })
		if _, err := writer.PutSigned(t.Context(), signer, kad.Value{Body: []byte("new"), Seq: 2}); err != nil {
			if partial := (*kad.PartialError)(nil); !errors.As(err, &partial) {
				t.Fatal(err)
			}
		}
		l.hub.Cut(nil)
		old := 0
		for _, c := range l.clients[5:] {
			if kad.Local(t, c, report.Key).Seq == 1 {
				old++
			}
		}
		if old != 4 {
			t.Fatalf("got %d holders of the old version, want 4", old)
		}
		// With this quorum the lookup hears all of the nearest before it ends.
		if r, err := l.clients[1].Get(t.Context(), report.Key, kad.Quorum(20)); err != nil || string(r.Value) != "new" {
			t.Errorf("got %v, %v, want the new version", r, err)
		}
		time.Sleep(time.Second)
		repaired := 0
		for _, c := range l.clients[5:] {
			if kad.Local(t, c, report.Key).Seq == 2 {
				repaired++
			}
		}
		if repaired != old {
			t.Errorf("got %d holders that were repaired, want %d", repaired, old)
		}
	})
}

// A client of the overlay Seed keeps as many values as it can publish again before others drop them. One
// more is refused, until another one is forgotten.
func TestSeedValuesThatCanBeKept(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const most = 1000
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		c := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey = kad.Seed, [32]byte{} })
		put := func(i int) error {
			_, err := c.PutOpaque(t.Context(), fmt.Appendf(nil, "name %d", i), []byte("value"))
			return err
		}
		for i := range most {
			if err := put(i); !errors.Is(err, kad.ErrNoPeers) {
				t.Fatalf("value %d: got %v, want it kept", i, err)
			}
		}
		var full *kad.QuotaError
		if err := put(most); !errors.As(err, &full) || full.Max != most {
			t.Errorf("got %v, want a %T of %d", err, full, most)
		}
		key, err := c.Key([]byte("name 0"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := put(most); !errors.Is(err, kad.ErrNoPeers) {
			t.Errorf("got %v after one was forgotten, want it kept", err)
		}
	})
}

// A new version is written down while the old one is published again, and its caller does not wait for
// the nodes. The new one is published soon, not with the next turn of the old one.
func TestNewVersionDuringPublication(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{Delay: 200 * time.Millisecond}, kad.StandaloneOptions{})
		a, b := l.add(nil), l.add(func(c *kad.Config) { c.Params.Publish = time.Hour })
		time.Sleep(time.Minute)
		_, signer, _ := ed25519.GenerateKey(nil)
		first, err := b.PutSigned(t.Context(), signer, kad.Value{Body: []byte("first"), Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		stores := func() uint64 { return b.Stats().Requests["store"].Sent }
		for before := stores(); stores() == before; {
			time.Sleep(50 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var kept *kad.KeptError
		if _, err := b.PutSigned(ctx, signer, kad.Value{Body: []byte("second"), Seq: 2}); !errors.As(err, &kept) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want a %T", err, kept)
		}
		time.Sleep(2 * time.Second)
		own, err := b.Own(t.Context())
		if err != nil || len(own) != 1 {
			t.Fatal(own, err)
		}
		if due := own[0].Due.Sub(l.host.Now()); due > 2*time.Minute {
			t.Errorf("got the new version due in %v, want at most two minutes", due)
		}
		if r := kad.Local(t, a, first.Key); r == nil || r.Seq != 1 {
			t.Fatalf("got %v at the holder, want the old version", r)
		}
		time.Sleep(3 * time.Minute)
		if r := kad.Local(t, a, first.Key); r == nil || r.Seq != 2 {
			t.Errorf("got %v at the holder after three minutes, want the new version", r)
		}
	})
}
