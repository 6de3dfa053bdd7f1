package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/anchors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Of stored messages: the length of the shortest encrypted one, how many are written at
// once, and for how many destinations.
const (
	storedBatch        = 500
	storedDestinations = 1000
)

// Metrics of Stored.
const (
	StoredOpen       = "open ns"
	StoredAnswer     = "answer p50 ns"
	StoredAnswerSlow = "answer p99 ns"
	StoredPurge      = "write while purging p50, of that"
)

// storedOnDisk is a store of messages on the disk, and its index.
type storedOnDisk struct {
	dir      string
	db       kv.DB
	disk     *store.Store
	index    *saf.Index
	round    uint64
	body     int // bytes of a message
	envelope []byte
	made     int
}

func openStored(dir string, n int) (*storedOnDisk, error) {
	s := &storedOnDisk{dir: dir, index: saf.NewIndex(saf.Limits{
		Messages: n, Bytes: 1 << 50, SourceMessages: n, SourceBytes: 1 << 50, DestinationMessages: n, DestinationBytes: 1 << 50,
		PairMessages: n, PairBytes: 1 << 50,
		Low: time.Hour, High: 72 * time.Hour, Grace: saf.LeastGrace, Answer: saf.MostAnswer,
	})}
	var err error
	if s.db, err = kv.OpenPebble(dir); err != nil {
		return nil, err
	}
	if s.disk, err = store.Open(s.db.Client()); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	now := time.Now()
	l, err := s.disk.Load(func(r saf.Record) { s.index.Load(now, now, r) })
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.index.From(l.Next)
	s.round, s.made = l.Round, l.Messages
	return s, nil
}

// batch returns n new messages, which the index has taken.
func (s *storedOnDisk) batch(n int) (list []store.Message, gone []uint64, err error) {
	now := time.Now()
	for range n {
		s.made++
		r := saf.Record{
			Hash: anchors.HashOf(uint64(s.made)), Destination: destination(s.made), Source: identity.NodeID{2},
			StoredAt: now.Unix(), Size: saf.Size(len(s.envelope)), Priority: saf.High,
		}
		ref, out, why := s.index.Add(now, r)
		if why != 0 {
			return nil, nil, fmt.Errorf("message %d: %v", s.made, why)
		}
		s.index.Settle(out)
		r.Seq = ref.Seq
		list, gone = append(list, store.Message{Record: r, Envelope: s.envelope}), append(gone, out...)
	}
	return list, gone, nil
}

func destination(i int) identity.NodeID {
	i %= storedDestinations
	return identity.NodeID{1, byte(i >> 8), byte(i)}
}

// storedEnvelope returns an encrypted message with a body of n bytes.
func storedEnvelope(n int) ([]byte, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	key := secret.PublicKey()
	body := make([]byte, n)
	if _, err := rand.Read(body); err != nil {
		return nil, err
	}
	e := wire.Envelope{Header: wire.Header{
		Version: 2, Destination: wire.Destination{Known: true, Key: key}, Signature: make([]byte, 104), Ephemeral: key[:],
		Flags: wire.Encrypted, Tag: 1, Expires: uint64(time.Now().Add(time.Hour).Unix()),
	}, Body: body}
	return e.Append(nil), nil
}

// Stored is gamelan/stored-N: n messages for others, of so many bytes each, for a thousand
// destinations. The shortest that nodes write have 6,016.
// The report has the opening of the store until the first of them can be handed out, an
// answer with 50 of them from the request to its bytes, and the time until a further
// message is on the disk, synced: first alone, then while all older ones expire and some are
// deleted with each write.
func Stored(n, body int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/stored-%d", n), Run: func(m *harness.Meter) (err error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		s, err := openStored(filepath.Join(dir, "store"), n)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.db.Close()) }()
		s.body = body
		if s.envelope, err = storedEnvelope(body); err != nil {
			return err
		}
		for s.made < n {
			list, _, err := s.batch(min(storedBatch, n-s.made))
			if err != nil {
				return err
			}
			if err := s.disk.Write(&store.Batch{Round: s.round, Add: list}, true); err != nil {
				return err
			}
		}
		for _, run := range []func(*harness.Meter, int) error{s.open, s.answers, s.purge} {
			if err := run(m, n); err != nil {
				return err
			}
		}
		return m.Reported()
	}}
}

// open closes the store and opens it again.
func (s *storedOnDisk) open(m *harness.Meter, n int) error {
	var all []time.Duration
	for range 3 {
		if err := s.db.Close(); err != nil {
			return err
		}
		begin := time.Now()
		opened, err := openStored(s.dir, n)
		if err != nil {
			return err
		}
		all = append(all, time.Since(begin))
		opened.envelope = s.envelope
		if *s = *opened; s.made != n {
			return fmt.Errorf("got %d messages, want %d", s.made, n)
		}
	}
	slices.Sort(all)
	m.Report(StoredOpen, float64(all[len(all)/2]))
	return nil
}

func (s *storedOnDisk) answers(m *harness.Meter, _ int) error {
	var all []time.Duration
	for i := range 200 {
		begin := time.Now()
		got, err := s.answer(destination(7*i), begin)
		if err != nil {
			return err
		}
		all = append(all, time.Since(begin))
		if got < saf.MostAnswer*s.body {
			return fmt.Errorf("got an answer of %d bytes, want %d messages", got, saf.MostAnswer)
		}
	}
	slices.Sort(all)
	m.Report(StoredAnswer, float64(all[len(all)/2]))
	m.Report(StoredAnswerSlow, float64(all[len(all)*99/100]))
	return nil
}

// purge compares the time of a write alone with that of one beside deletions.
func (s *storedOnDisk) purge(m *harness.Meter, n int) error {
	quiet, err := s.insert(m.Context(), 1000, 0)
	if err != nil {
		return err
	}
	purging, err := s.insert(m.Context(), min(1000, n/store.DeleteMost), store.DeleteMost)
	if err != nil {
		return err
	}
	slices.Sort(quiet)
	slices.Sort(purging)
	p50 := float64(quiet[len(quiet)/2])
	m.Report("write p50 ns", p50)
	m.Report("write p99, of its p50", float64(quiet[len(quiet)*99/100])/p50)
	m.Report(StoredPurge, float64(purging[len(purging)/2])/p50)
	m.Report("write while purging p99, of that", float64(purging[len(purging)*99/100])/p50)
	return nil
}

func (s *storedOnDisk) answer(to identity.NodeID, now time.Time) (bytes int, err error) {
	items := s.index.Answer(now, to, wire.StoredRequest{}, 4<<20)
	seqs := make([]uint64, len(items))
	for i, item := range items {
		seqs[i] = item.Seq
	}
	envelopes, err := s.disk.Envelopes(seqs)
	if err != nil {
		return 0, err
	}
	list := make([]saf.Stored, len(items))
	for i, item := range items {
		list[i] = saf.Stored{StoredAt: item.StoredAt, Envelope: envelopes[i]}
	}
	b, damaged := saf.AppendAnswer(nil, wire.StoredRequest{RequestID: 1}, now, list)
	if len(damaged) > 0 {
		return 0, fmt.Errorf("got %d envelopes that do not decode", len(damaged))
	}
	return len(b), nil
}

// insert writes messages one at a time, each synced, and deletes so many of the oldest with
// each. It returns the times until they were on the disk.
func (s *storedOnDisk) insert(ctx context.Context, count, purge int) (all []time.Duration, err error) {
	later := time.Now().Add(100 * time.Hour) // by then all have expired
	for range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := time.Now()
		list, gone, err := s.batch(1)
		if err != nil {
			return nil, err
		}
		if purge > 0 {
			gone = append(gone, s.index.Expire(later, purge)...)
		}
		if err := s.disk.Write(&store.Batch{Round: s.round, Add: list, Delete: gone}, true); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begin))
	}
	return all, nil
}
