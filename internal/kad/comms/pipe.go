package comms

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// pipe writes frames to a substream: one write at a time, with everything that has gathered.
// The substream belongs to the task that reads it.
type pipe struct {
	name    string // of the task that reads
	stream  protocol.Stream
	waiting []byte
	writing bool
	over    bool
}

// slowest is how far a frame, or a write, may fall behind [frame.MinRate].
const slowest = 20 * time.Second

// allowed returns how long n bytes may take.
func allowed(n int) time.Duration { return slowest + time.Duration(n)*time.Second/frame.MinRate }

// wrote reports the end of a write.
type wrote struct{ pipe string }

// add appends a frame. A pipe without a substream keeps it until there is one.
func (p *pipe) add(body []byte) error {
	if len(p.waiting)+len(body) > maxWaiting {
		return ErrBacklog
	}
	p.waiting = frame.Append(p.waiting, body)
	return nil
}

// flush begins a write, unless there is nothing to write or one is under way.
func (p *pipe) flush(c actor.Context, now func() time.Time) {
	if p.writing || p.over || p.stream == nil || len(p.waiting) == 0 {
		return
	}
	p.writing = true
	stream, b := p.stream, p.waiting
	p.waiting = nil
	name := p.name
	supervisor.Do(c, "write "+name, func(context.Context) (wrote, error) {
		if err := stream.SetWriteDeadline(now().Add(allowed(len(b)))); err != nil {
			return wrote{name}, err
		}
		_, err := stream.Write(b)
		return wrote{name}, err
	})
}

// written notes the end of a write, and begins the next one.
func (p *pipe) written(c actor.Context, err error, now func() time.Time) {
	p.writing = false
	if err != nil {
		p.end(c, false)
	}
	p.flush(c, now)
}

// end ends the substream, in order unless something is left to be written. The reading task
// then ends as well.
func (p *pipe) end(c actor.Context, orderly bool) {
	if p.over || p.stream == nil {
		p.over = true
		return
	}
	p.over = true
	stream := p.stream
	if !orderly {
		_ = stream.Close()
		return
	}
	supervisor.Do(c, "end "+p.name, func(context.Context) (ended, error) {
		err := stream.CloseWrite()
		_ = stream.Close()
		return ended{}, err
	})
}

// ended reports that a substream was closed in order.
type ended struct{}
