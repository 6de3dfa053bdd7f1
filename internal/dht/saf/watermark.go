package saf

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Limits of watermarks.
const (
	// SinceOverlap is how far behind its watermark a server is asked again, because clocks
	// are corrected.
	SinceOverlap = ClockSkew
	// MaxWatermarks is how many servers have a watermark. A further one takes the place of
	// the one that was raised longest ago.
	MaxWatermarks = 1024
)

// Watermark says up to when messages of a server have been received (spec: dht 8.4, 8.5).
type Watermark struct {
	Server identity.NodeID
	Stored uint64 // the latest time of storing, by the server's clock; Unix seconds
	At     int64  // when it was recorded, by our clock; Unix seconds
}

// Watermarks has the watermark of each server. The zero value has none.
type Watermarks struct{ list []Watermark }

// Load adds a watermark that was saved. A later one of the same server stays.
func (w *Watermarks) Load(m Watermark) {
	i := w.index(m.Server)
	switch {
	case i < 0:
		w.add(m)
	case m.Stored > w.list[i].Stored:
		w.list[i] = m
	}
}

// Raise records that messages of the server were received that it stored until then. It
// returns false, and does nothing, if the watermark is not lower. A watermark is never
// lowered (spec: dht 107).
func (w *Watermarks) Raise(wall time.Time, server identity.NodeID, stored uint64) (Watermark, bool) {
	m := Watermark{server, stored, wall.Unix()}
	i := w.index(server)
	switch {
	case i < 0 && stored > 0:
		w.add(m)
	case i >= 0 && stored > w.list[i].Stored:
		w.list[i] = m
	default:
		return Watermark{}, false
	}
	return m, true
}

// Since returns from when on to ask the server for messages: [SinceOverlap] before its
// watermark. It returns 0, for all messages, if there is no watermark, or if our clock
// was set back since it was recorded, because then the server's may have been too.
func (w *Watermarks) Since(wall time.Time, server identity.NodeID) uint64 {
	const overlap = uint64(SinceOverlap / time.Second)
	i := w.index(server)
	if i < 0 {
		return 0
	}
	m, now := w.list[i], wall.Unix()
	if now < m.At || now < 0 || m.Stored > uint64(now)+overlap {
		return 0
	}
	if until := min(m.Stored, uint64(now)); until > overlap {
		return until - overlap
	}
	return 0
}

// List returns the watermarks.
func (w *Watermarks) List() []Watermark { return slices.Clone(w.list) }

func (w *Watermarks) index(server identity.NodeID) int {
	return slices.IndexFunc(w.list, func(m Watermark) bool { return m.Server == server })
}

func (w *Watermarks) add(m Watermark) {
	if len(w.list) < MaxWatermarks {
		w.list = append(w.list, m)
		return
	}
	oldest := 0
	for i := range w.list {
		if w.list[i].At < w.list[oldest].At {
			oldest = i
		}
	}
	w.list[oldest] = m
}

// ErrWatermark reports bytes that are no watermark.
var ErrWatermark = errors.New("saf: damaged watermark")

const watermarkLen = len(identity.NodeID{}) + 16

// Append appends the encoded watermark, 29 bytes.
func (m Watermark) Append(dst []byte) []byte {
	dst = append(dst, m.Server[:]...)
	dst = binary.BigEndian.AppendUint64(dst, m.Stored)
	return binary.BigEndian.AppendUint64(dst, uint64(m.At))
}

// DecodeWatermark decodes a watermark. The error is [ErrWatermark].
func DecodeWatermark(b []byte) (m Watermark, err error) {
	if len(b) != watermarkLen {
		return m, ErrWatermark
	}
	n := copy(m.Server[:], b)
	m.Stored = binary.BigEndian.Uint64(b[n:])
	m.At = int64(binary.BigEndian.Uint64(b[n+8:]))
	return m, nil
}
