package onecall

import (
	"fmt"
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// maxRequestID is the greatest request id; the next id is 1.
const maxRequestID = math.MaxUint16

// Client is the client's side of a session after the handshake: it numbers the
// requests and interprets the responses. It runs one call at a time: Start, then
// Received until the call has ended, or Stop.
type Client struct {
	// Ours says that the server is a node of this library: see Repeat.
	Ours bool

	last, before uint32 // ids
	request      Request
	stream       bool
	item         bool // the running stream has had an item
	active       bool
	answerRead   bool // a part of the answer was read

	afterStream bool // the previous call was a stream
	late        int
	chunks      int
	chunked     []byte
	status      rpc.Status // of the first chunk
	count       uint64
}

// Seconds converts a time limit to the form of requests: whole seconds, rounded up,
// at least one.
func Seconds(d time.Duration) uint64 {
	return uint64(max((d+time.Second-1)/time.Second, 1))
}

// Start begins a call and returns its request, without payload.
func (c *Client) Start(method uint32, limit time.Duration, stream bool) Request {
	c.afterStream = c.count > 0 && c.stream
	c.before, c.last = c.last, c.last%maxRequestID+1
	c.begin(Request{ID: c.last, Method: method, Deadline: Seconds(limit)}, stream)
	return c.request
}

// Ping begins a ping and returns its request. Its answer is [Pong].
func (c *Client) Ping(limit time.Duration) Request {
	c.before = c.last
	c.begin(Request{Flags: ACK, Deadline: Seconds(limit)}, false)
	return c.request
}

func (c *Client) begin(r Request, stream bool) {
	c.request, c.stream, c.item = r, stream, false
	c.active, c.answerRead, c.late = true, false, 0
	c.dropChunks()
	c.count++
}

// Stop ends the running call early and returns the request that tells the server so.
func (c *Client) Stop() Request {
	c.active = false
	c.dropChunks()
	r := c.request
	r.Flags = FIN
	return r
}

// Meaning is the meaning of a response for the running call.
type Meaning uint8

const (
	Nothing Meaning = iota // a late response or a chunk: read the next one
	Item                   // an item of the stream: read the next one
	Final                  // the answer of a unary call
	End                    // of the stream
	Failed                 // the call failed
	Pong                   // the answer of a ping
)

// Event is a response as Received interprets it.
type Event struct {
	Meaning Meaning
	Payload []byte // of Item and Final
	Err     error  // of Failed: an [*Error]
	Open    bool   // the server has not ended the call: send Stop's request
}

// Received interprets a response for the running call. An error ends the session; it
// matches [rpc.ErrProtocol]. The event's payload is a part of r's payload, or of the buffer
// in which chunks are joined. It is valid until the next response.
func (c *Client) Received(r Response) (Event, error) {
	if r.Flags&^(FIN|ACK|MORE) != 0 {
		return Event{}, fmt.Errorf("%w: %#x in a response", ErrFlags, uint32(r.Flags))
	}
	if c.request.Flags&ACK != 0 {
		return c.pong(r)
	}
	switch {
	case r.ID > maxRequestID:
		return Event{}, fmt.Errorf("%w: got %d, want at most %d", ErrRequestID, r.ID, maxRequestID)
	case r.ID != c.last && r.ID == c.before:
		return c.tooLate()
	case r.ID != c.last:
		return Event{}, fmt.Errorf("%w: got %d, want %d", ErrRequestID, r.ID, c.last)
	case r.Flags&ACK != 0:
		return Event{}, fmt.Errorf("%w: an unasked pong", ErrFlags)
	}
	c.answerRead, c.late = true, 0
	return c.assemble(r)
}

// pong interprets the answer of a ping, or a late response before it.
func (c *Client) pong(r Response) (Event, error) {
	switch {
	case r.Flags == ACK && r.ID == c.request.ID:
		c.active, c.answerRead = false, true
		return Event{Meaning: Pong}, nil
	case r.Flags&ACK == 0 && r.ID == c.last && c.last != 0:
		return c.tooLate()
	}
	return Event{}, fmt.Errorf("%w: %#x in the answer of a ping", ErrFlags, uint32(r.Flags))
}

func (c *Client) tooLate() (Event, error) {
	if c.late++; c.late > MaxLate {
		return Event{}, fmt.Errorf("%w: more than %d", ErrTooManyLate, MaxLate)
	}
	return Event{}, nil
}

// Drain lets the running ping skip any number of late responses. Such a ping is sent
// to find their end.
func (c *Client) Drain() { c.late = math.MinInt32 }

// assemble joins chunks (V 17).
func (c *Client) assemble(r Response) (Event, error) {
	if r.Flags&MORE != 0 || c.chunks > 0 {
		if c.chunks++; c.chunks > MaxChunks {
			return Event{}, fmt.Errorf("%w: more than %d", ErrChunks, MaxChunks)
		}
		if len(c.chunked)+len(r.Payload) > MaxChunked {
			return Event{}, fmt.Errorf("%w: more than %d bytes", ErrChunks, MaxChunked)
		}
		if c.chunks == 1 {
			c.status = r.Status
		}
		c.chunked = append(c.chunked, r.Payload...)
		if r.Flags&MORE != 0 {
			return Event{}, nil
		}
		r.Payload, r.Status = c.chunked, c.status
		c.dropChunks()
	}
	return c.whole(r), nil
}

func (c *Client) dropChunks() { c.chunked, c.chunks = nil, 0 }

// whole interprets a complete response.
func (c *Client) whole(r Response) Event {
	fin := r.Flags&FIN != 0
	switch {
	case r.Status != rpc.OK:
		c.active = false
		return Event{Meaning: Failed, Err: ErrorOf(r.Status, r.Payload), Open: !fin}
	case !c.stream:
		c.active = false
		return Event{Meaning: Final, Payload: r.Payload, Open: !fin}
	case fin && len(r.Payload) > 0 && !c.item: // a stream ends with an empty response (comms 99)
		c.active = false
		return Event{Meaning: Failed, Err: rpc.ErrOneAnswer}
	case fin:
		c.active = false
		return Event{Meaning: End}
	}
	c.item = true
	return Event{Meaning: Item, Payload: r.Payload}
}

// Request returns the last request that was begun.
func (c *Client) Request() Request { return c.request }

// Active reports whether a call is running.
func (c *Client) Active() bool { return c.active }

// Repeat says whether a failed call may be made again, on another session.
type Repeat uint8

const (
	RepeatNever   Repeat = iota // the server may have run the call
	RepeatOnce                  // the same, but it has most likely dropped the request
	RepeatAnyTime               // the server has not run the call
)

// SessionEnd is the way in which a session ended, as the client sees it.
type SessionEnd uint8

const (
	EndLost    SessionEnd = iota // the connection broke, or the session was given up
	EndInOrder                   // the server sent its end
	EndReset                     // the server reset the session
)

// Repeat says whether the running call may be made again after the session has ended.
// It never may once a part of the answer was read, or if the connection broke.
//
// A server that ends a session in order has dropped the request. One of this library
// does so in every case; another one if it has served a call of the session before.
// Other servers reset a session, or end it, when a request comes too soon after a
// stream. A server of this library never does that; its reset cuts the running call
// (spec: comms 9.4, 149, V 19).
func (c *Client) Repeat(end SessionEnd) Repeat {
	switch {
	case !c.active || c.answerRead:
	case end == EndInOrder && (c.Ours || c.count > 1):
		return RepeatAnyTime
	case end == EndReset && c.afterStream && !c.Ours:
		return RepeatOnce
	}
	return RepeatNever
}
