package mux

import "encoding/binary"

// headerLen is the length of every frame's header; only data frames have a
// body behind it. spec: comms 5.2
const headerLen = 12

// MaxPiece is the largest body of a data frame that leaves, in bytes: with its
// header it fills one frame of the encrypted connection below. Peers end the
// connection for a body above 1 MiB. spec: comms 5.5 item 1
const MaxPiece = 65507

// Frame types.
const (
	typeData uint8 = iota
	typeWindow
	typePing
	typeGoAway
)

// Flags.
const (
	flagSYN uint16 = 1 << iota
	flagACK
	flagFIN
	flagRST
)

// header is the first 12 bytes of a frame: version, type, flags, stream id,
// and a length that is the body's for data, a credit for window updates, the
// opaque value of pings and the code of GoAway.
type header [headerLen]byte

func newHeader(kind uint8, flags uint16, id, length uint32) (h header) {
	h[1] = kind
	binary.BigEndian.PutUint16(h[2:], flags)
	binary.BigEndian.PutUint32(h[4:], id)
	h.setLength(length)
	return h
}

func (h *header) version() uint8     { return h[0] }
func (h *header) kind() uint8        { return h[1] }
func (h *header) flags() uint16      { return binary.BigEndian.Uint16(h[2:]) }
func (h *header) id() uint32         { return binary.BigEndian.Uint32(h[4:]) }
func (h *header) length() uint32     { return binary.BigEndian.Uint32(h[8:]) }
func (h *header) setLength(n uint32) { binary.BigEndian.PutUint32(h[8:], n) }

// body is the number of bytes that follow the header.
func (h *header) body() uint32 {
	if h.kind() == typeData {
		return h.length()
	}
	return 0
}
