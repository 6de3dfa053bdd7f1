package kad_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Callers who look for the same share a lookup. One that gives up returns at once, and the
// others get their result; when the last one has given up, no more requests are sent. Two
// puts of one record both succeed.
//
// conforms: kad 38
func TestLookupsAreShared(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 16, kad.StandaloneOptions{}, func(c *kad.Config) { c.Params.K, c.Params.Alpha = 4, 1 })
		l.hub.SetFaults(150*time.Millisecond, 0, 0)
		c := l.clients[3]
		before := c.Stats()
		leave, cancel := context.WithCancel(t.Context())
		errs, took := make([]error, 10), make([]time.Duration, 10)
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range errs {
			wg.Go(func() {
				ctx := t.Context()
				if i < 5 {
					ctx = leave
				}
				_, errs[i] = c.Get(ctx, kad.Key{7})
				took[i] = time.Since(begun)
			})
		}
		time.Sleep(time.Millisecond)
		cancel()
		wg.Wait()
		after := c.Stats()
		if lookups, shared := after.Lookups-before.Lookups, after.Shared-before.Shared; lookups != 1 || shared != 9 {
			t.Errorf("got %d lookups and %d shared ones, want 1 and 9", lookups, shared)
		}
		for i, err := range errs {
			want := kad.ErrNotFound
			if i < 5 {
				want = context.Canceled
				if took[i] != time.Millisecond {
					t.Errorf("caller %d: got an answer after %v, want at once", i, took[i])
				}
			}
			if !errors.Is(err, want) {
				t.Errorf("caller %d: got %v, want %v", i, err, want)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		if _, err := c.Get(ctx, kad.Key{200}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		synctest.Wait()
		sent := c.Stats().Requests["find-value"]
		time.Sleep(10 * time.Second)
		if now := c.Stats().Requests["find-value"]; now.Sent != sent.Sent {
			t.Errorf("got %d requests after the last caller had given up, want none", now.Sent-sent.Sent)
		}

		var puts sync.WaitGroup
		for range 2 {
			puts.Go(func() {
				if r, err := c.Put(t.Context(), []byte("twice")); err != nil || r.Accepted < 2 {
					t.Errorf("got %+v, %v, want that the value is stored", r, err)
				}
			})
		}
		puts.Wait()
	})
}

// A trace has each contact that was asked, with its hop and what became of it, and its totals
// are those of the result. The counts of the client contain them.
//
// conforms: kad 65
func TestTrace(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 30, kad.StandaloneOptions{}, func(c *kad.Config) { c.Params.K = 4 })
		report, err := l.clients[4].Put(t.Context(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		l.hub.SetFaults(20*time.Millisecond, 300*time.Millisecond, 0.1)
		missed := 0 // one packet in ten is lost, and answers are slower than before
		for i, c := range l.clients {
			before := c.Stats()
			var steps []kad.Step
			var result kad.LookupResult
			var last time.Duration
			_, err := c.Get(t.Context(), report.Key, kad.Into(&result), kad.Traced(func(s kad.Step) {
				if s.At < last {
					t.Errorf("got a step at %v after one at %v", s.At, last)
				}
				last = s.At
				steps = append(steps, s)
			}))
			if err != nil {
				missed++
				t.Logf("%d: %v", i, err)
			}
			if result.Reason == 0 { // the client has it itself
				continue
			}
			ended := make(map[kad.ID]kad.Step)
			asked, answers, slow := 0, 0, 0
			for _, s := range steps {
				switch s.State.String() {
				case "asked":
					asked++
				case "answered":
					answers++
				case "slow":
					slow++
				}
				if s.Hop < 1 || s.Rank < 1 {
					t.Errorf("got a step without hop or rank: %+v", s)
				}
				ended[s.Contact.ID] = s
			}
			after := c.Stats()
			got, want := fmt.Sprint(asked, answers, slow, len(ended)), fmt.Sprint(result.Asked, result.Answers, result.Slowed, result.Asked)
			// A lookup of the client's upkeep that ends meanwhile is counted as well.
			if got != want || after.Asked-before.Asked < uint64(asked) {
				t.Errorf("%d: got asked, answers, slow and contacts %s in the trace, want %s; counted %d", i, got, want, after.Asked-before.Asked)
			}
		}
		if missed > 5 {
			t.Errorf("%d of %d clients did not find the value", missed, len(l.clients))
		}
	})
}
