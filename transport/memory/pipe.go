package memory

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipe is one direction of a connection.
//
// A goroutine that has to wait does so on cond, which testing/synctest counts as durably
// blocked, and starts the timer that it needs.
type pipe struct {
	mu   sync.Mutex // never held while waiting
	cond sync.Cond  // something changed

	link Link
	held bool // a partition separates the ends: nothing arrives
	seed [2]uint64
	rand *rand.Rand // for jitter, made when needed

	queue    queue
	busy     time.Time // the bandwidth is used up until then
	lastAt   time.Time // arrival of the last piece
	end      error     // error for the reader after the queue; nil while open
	endAt    time.Time // arrival of end
	endHeld  bool
	writing  bool // a Write is under way; other Writes wait
	readGone bool // the reader has closed
	writeErr error

	readDeadline, writeDeadline time.Time
}

func newPipe(seed, id uint64) *pipe {
	p := &pipe{seed: [2]uint64{seed, id}}
	p.cond.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.readGone {
			return 0, net.ErrClosed
		}
		if passed(p.readDeadline) {
			return 0, os.ErrDeadlineExceeded
		}
		n, at, err := p.take(b)
		if n > 0 {
			p.cond.Broadcast() // there is room
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
		p.wait(p.readDeadline, at)
	}
}

// take moves bytes that have arrived to b. If there are none, it returns when the next
// piece will arrive, if that is known.
func (p *pipe) take(b []byte) (n int, at time.Time, err error) {
	if p.link.MaxRead > 0 {
		b = b[:min(len(b), p.link.MaxRead)]
	}
	n, at = p.queue.take(b)
	if n > 0 || !p.queue.empty() || p.end == nil || p.endHeld {
		return n, at, nil
	}
	if !arrived(p.endAt) {
		return 0, p.endAt, nil
	}
	return 0, time.Time{}, p.end
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := false
	defer func() {
		if mine {
			p.writing = false
			p.cond.Broadcast()
		}
	}()
	for {
		if p.writeErr != nil {
			return n, p.writeErr
		}
		if p.readGone && !p.held {
			return n, syscall.ECONNRESET
		}
		if passed(p.writeDeadline) {
			return n, os.ErrDeadlineExceeded
		}
		if mine || !p.writing {
			mine, p.writing = true, true
			if room := p.link.buffer() - p.queue.size; room > 0 && len(b) > 0 {
				k := min(room, len(b))
				p.put(b[:k])
				n += k
				b = b[k:]
				p.cond.Broadcast()
			}
			if len(b) == 0 {
				return n, nil
			}
		}
		p.wait(p.writeDeadline, time.Time{})
	}
}

// put queues b in pieces, each with its own time of arrival.
func (p *pipe) put(b []byte) {
	for len(b) > 0 {
		k := min(len(b), chunkSize)
		p.queue.put(b[:k], p.arrival(k), p.held)
		b = b[k:]
	}
}

// arrival returns when a piece of n bytes that is sent now arrives. The zero
// time is now.
func (p *pipe) arrival(n int) time.Time {
	if p.link.immediate() && p.lastAt.IsZero() {
		return time.Time{}
	}
	at := time.Now()
	if p.link.Bandwidth > 0 {
		if p.busy.After(at) {
			at = p.busy
		}
		at = at.Add(time.Duration(float64(n) / float64(p.link.Bandwidth) * float64(time.Second)))
		p.busy = at
	}
	at = at.Add(p.link.Latency)
	if p.link.Jitter > 0 {
		if p.rand == nil {
			p.rand = rand.New(rand.NewPCG(p.seed[0], p.seed[1]))
		}
		at = at.Add(time.Duration(p.rand.Int64N(int64(p.link.Jitter))))
	}
	if at.Before(p.lastAt) {
		at = p.lastAt
	}
	p.lastAt = at
	return at
}

// wait releases mu until something changes or the earlier of two times has come. A zero
// time never comes.
func (p *pipe) wait(deadline, at time.Time) {
	if at.IsZero() || !deadline.IsZero() && deadline.Before(at) {
		at = deadline
	}
	if at.IsZero() {
		p.cond.Wait()
		return
	}
	timer := time.AfterFunc(time.Until(at), func() {
		p.mu.Lock() // so that Broadcast does not come before Wait
		defer p.mu.Unlock()
		p.cond.Broadcast()
	})
	p.cond.Wait()
	timer.Stop()
}

func (p *pipe) setDeadline(which *time.Time, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*which = t
	p.cond.Broadcast()
}

// closeRead is the reader's Close. It reports whether bytes had arrived that were not
// read.
func (p *pipe) closeRead() (unread bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	unread = p.queue.arrived()
	p.readGone = true
	p.queue.drop()
	p.cond.Broadcast()
	return unread
}

// closeWrite is the writer's Close or CloseWrite: the reader will see the end. With
// reset, bytes that have not arrived are lost.
func (p *pipe) closeWrite(whole, reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr == nil {
		p.writeErr = syscall.EPIPE
	}
	if whole {
		p.writeErr = net.ErrClosed
	}
	switch {
	case reset && p.end != syscall.ECONNRESET:
		p.queue.keepArrived()
		p.endWith(syscall.ECONNRESET)
	case p.end == nil:
		p.endWith(io.EOF)
	}
	p.cond.Broadcast()
}

func (p *pipe) endWith(err error) {
	p.end, p.endAt, p.endHeld = err, p.arrival(0), p.held
}

// cut is the loss of the connection.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.keepArrived()
	p.end, p.endAt, p.endHeld = syscall.ECONNRESET, time.Time{}, false
	if p.writeErr == nil {
		p.writeErr = syscall.ECONNRESET
	}
	p.cond.Broadcast()
}

// configure sets the link for later writes, and holds this direction back or releases
// it.
func (p *pipe) configure(l Link, held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = l
	if held == p.held {
		p.cond.Broadcast() // the buffer may have grown
		return
	}
	p.held = held
	switch {
	case held:
		p.queue.hold()
		p.endHeld = p.end != nil && !arrived(p.endAt)
	default:
		at := p.arrival(0)
		p.queue.letGo(at)
		if p.endHeld {
			p.endHeld, p.endAt = false, at
		}
		if p.readGone {
			p.queue.drop()
		}
	}
	p.cond.Broadcast()
}

// passed reports whether a deadline is over.
func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// arrived reports whether the time of arrival has come.
func arrived(at time.Time) bool {
	return at.IsZero() || !time.Now().Before(at)
}
