package kad_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// A view never changes and fits together while contacts come and go, whoever reads it; nobody
// waits for the table, which is stuck here for a while.
//
// conforms: kad 28
func TestViews(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		stuck := make(chan struct{})
		armed := false
		so := kad.StandaloneOptions{Fault: func(path, at string) {
			mu.Lock()
			wait := armed && path[len(path)-len("/c0/table"):] == "/c0/table"
			mu.Unlock()
			if wait {
				<-stuck
			}
		}}
		l := newLab(t, kad.HubOptions{Delay: time.Millisecond}, so)
		c := l.add(nil)
		var wg sync.WaitGroup
		end := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-end:
						return
					case <-time.After(time.Millisecond):
					}
					v := c.View()
					n := 0
					for i := range v.Buckets() {
						for _, e := range v.Bucket(i) {
							n++
							if own := c.ID().CommonPrefix(e.Contact.ID); own != i && (own < i || i != v.Buckets()-1) {
								t.Errorf("got a contact with %d bits in common in bucket %d", own, i)
							}
							if v.Find(e.Contact.ID) == nil {
								t.Error("got a contact that cannot be found")
							}
						}
					}
					if n != v.Len() || len(v.Nearest(c.ID(), 100)) != n {
						t.Errorf("got %d contacts in buckets, want %d", n, v.Len())
					}
				}
			})
		}
		for range 30 {
			l.add(nil)
			time.Sleep(10 * time.Millisecond)
		}
		for _, other := range l.clients[20:] {
			if err := other.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		mu.Lock()
		armed = true
		mu.Unlock()
		time.Sleep(time.Second) // the table is stuck by now
		before := time.Now()
		if c.View().Len() == 0 || time.Since(before) != 0 {
			t.Errorf("got a view of %d contacts after %v", c.View().Len(), time.Since(before))
		}
		if _, err := l.clients[1].Ping(t.Context(), kad.Contact{ID: c.ID(), PublicKey: kad.MemoryKey(1), Addresses: c.Addresses()}); err != nil {
			t.Errorf("got %v while the table is stuck, want an answer", err)
		}
		if list, err := l.clients[1].Closest(t.Context(), c.ID()); err != nil || len(list) == 0 {
			t.Errorf("got %v, %v while the table is stuck", list, err)
		}
		mu.Lock()
		armed = false
		mu.Unlock()
		close(stuck)
		close(end)
		wg.Wait()
	})
}
