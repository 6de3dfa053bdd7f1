package kad_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// The counts of clients on one network fit together: what one sends, another receives; the
// times of answers are those of the network; each value that was found is some hops away; and
// half of the contacts leave within a time when many of them leave.
func TestFigures(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 24, kad.StandaloneOptions{}, func(c *kad.Config) { c.Params.K = 4 })
		report, err := l.clients[4].Put(t.Context(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range l.clients {
			l.get(c, report.Key, "hello")
		}
		synctest.Wait()
		l.hub.SetFaults(0, 0, 0)
		var in, out uint64
		for _, c := range l.clients {
			s := c.Status(t.Context())
			in, out = in+s.BytesIn, out+s.BytesOut
			if s.Hops < s.Found || s.Found > 0 && s.Hops > 6*s.Found {
				t.Errorf("%s: got %d hops for %d values", c.Name(), s.Hops, s.Found)
			}
			r := s.Requests["find-node"]
			if mean := r.Took / time.Duration(max(1, r.Answered)); r.Answered == 0 || mean < 20*time.Millisecond || mean > time.Second {
				t.Errorf("%s: got %v for an answer, want the 20 ms of the network, or more", c.Name(), mean)
			}
			if s.HalfLife != 0 {
				t.Errorf("%s: got a half-life of %v although nobody has left", c.Name(), s.HalfLife)
			}
		}
		if out < in || out-in > in/10 {
			t.Errorf("got %d bytes sent and %d received, want about the same", out, in)
		}
		for _, c := range l.clients[12:] {
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(30 * time.Minute)
		told := 0
		for _, c := range l.clients[:12] {
			switch h := c.Status(t.Context()).HalfLife; {
			case h > 2*time.Hour:
				t.Errorf("%s: got a half-life of %v after half of the nodes have left", c.Name(), h)
			case h > 0:
				told++ // the others have not asked enough of those that have left
			}
		}
		if told == 0 {
			t.Error("got no half-life at any client after half of the nodes have left")
		}
	})
}

// A store that does not answer in time has no numbers: the status says so, and does not claim none.
func TestStatusWithoutTheStore(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		stuck, armed := make(chan struct{}), atomic.Bool{}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{Fault: func(path, _ string) {
			if armed.Load() && strings.HasSuffix(path, "/c0/store") {
				<-stuck
			}
		}})
		c := l.add(nil)
		_, _ = c.Put(t.Context(), []byte("value"))
		armed.Store(true)
		if s := c.Status(t.Context()); !s.Silent || !strings.Contains(s.String(), "does not answer") || strings.Contains(s.String(), "published") {
			t.Errorf("got %+v (%s), want that the store does not answer", s, s.String())
		}
		armed.Store(false)
		close(stuck)
		if s := c.Status(t.Context()); s.Silent || s.Own != 1 {
			t.Errorf("got %+v, want one publication", s)
		}
	})
}
