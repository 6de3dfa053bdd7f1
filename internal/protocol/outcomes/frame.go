// Package outcomes implements gamelan/outcome/1 and gamelan/answer/1, by which nodes of this library send messages whose
// outcome says more than that the peer's node has read them: that its inbox has them on the disk, or that
// they were handled. Each message has an id, so that a copy of it is handled once.
//
// A frame of [frame] is one of these, the first two on gamelan/outcome/1 and the others on gamelan/answer/1:
//
//	message  1, epoch (8 bytes), number, settled, what, [line (8)], [store (8)], length of the topic, topic, body
//	ask      3, epoch (8), line (8), ranges
//	answer   2, then any number of: epoch (8), result (1), ranges
//	hello    4, epoch (8), store (8), line (8)
//
// Numbers are unsigned LEB128. Number is that of the message in the epoch, the first is 1. Settled is how
// much less the greatest number is up to which the sender waits for no outcome. What is what the sender
// waits for, plus 4 if the message was written before. If the sender waits for something, line follows; if it was written before,
// store does, to which it was written first. Ranges are their count, and for each how many numbers are left out before it, and
// how many it has.
//
// A node says hello when it is asked of nothing: so a sender begins on each connection. The line names the substream, and the
// store what the node remembers of the epoch. A message with another line is not taken, and an ask with another line holds for
// what came before it elsewhere: both are answered by a hello alone. So a message is taken in order, by one memory.
package outcomes

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The protocols. They are in no identity message: a node opens them only to nodes of this library.
const (
	// ID carries messages and, behind them, what is asked of them.
	ID protocol.ID = "gamelan/outcome/1"
	// AnswersID carries answers, the other way. They have a substream of their own, so that none waits
	// behind messages that nobody handles.
	AnswersID protocol.ID = "gamelan/answer/1"
)

// Limits of frames. What is beyond them is an offence.
const (
	// Window is how far the number of a message may be above what is settled.
	Window = 1 << 16
	// MaxTopic is the longest topic, in bytes.
	MaxTopic = protocol.MaxTopic
	// MaxRanges is how many ranges an ask, and each part of an answer, may have.
	MaxRanges = 256
	// MaxParts is how many epochs an answer may have.
	MaxParts = 16
	// MaxAsked is how many numbers of an ask are answered, and how many an answer may have.
	MaxAsked = 1 << 12
)

// MaxHead is the longest head of a message.
const MaxHead = 1 + 8 + 3*binary.MaxVarintLen64 + 1 + 8 + 8 + MaxTopic

// stage names the exchange in violations.
const stage = "outcomes"

// Errors of frames.
var (
	ErrUndecodable = errors.New("outcomes: undecodable frame")
	ErrWindow      = errors.New("outcomes: number beyond the window")
	ErrLimit       = errors.New("outcomes: over the limit")
	errMisplaced   = errors.New("outcomes: a frame of the other protocol")
)

// Epoch names the numbers of a sender: it is random, and new with each start of the sender.
type Epoch uint64

// Store names what a receiver remembers of an epoch: it is random, and new whenever that was lost.
type Store uint64

// Line names a substream with messages: it is random.
type Line uint64

// Want is what the sender of a message waits for.
type Want uint8

// The outcomes that a sender may wait for.
const (
	Read    Want = iota // nothing: the id is for copies alone
	Kept                // that the message is on the disk of an inbox
	Handled             // that it was handled
)

// Result is what became of messages.
type Result uint8

// The results that a receiver tells.
const (
	IsKept    Result = iota + 1 // on the disk of an inbox
	IsHandled                   // handled
	IsDropped                   // not handled, and it will not be: a copy is another message
	IsUnknown                   // the receiver has lost what it remembered: it may have been handled
	NoInbox                     // the receiver keeps nothing; it was not taken
	NoHandler                   // nobody takes its topic; it was not taken
)

// MessageID names a message among those of all senders.
type MessageID struct {
	From   identity.PublicKey
	Epoch  Epoch
	Number uint64
}

// Message is the head of a message.
type Message struct {
	Epoch   Epoch
	Number  uint64
	Settled uint64 // all numbers up to it are settled
	Want    Want
	Line    Line  // with Want: of the hello on this connection
	Again   bool  // it was written before
	Store   Store // with Want and Again: to which it was written first
	Topic   string
}

// Range is some numbers.
type Range struct{ First, Last uint64 }

// AppendNumber appends a number to ranges that it is not below.
func AppendNumber(of []Range, n uint64) []Range {
	switch last := len(of) - 1; {
	case last >= 0 && of[last].Last >= n: // it is there
	case last >= 0 && of[last].Last+1 == n:
		of[last].Last = n
	default:
		of = append(of, Range{n, n})
	}
	return of
}

// Hello tells a sender what its messages are written to.
type Hello struct {
	Epoch Epoch
	Store Store
	Line  Line
}

// Ask asks what became of messages, or, of none, for a hello.
type Ask struct {
	Epoch Epoch
	Line  Line // 0: no hello was heard
	Of    []Range
}

// Part is what became of messages of an epoch.
type Part struct {
	Epoch  Epoch
	Result Result
	Of     []Range // rising
}

const (
	kindMessage = iota + 1
	kindAnswer
	kindAsk
	kindHello
)

const (
	wantMask  = 3
	flagAgain = 4
)

// AppendMessage appends the head of a message. The body follows it.
func AppendMessage(dst []byte, m *Message) []byte {
	dst = append(dst, kindMessage)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Epoch))
	dst = binary.AppendUvarint(dst, m.Number)
	dst = binary.AppendUvarint(dst, m.Number-m.Settled)
	what := byte(m.Want)
	if m.Again {
		what |= flagAgain
	}
	dst = append(dst, what)
	if m.Want > Read {
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.Line))
	}
	if m.Want > Read && m.Again {
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.Store))
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Topic)))
	return append(dst, m.Topic...)
}

// AppendAnswer appends an answer of at most [MaxParts] parts, each of at most [MaxRanges] ranges.
func AppendAnswer(dst []byte, parts []Part) []byte {
	dst = append(dst, kindAnswer)
	for _, p := range parts {
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.Epoch))
		dst = append(dst, byte(p.Result))
		dst = appendRanges(dst, p.Of)
	}
	return dst
}

// AppendAsk appends a question for what became of messages that were written, of at most [MaxRanges] ranges.
func AppendAsk(dst []byte, a Ask) []byte {
	dst = append(dst, kindAsk)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Line))
	return appendRanges(dst, a.Of)
}

// AppendHello appends a hello.
func AppendHello(dst []byte, h Hello) []byte {
	dst = append(dst, kindHello)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Store))
	return binary.BigEndian.AppendUint64(dst, uint64(h.Line))
}

func appendRanges(dst []byte, of []Range) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(of)))
	var before uint64
	for _, r := range of {
		dst = binary.AppendUvarint(dst, r.First-before-1)
		dst = binary.AppendUvarint(dst, r.Last-r.First+1)
		before = r.Last
	}
	return dst
}

// Frame is a decoded frame: one of its fields is set. A frame of an unknown kind has none.
type Frame struct {
	Message *Message
	Body    []byte // of Message; part of what was decoded
	Answer  []Part
	Ask     *Ask
	Hello   *Hello
}

// Decode decodes a frame. An error is a [protocol.Violation].
func Decode(b []byte) (f Frame, err error) {
	d := decoder{b: b}
	switch d.byte() {
	case kindMessage:
		f.Message, f.Body = d.message()
	case kindAnswer:
		var all uint64
		for len(d.b) > 0 && d.err == nil {
			if len(f.Answer) == MaxParts {
				return Frame{}, violation(fmt.Errorf("%w: more than %d epochs", ErrLimit, MaxParts))
			}
			p := Part{Epoch: Epoch(d.fixed()), Result: Result(d.byte())}
			p.Of = d.ranges()
			f.Answer = append(f.Answer, p)
			for _, r := range p.Of {
				if all += r.Last - r.First + 1; all > MaxAsked {
					return Frame{}, violation(fmt.Errorf("%w: an answer with more than %d numbers", ErrLimit, MaxAsked))
				}
			}
		}
	case kindAsk:
		f.Ask = &Ask{Epoch: Epoch(d.fixed()), Line: Line(d.fixed())}
		f.Ask.Of = d.ranges()
		d.end()
	case kindHello:
		f.Hello = &Hello{Epoch(d.fixed()), Store(d.fixed()), Line(d.fixed())}
		d.end()
	}
	if d.err != nil {
		return Frame{}, violation(d.err)
	}
	return f, nil
}

// TooManyEpochs is the violation of a peer that begins a new epoch more than n times in an hour on one substream.
func TooManyEpochs(n int) error {
	return violation(fmt.Errorf("%w: more than %d epochs in an hour", ErrLimit, n))
}

// Misplaced is the error of a frame that does not belong to its protocol.
func Misplaced() error { return violation(errMisplaced) }

func violation(err error) error { return protocol.Violated(stage, protocol.BanShort, err) }

// decoder takes fields off b until one is not there.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.b, d.err = nil, err
	}
}

func (d *decoder) end() {
	if len(d.b) > 0 {
		d.fail(ErrUndecodable)
	}
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) || d.err != nil {
		d.fail(fmt.Errorf("%w: cut off", ErrUndecodable))
		return make([]byte, min(n, 8))
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) fixed() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(fmt.Errorf("%w: no number", ErrUndecodable))
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) message() (*Message, []byte) {
	m := &Message{Epoch: Epoch(d.fixed()), Number: d.uvarint()}
	above := d.uvarint()
	what := d.byte()
	m.Want, m.Again = Want(what&wantMask), what&flagAgain != 0
	if m.Want > Read {
		m.Line = Line(d.fixed())
	}
	if m.Want > Read && m.Again {
		m.Store = Store(d.fixed())
	}
	switch n := d.uvarint(); {
	case n > MaxTopic:
		d.fail(fmt.Errorf("%w: topic of %d bytes, at most %d", ErrLimit, n, MaxTopic))
	default:
		if m.Topic = string(d.take(int(n))); d.err == nil && n > 0 && protocol.CheckTopic(m.Topic) != nil {
			d.fail(protocol.ErrBadTopic)
		}
	}
	switch {
	case d.err != nil:
	case m.Number == 0 || above == 0 || above > m.Number:
		d.fail(fmt.Errorf("%w: number %d, %d above what is settled", ErrUndecodable, m.Number, above))
	case above > Window:
		d.fail(fmt.Errorf("%w: %d above what is settled, at most %d", ErrWindow, above, Window))
	case m.Want > Handled:
		d.fail(fmt.Errorf("%w: unknown outcome %d", ErrUndecodable, m.Want))
	}
	m.Settled = m.Number - above
	return m, d.b
}

func (d *decoder) ranges() (of []Range) {
	n := d.uvarint()
	if n > MaxRanges {
		d.fail(fmt.Errorf("%w: %d ranges, at most %d", ErrLimit, n, MaxRanges))
	}
	var before, all uint64
	for range n {
		gap, length := d.uvarint(), d.uvarint()
		first := before + 1 + gap
		last := first + length - 1
		all += length
		if d.err != nil {
			return nil
		}
		if first <= before || last < first || length > Window || all > Window {
			d.fail(fmt.Errorf("%w: ranges", ErrUndecodable))
			return nil
		}
		of = append(of, Range{first, last})
		before = last
	}
	return of
}
