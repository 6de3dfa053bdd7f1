package kad_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Each actor of a client is killed under load: the actor comes back, no acknowledged record
// is lost, the view can always be read, and puts and gets work afterwards.
//
// conforms: kad 61
func TestKilledUnderLoad(t *testing.T) {
	for _, path := range []string{"/table", "/store", "/upkeep", "/gateways/0", "/lookups", "/gateways", ""} {
		t.Run(path, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) { killUnderLoad(t, path) })
		})
	}
}

func killUnderLoad(t *testing.T, path string) {
	l := network(t, 8, kad.StandaloneOptions{Fault: faults}, nil)
	victim, reader := l.clients[2], l.clients[5]
	var mu sync.Mutex
	var kept []kad.Report
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 20 {
				// Of each error the record may or may not be kept; with a report it was.
				r, err := victim.Put(t.Context(), fmt.Appendf(nil, "value %d/%d", i, j))
				if partial := (*kad.PartialError)(nil); err == nil || errors.As(err, &partial) {
					mu.Lock()
					kept = append(kept, r)
					mu.Unlock()
				}
				if n := victim.View().Len(); n == 0 {
					t.Error("got an empty view")
				}
				_, _ = victim.Get(t.Context(), kad.Key{byte(i), byte(j)})
			}
		})
	}
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		l.kill(victim, path)
	}
	wg.Wait()
	time.Sleep(time.Minute)
	synctest.Wait()
	if got := l.info(victim, path); got.Restarts == 0 && got.Incarnation < 2 || got.State != supervisor.StateRunning {
		t.Errorf("got %+v, want that it has been restarted", got)
	}
	own, err := victim.Own(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := make(map[kad.Key]bool)
	for _, p := range own {
		has[p.Record.Key] = true
	}
	for _, r := range kept {
		if !has[r.Key] {
			t.Errorf("got that %s is not published any more", r.Key.Short())
		}
	}
	if len(kept) == 0 {
		t.Error("got no put that was acknowledged, want most")
	}
	r, err := victim.Put(t.Context(), []byte("afterwards"))
	if err != nil {
		t.Fatalf("got %v, %v, want that a put works", r, err)
	}
	l.get(reader, r.Key, "afterwards")
	l.get(reader, kept[0].Key, "value "+strings.TrimPrefix(string(own[indexOf(own, kept[0].Key)].Record.Value), "value "))
	synctest.Wait() // the last answers may still wait in the gateway's mailbox
	if requests, answers, stores := kad.Held(victim); requests+answers+stores != 0 {
		t.Errorf("got %d, %d and %d tokens that are taken", requests, answers, stores)
	}
}

func indexOf(list []kad.Publication, key kad.Key) int {
	for i := range list {
		if list[i].Record.Key == key {
			return i
		}
	}
	return 0
}

// A lookup whose actor is killed fails with what it had done; another goes on.
//
// conforms: kad 61
func TestKilledLookup(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 12, kad.StandaloneOptions{Fault: faults}, func(c *kad.Config) { c.Params.K = 4 })
		l.hub.SetFaults(100*time.Millisecond, 0, 0)
		c := l.clients[3]
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = c.Get(t.Context(), kad.Key{byte(1 + 100*i)}) })
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		for _, i := range l.host.Root().Snapshot() {
			if name, ok := strings.CutPrefix(i.Path, c.PID().Id+"/lookups/"); ok {
				l.kill(c, "/lookups/"+name)
				break
			}
		}
		wg.Wait()
		failed := (*kad.LookupFailedError)(nil)
		if !errors.As(errs[0], &failed) || len(failed.Steps) == 0 {
			t.Errorf("got %v, want a %T with steps", errs[0], failed)
		}
		if !errors.Is(errs[1], kad.ErrNotFound) {
			t.Errorf("got %v of the other lookup, want %v", errs[1], kad.ErrNotFound)
		}
	})
}

// A client that fails again and again is shown as failed while others go on, and is tried
// again; then it works, with its records. The same holds when the group of all clients fails.
//
// conforms: kad 62
func TestClientFailsForGood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 4, kad.StandaloneOptions{Fault: faults}, nil)
		c := l.clients[1]
		report, err := c.Put(t.Context(), []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			l.kill(c, "")
			time.Sleep(time.Second)
		}
		if got := l.info(c, ""); got.State != supervisor.StateFailed {
			t.Fatalf("got %s, want %s", got.State, supervisor.StateFailed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, kad.Key{}); !errors.Is(err, kad.ErrRestarted) {
			t.Errorf("got %v of a failed client, want %v", err, kad.ErrRestarted)
		}
		l.get(l.clients[2], report.Key, "before")
		time.Sleep(time.Minute)
		if got := l.info(c, ""); got.State != supervisor.StateRunning {
			t.Errorf("got %s after a minute, want %s", got.State, supervisor.StateRunning)
		}
		if own, err := c.Own(t.Context()); err != nil || len(own) != 1 {
			t.Errorf("got %v, %v, want the publication", own, err)
		}

		l.host.System().Root.Send(l.host.Group(), kill{})
		time.Sleep(time.Minute)
		for _, c := range l.clients {
			l.get(c, report.Key, "before")
			if c.State() != 2 { // ready
				t.Errorf("%s is %s", c.Name(), c.State())
			}
		}
	})
}

// A message of a peer that makes an actor panic is dropped and counted; no actor restarts,
// and its token comes back.
//
// conforms: kad 63
func TestPanicOnPeersMessage(t *testing.T) {
	for _, point := range []string{"*kad.arrived", "*kad.serving", "*kad.contactAnswered", "*kad.contactAsked", "*kad.answer"} {
		t.Run(point, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				armed, hits := false, 0
				so := kad.StandaloneOptions{Fault: func(path, at string) {
					mu.Lock()
					defer mu.Unlock()
					if armed && at == point && strings.Contains(path, "/c1/") && hits < 2 {
						hits++
						panic("as a bug would")
					}
				}}
				l := network(t, 6, so, nil)
				arm := func(on bool) {
					mu.Lock()
					defer mu.Unlock()
					armed = on
				}
				arm(true)
				l.add(nil) // somebody new asks
				for i := range 20 {
					_, _ = l.clients[1].Get(t.Context(), kad.Key{byte(i)})
					_, _ = l.clients[2].Put(t.Context(), []byte{byte(i)})
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				var contained, restarts uint64
				for _, i := range l.host.Root().Snapshot() {
					if strings.Contains(i.Path, "/c1") {
						contained, restarts = contained+i.Contained, restarts+i.Restarts
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if hits == 0 || int(contained) > hits || restarts != 0 {
					t.Errorf("got %d panics, %d counted, %d restarts, want some, all counted, and no restart", hits, contained, restarts)
				}
				if requests, answers, stores := kad.Held(l.clients[1]); requests+answers+stores != 0 {
					t.Errorf("got %d, %d and %d tokens that are taken", requests, answers, stores)
				}
			})
		})
	}
}
