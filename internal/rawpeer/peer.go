package rawpeer

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Options of a peer. The zero value has no limits, keeps no frames, and answers pings only.
type Options struct {
	// Check judges each header before the peer takes the frame. An error ends the reading.
	Check func(Header) error
	// Record keeps each frame for [Peer.Frames], without a limit.
	Record bool
	// MaxStreams is how many substreams the node may open; one more ends the reading.
	// MaxHeld is how many bytes of a substream are kept. 0 is no limit.
	MaxStreams, MaxHeld int
	// Reply answers the SYN of a substream that the node opens: ACK, RST, or 0 for nothing.
	// With RST nothing of it is kept.
	Reply uint16
	// InTurn has the reading goroutine write the answers; an error of a write ends it. Otherwise
	// each answer has a goroutine.
	InTurn bool
}

// Peer is one side of a connection. Its methods may be called by several goroutines.
type Peer struct {
	conn    io.ReadWriter
	opts    Options
	writing chan struct{} // has one place: a lock that a bubble can wait for

	mu      sync.Mutex
	changed chan struct{} // closed when something has come
	resume  chan struct{} // not nil: nothing is read until it is closed
	mute    bool
	frames  []Frame
	streams map[uint32]*stream
	opened  []uint32        // by the node
	pings   uint32          // sent
	pongs   map[uint32]bool // awaited
	goAways int
	err     error // the end
}

// New returns a peer on a connection whose identities are exchanged. It reads nothing before
// [Peer.Run].
func New(conn io.ReadWriter, o Options) *Peer {
	return &Peer{
		conn: conn, opts: o, writing: make(chan struct{}, 1), changed: make(chan struct{}),
		streams: map[uint32]*stream{}, pongs: map[uint32]bool{},
	}
}

// Run reads the node's frames until the connection ends. [Peer.Err] then says why.
func (p *Peer) Run() {
	for {
		p.mu.Lock()
		resume := p.resume
		p.mu.Unlock()
		if resume != nil {
			<-resume
		}
		if err := p.next(); err != nil {
			p.change(func() { p.err = err })
			return
		}
	}
}

// change calls f under the lock and wakes the goroutines in Wait.
func (p *Peer) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// next reads one frame, takes note of it, and answers it.
func (p *Peer) next() error {
	f, err := ReadFrame(p.conn, p.opts.MaxHeld, p.opts.Check)
	if err != nil {
		return err
	}
	var answer []byte
	p.change(func() { err, answer = p.note(f), p.answer(f) })
	switch {
	case err != nil || answer == nil:
		return err
	case p.opts.InTurn:
		_, err = p.Write(answer)
		return err
	}
	go func() { _, _ = p.Write(answer) }()
	return nil
}

// note keeps what a frame says.
func (p *Peer) note(f Frame) error {
	if p.opts.Record {
		p.frames = append(p.frames, f)
	}
	switch f.Type() {
	case TypeGoAway:
		p.goAways++
	case TypePing:
		if f.Flags()&ACK != 0 {
			delete(p.pongs, f.Length())
		}
	case TypeData, TypeWindow:
		return p.noteStream(f)
	}
	return nil
}

func (p *Peer) noteStream(f Frame) error {
	if f.Flags()&SYN != 0 {
		if most := p.opts.MaxStreams; most > 0 && len(p.opened) >= most {
			return fmt.Errorf("it opens more than %d substreams", most)
		}
		p.opened = append(p.opened, f.ID())
		if p.opts.Reply == RST {
			return nil
		}
		p.streams[f.ID()] = new(stream)
	}
	if s := p.streams[f.ID()]; s != nil {
		s.note(f, p.opts.MaxHeld)
	}
	return nil
}

// answer returns the answer to a frame, or nil.
func (p *Peer) answer(f Frame) []byte {
	switch opens := f.Type() < TypePing; {
	case f.Flags()&SYN == 0:
	case f.Type() == TypePing && !p.mute:
		return AppendHeader(nil, TypePing, ACK, 0, f.Length())
	case opens && p.opts.Reply == RST:
		return AppendHeader(nil, TypeData, RST, f.ID(), 0)
	case opens && p.opts.Reply == ACK:
		return AppendHeader(nil, TypeWindow, ACK, f.ID(), 0)
	}
	return nil
}

// Write writes bytes as they are, and never inside a frame of another goroutine.
func (p *Peer) Write(b []byte) (int, error) {
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	return p.conn.Write(b)
}

// Send sends a frame, whose length need not be the body's. A SYN forgets what has come on the
// substream.
func (p *Peer) Send(kind byte, flags uint16, id, length uint32, body ...byte) error {
	if kind < TypePing && flags&SYN != 0 {
		p.mu.Lock()
		p.streams[id] = new(stream)
		p.mu.Unlock()
	}
	_, err := p.Write(append(AppendHeader(nil, kind, flags, id, length), body...))
	return err
}

// Data sends a data frame.
func (p *Peer) Data(flags uint16, id uint32, body string) error {
	return p.Send(TypeData, flags, id, uint32(len(body)), []byte(body)...)
}

// Ping sends a ping and returns its value. When [Peer.Awaits] is false, the node has read all
// that was sent before.
func (p *Peer) Ping() (value uint32, err error) {
	p.mu.Lock()
	p.pings++
	value = 0xa5000000 | p.pings
	p.pongs[value] = true
	p.mu.Unlock()
	return value, p.Send(TypePing, SYN, 0, value)
}

// Await expects a pong with this value, for a ping that is sent otherwise.
func (p *Peer) Await(value uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pongs[value] = true
}

// Awaits reports whether a pong with this value is still to come.
func (p *Peer) Awaits(value uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pongs[value]
}

// Wait waits until ok, the end of the connection, or d. It returns the last result of ok.
func (p *Peer) Wait(d time.Duration, ok func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		p.mu.Lock()
		changed, ended := p.changed, p.err != nil
		p.mu.Unlock()
		switch {
		case ok():
			return true
		case ended:
			return false
		}
		select {
		case <-changed:
		case <-limit.C:
			return ok()
		}
	}
}

// Pause stops the reading behind the frame that is awaited now. Resume starts it again.
func (p *Peer) Pause() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume == nil {
		p.resume = make(chan struct{})
	}
	c := p.resume
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.resume == c {
			p.resume = nil
			close(c)
		}
	}
}

// Mute leaves pings unanswered, or answers those to come again.
func (p *Peer) Mute(mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute
}

// Frames returns the frames that have come, with Options.Record.
func (p *Peer) Frames() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.frames)
}

// Opened lists the substreams that the node has opened, in order.
func (p *Peer) Opened() []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.opened)
}

// GoAways counts the GoAways that have come.
func (p *Peer) GoAways() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.goAways
}

// Err returns the error that ended the reading, or nil.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
