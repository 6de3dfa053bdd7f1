package mux

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxOutbox is how many bytes of the library's frames may wait in the outbox. Above
	// it the library waits, and with it calls of Accept and Read. It is enough for a whole
	// piece each of 16 substreams.
	maxOutbox = 1 << 20

	// writeThrough is the number of waiting bytes above which a Write waits for the
	// connection before it gives the library one more piece. So the outbox comes near
	// maxOutbox only when many substreams begin to write at once, or had waited for the
	// peer's credit.
	writeThrough = 64 << 10
)

// holdLimit is how long a held frame waits for one to go with it.
const holdLimit = time.Millisecond

// writeOut says who writes a frame of the library to the connection.
type writeOut int

const (
	writeSoon    writeOut = iota // a goroutine, at once
	writeAwaited                 // a caller that waits for it
	writeHeld                    // whoever writes next, or a goroutine after holdLimit
)

// errBusy ends a connection whose peer provokes resets and reads none.
var errBusy = errors.New("the peer does not read what it provokes")

// outbox holds the frames to write: those of the library, and the few of this package:
// resets, pings, GoAway and window updates for dropped bytes. Frames of this package are
// written first, except GoAway; pings are also written between two chunks.
//
// The library has one goroutine for all its frames, and Accept and Read wait for that
// goroutine. So it only puts its frames into the outbox. Write and CloseWrite, which
// wait for their frames anyway, write the outbox out. The SYN of a substream is held,
// since its first bytes follow at once as a rule. For all other frames a goroutine of
// [Session.RunOn] does, so that their callers do not wait for a connection that stands still.
type outbox struct {
	size atomic.Int64 // bytes of the library's frames

	mu      sync.Mutex
	run     func(f func()) // see Session.RunOn
	queue   batch
	pings   int           // among the frames of our own in queue
	emptied chan struct{} // closed when the queue is taken; nil without waiters
	running bool          // the goroutine writes, or is about to
	stopped bool
	holding bool        // there is a held frame, and the timer runs
	holdEnd *time.Timer // made with the first held frame
	leaving bool        // GoAway is among the frames, or was
	wg      sync.WaitGroup
}

// batch is a run of frames.
type batch struct {
	frames  []byte            // our own
	written []chan<- struct{} // closed when the frames are written or dropped
	library []chunk           // the library's
	count   int               // of those
	bare    int               // of those without a body
	syns    []uint32          // substreams whose SYN is among those
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
	b.count++
	if len(body) == 0 {
		b.bare++
	}
	switch {
	case h.kind() == typePing:
		b.pongs++
	case h.flags()&flagSYN != 0:
		b.syns = append(b.syns, h.id())
	}
}

// enqueue queues a frame of the library. It waits only above maxOutbox, and with a frame
// without body above maxControl of these, which a peer that reads nothing can provoke.
func (o *outbox) enqueue(l *link, h *header, body []byte, by writeOut) {
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
	o.put(l, h, body, by)
}

// enqueueNow is enqueue that never waits. It is for window updates, of which a peer that reads
// none of them can provoke four for each substream.
func (o *outbox) enqueueNow(l *link, h *header, body []byte, by writeOut) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(l, h, body, by)
}

// put queues a frame. The lock is held.
func (o *outbox) put(l *link, h *header, body []byte, by writeOut) {
	o.queue.add(h, body)
	o.size.Add(int64(headerLen + len(body)))
	switch by {
	case writeSoon:
		o.start(l)
	case writeHeld:
		o.hold(l)
	}
}

// hold has the outbox written out after holdLimit, unless it is before. The lock is held.
func (o *outbox) hold(l *link) {
	switch {
	case o.holding || o.stopped:
		return
	case o.holdEnd == nil:
		o.holdEnd = time.AfterFunc(holdLimit, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.holding {
				o.holding = false
				o.start(l)
			}
		})
	default:
		o.holdEnd.Reset(holdLimit)
	}
	o.holding = true
}

// start has a goroutine write the outbox out, if none does. The lock is held.
func (o *outbox) start(l *link) {
	if o.running || o.stopped {
		return
	}
	o.running = true
	o.wg.Add(1)
	o.run(func() {
		defer o.wg.Done()
		for o.more() {
			l.flush()
		}
	})
}

// send queues a frame of this package. When it is written, written is closed, unless it is
// nil. No ping is sent after GoAway: the peer closes when it reads GoAway, and unread bytes
// would turn its close into a reset.
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

// reset queues a reset for the peer. That of a substream whose SYN still waits comes behind
// the SYN: a reset of a substream that the peer does not know would open it for the peer alone.
func (o *outbox) reset(l *link, id uint32) error {
	h := newHeader(typeData, flagRST, id, 0)
	if o.behindSYN(l, &h) {
		return nil
	}
	return o.send(l, h, nil)
}

// behindSYN queues the reset of a substream whose SYN still waits, and reports whether it does.
func (o *outbox) behindSYN(l *link, h *header) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.queue.syns, h.id()) {
		return false
	}
	o.queue.add(h, nil)
	o.size.Add(headerLen)
	o.start(l)
	return true
}

// answer sends a frame that the peer has provoked: the reset of a substream that the library
// has not seen, or a window update for dropped bytes. The reader calls it, which slows down a
// peer that provokes such frames faster than they can be written. After a second without
// progress the connection ends.
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
	if o.holding {
		o.holding = false
		o.holdEnd.Stop()
	}
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

// idle reports whether nothing waits.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue.empty()
}

// more reports whether the goroutine has to go on.
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
	if o.holdEnd != nil {
		o.holdEnd.Stop()
	}
	o.mu.Unlock()
	o.wg.Wait()
}
