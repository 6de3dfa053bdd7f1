package mux

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxOutbox is how many bytes of frames the library may have handed over that
	// nobody has begun to write. Then the library waits, and with it whoever
	// accepts or reads. It is enough for a whole piece each of 16 substreams.
	maxOutbox = 1 << 20

	// passing is how many of them there are when a Write of ours waits for the
	// connection, instead of handing the library one more piece. So only what
	// many begin to write at once, or what had waited for the peer's credit,
	// comes near maxOutbox.
	passing = 64 << 10
)

// errBusy ends a connection whose peer provokes resets and reads none.
var errBusy = errors.New("the peer does not read what it provokes")

// outbox holds what is to be written: the frames of the library, and the few that
// the library does not write: resets, pings, GoAway and the window of what is
// dropped. The latter leave first, except GoAway, and pings also between what is
// being written.
//
// The library has one goroutine for all its frames, and whoever accepts a
// substream or reads one waits for it. So that goroutine only leaves its frames
// here. Whoever asked for a frame and waits for it anyway writes the outbox out
// when the library has handed it over: Write, CloseWrite, Open. For all other
// frames a short-lived goroutine does it, so that nobody who asks for one waits
// for a connection that does not move.
type outbox struct {
	size atomic.Int64 // bytes of the library's frames

	mu      sync.Mutex
	queue   batch
	pings   int           // among the frames of our own in queue
	emptied chan struct{} // closed when the queue is taken; nil without waiters
	running bool
	stopped bool
	leaving bool // GoAway is among the frames, or was
	wg      sync.WaitGroup
}

// batch is a run of frames.
type batch struct {
	frames  []byte            // our own
	written []chan<- struct{} // who waits until they are written or dropped
	library []chunk           // the library's
	bare    int               // of those without a body
	pongs   int32             // among those
	goodbye []byte            // GoAway, behind all of them
}

func (b *batch) empty() bool {
	return len(b.frames) == 0 && len(b.library) == 0 && b.goodbye == nil
}

func (b batch) done() {
	for _, ch := range b.written {
		close(ch)
	}
}

// add appends a frame of the library.
func (b *batch) add(h *header, body []byte) {
	n, last := headerLen+len(body), len(b.library)-1
	if last < 0 || b.library[last].room() < n {
		b.library = append(b.library, newChunk(n, last < 0))
		last++
	}
	b.library[last].add(h, body)
	if len(body) == 0 {
		b.bare++
	}
	if h.kind() == typePing {
		b.pongs++
	}
}

// leave queues a frame of the library. Somebody writes the outbox out behind it
// if awaited is set, else a goroutine does. It waits only at maxOutbox, and with a
// frame without body at maxControl of those: a peer that reads nothing can provoke
// them.
func (o *outbox) leave(l *link, h *header, body []byte, awaited bool) {
	o.mu.Lock()
	for o.size.Load() >= maxOutbox || len(body) == 0 && o.queue.bare >= maxControl {
		room := o.room()
		o.mu.Unlock()
		select {
		case <-room:
		case <-l.over:
			return
		}
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	o.queue.add(h, body)
	o.size.Add(int64(headerLen + len(body)))
	if !awaited {
		o.start(l)
	}
}

// start has a goroutine write the outbox out, if none does. The lock is held.
func (o *outbox) start(l *link) {
	if o.running || o.stopped {
		return
	}
	o.running = true
	o.wg.Go(func() {
		for o.more() {
			l.flush()
		}
	})
}

// send queues a frame of our own. It reports by closing written, unless that is
// nil. No ping follows GoAway: the peer closes when it reads that, and what it
// leaves unread makes a reset of the close.
func (o *outbox) send(l *link, h header, written chan<- struct{}) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.leaving && h.kind() == typePing {
		return ErrGoingAway
	}
	if len(o.queue.frames) >= maxControl*headerLen {
		return errBusy
	}
	if h.kind() == typeGoAway {
		o.leaving = true
		o.queue.goodbye = append(o.queue.goodbye, h[:]...)
	} else {
		o.queue.frames = append(o.queue.frames, h[:]...)
	}
	if h.kind() == typePing {
		o.pings++
	}
	if written != nil {
		o.queue.written = append(o.queue.written, written)
	}
	o.start(l)
	return nil
}

// reset queues a reset for the peer.
func (o *outbox) reset(l *link, id uint32) error {
	return o.send(l, newHeader(typeData, flagRST, id, 0), nil)
}

// answer sends a frame that the peer has provoked: the reset of a substream that
// the library has not seen, or the window of bytes that it never will. It is
// called by the reader, and so slows a peer that provokes them faster than they
// can leave; after a second of no progress the connection ends.
func (l *link) answer(h header) error {
	o := &l.outbox
	if err := o.send(l, h, nil); err != errBusy {
		return err
	}
	limit := time.NewTimer(holdBack)
	defer limit.Stop()
	for {
		o.mu.Lock()
		room := o.room()
		o.mu.Unlock()
		if err := o.send(l, h, nil); err != errBusy {
			return err
		}
		select {
		case <-room:
		case <-limit.C:
			return errBusy
		case <-l.over:
			return ErrHungUp
		}
	}
}

// room returns a channel that closes when the queue is emptied. The lock is held.
func (o *outbox) room() <-chan struct{} {
	if o.emptied == nil {
		o.emptied = make(chan struct{})
	}
	return o.emptied
}

// take empties the queue. The next frames of the library go to spare.
func (o *outbox) take(spare []chunk) batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.queue
	o.queue, o.pings = batch{library: spare}, 0
	o.size.Store(0)
	if o.emptied != nil {
		close(o.emptied)
		o.emptied = nil
	}
	return b
}

// takePings takes only the pings of our own, if there are any.
func (o *outbox) takePings() (pings []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pings == 0 {
		return nil
	}
	rest := o.queue.frames[:0]
	for f := range slices.Chunk(o.queue.frames, headerLen) {
		if h := header(f); h.kind() == typePing {
			pings = append(pings, f...)
		} else {
			rest = append(rest, f...)
		}
	}
	o.queue.frames, o.pings = rest, 0
	return pings
}

// more tells the goroutine whether to go on.
func (o *outbox) more() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = !o.queue.empty()
	return o.running
}

// stop waits for the goroutine, if there is one; the connection is closed.
func (o *outbox) stop() {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	o.wg.Wait()
}
