package safpart_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// TestKeeperCannotRead: while the disk cannot be read, messages for others are relayed at
// once, as if nothing were stored, and a request is answered when the disk can be read again.
func TestKeeperCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{DB: kv.Memory(), slow: make(chan struct{}), unreadable: true}
		b := newBench(t, disk)
		if got := b.offer(b.sealed(b.secret().PublicKey())); got != "" {
			t.Errorf("while the disk is read: got %q, want the message to wait", got)
		}
		close(disk.slow)
		synctest.Wait()
		if got, want := b.source.take(), "dht.Propagate"; got != want {
			t.Errorf("when the disk could not be read: got %q, want %q", got, want)
		}
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.Propagate"; got != want {
			t.Errorf("afterwards: got %q, want %q", got, want)
		}
		if got := b.request(b.secret().PublicKey().NodeID(), wire.StoredRequest{RequestID: 1}.Append(nil)); got != "" {
			t.Errorf("a request: got %q, want it to wait", got)
		}
		if s := b.state(); s.Late != 2 || s.Waiting != 1 || !errors.Is(s.Err, errBad) {
			t.Errorf("got %+v, want two not stored, a request that waits, and why", s)
		}
		disk.mu.Lock()
		disk.unreadable = false
		disk.mu.Unlock()
		time.Sleep(2 * time.Second)
		if got, want := b.sender.take(), "dht.SendControl"; got != want {
			t.Errorf("when the disk can be read again: got %q, want %q", got, want)
		}
		if got, want := b.offer(b.sealed(b.secret().PublicKey())), "dht.DirectOrClosest"; got != want {
			t.Errorf("when the disk can be read again: got %q, want %q", got, want)
		}
	})
}

// TestKeeperRequestsOfABadDisk: requests do not wait for a disk that cannot be read for
// longer than their answers are of use.
func TestKeeperRequestsOfABadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &failing{DB: kv.Memory(), unreadable: true})
		b.request(b.secret().PublicKey().NodeID(), wire.StoredRequest{RequestID: 1}.Append(nil))
		time.Sleep(2 * time.Minute)
		if s := b.state(); s.Dropped != 1 || s.Waiting != 0 || s.Requests.UnderWay != 0 {
			t.Errorf("got %+v, want the request dropped", s)
		}
	})
}

// TestKeeperEndsWhileReading: messages that wait for the disk are relayed when the keeper
// crashes, and requests that get no answer are counted.
func TestKeeperEndsWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{DB: kv.Memory(), slow: make(chan struct{})}
		b := newBench(t, disk)
		for range 3 {
			if got := b.offer(b.sealed(b.secret().PublicKey())); got != "" {
				t.Fatalf("while the disk is read: got %q, want the message to wait", got)
			}
		}
		peer := b.secret().PublicKey().NodeID()
		for n := range uint32(2) {
			b.request(peer, wire.StoredRequest{RequestID: n}.Append(nil))
		}
		b.crash()
		if got, want := b.source.take(), "dht.Propagate, dht.Propagate, dht.Propagate"; got != want {
			t.Errorf("after the crash: got %q, want %q", got, want)
		}
		close(disk.slow)
		synctest.Wait()
		if s := b.state(); s.Late != 3 || s.Ended != 2 || s.Loading {
			t.Errorf("got %+v, want three messages not stored, and two requests without an answer", s)
		}
		if got, want := b.request(peer, wire.StoredRequest{RequestID: 3}.Append(nil)), "dht.SendControl"; got != want {
			t.Errorf("the next incarnation: got %q, want %q", got, want)
		}
	})
}
