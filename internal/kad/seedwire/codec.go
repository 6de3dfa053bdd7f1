package seedwire

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Sizes in bytes.
const (
	// MaxDatagram is the longest datagram that IPv4 can carry.
	MaxDatagram = 65_507
	// MaxList is the longest datagram with contacts: it passes every link unfragmented.
	MaxList = 1400
	// ReceiveBuffer is what a reader needs, so that no datagram is cut.
	ReceiveBuffer = 65_536
)

// MaxContacts is how many contacts of a message are read. Those behind them are only
// checked.
const MaxContacts = 40

// Causes of an [overlay.DecodeError] of a datagram. [overlay.ErrIDLength] is one, too.
var (
	// ErrTruncated reports a datagram that ends within its message, or a length or count
	// that says so.
	ErrTruncated = errors.New("seed: truncated")
	// ErrTag reports a tag above 6.
	ErrTag = errors.New("seed: unknown tag")
	// ErrText reports an address that is not UTF-8.
	ErrText = errors.New("seed: text that is not UTF-8")
)

// ErrVerb reports a message that this wire cannot carry.
var ErrVerb = errors.New("seed: no such message in this overlay")

// The tags.
const (
	tagPing uint32 = iota
	tagStore
	tagFindNode
	tagFindValue
	tagPong
	tagNodes
	tagValue
)

// lengthSize is the size of a length or a count.
const lengthSize = 8

// Codec encodes and decodes the messages of one network. The zero value is not usable:
// get one from [NewCodec]. It may be used by several goroutines.
type Codec struct {
	n        int // length of ids
	maxValue int
}

// Limits of the values of own STOREs in bytes, in a network with ids of 20 bytes.
const (
	// DefaultMaxValue is the longest value whose datagram is not fragmented on the way.
	DefaultMaxValue = 1304
	// LongestValue is the longest value that a datagram can carry.
	LongestValue = 65_411
)

// NewCodec returns the codec of the network whose ids have n bytes, as its [overlay.Hasher]
// says. maxValue is the longest value that may be stored at others, in bytes; 0 means as
// long as a datagram of [MaxList] bytes can carry, which is [DefaultMaxValue] for ids of
// 20 bytes. NewCodec fails with [overlay.ErrIDLength], or with an [overlay.ValueTooLargeError] if
// no datagram can carry maxValue.
func NewCodec(n, maxValue int) (Codec, error) {
	if n < 1 || n > overlay.IDLen {
		return Codec{}, fmt.Errorf("%w: %d bytes, want 1 to %d", overlay.ErrIDLength, n, overlay.IDLen)
	}
	c := Codec{n: n, maxValue: maxValue}
	if maxValue == 0 {
		c.maxValue = MaxList - c.valueOverhead()
	}
	if longest := c.longestValue(); maxValue < 0 || maxValue > longest {
		return Codec{}, &overlay.ValueTooLargeError{Size: maxValue, Max: longest, Gateway: gateway}
	}
	return c, nil
}

// gateway names the wire in errors.
const gateway = "seed udp"

// IDLen returns the length of ids in bytes.
func (c Codec) IDLen() int { return c.n }

// MaxValue returns the longest value of an own STORE in bytes.
func (c Codec) MaxValue() int { return c.maxValue }

// The sizes of kad A6, for ids of n bytes.

func (c Codec) id() int            { return lengthSize + c.n }
func (c Codec) header() int        { return 2*c.id() + 4 }
func (c Codec) valueOverhead() int { return c.header() + c.id() + lengthSize }
func (c Codec) longestValue() int  { return MaxDatagram - c.valueOverhead() }

func (c Codec) contact(a overlay.Address) int { return lengthSize + len(a) + c.id() }

// Size returns the length of the datagram of m in bytes, and 0 for a message that this
// wire cannot carry.
func (c Codec) Size(m *overlay.Message) int {
	switch m.Verb {
	case overlay.Ping, overlay.Pong:
		return c.header()
	case overlay.FindNode, overlay.FindValue:
		return c.header() + c.id()
	case overlay.Store, overlay.Value:
		if m.Record != nil {
			return c.valueOverhead() + len(m.Record.Value)
		}
	case overlay.Nodes:
		size := c.header() + lengthSize
		for i := range m.Contacts {
			if len(m.Contacts[i].Addresses) > 0 {
				size += c.contact(m.Contacts[i].Addresses[0])
			}
		}
		return size
	}
	return 0
}
