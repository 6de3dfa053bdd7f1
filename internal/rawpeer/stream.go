package rawpeer

import (
	"strings"
	"time"
)

// Stream is what has come on a substream since its SYN.
type Stream struct {
	Data    string
	Taken   int // bytes of Data that [Peer.Take] has taken
	FIN     bool
	FINType byte // of the frame with FIN
	RST     bool
	Credit  uint32    // beyond the first window
	At      time.Time // of the first frame
	End     time.Time // of FIN or RST
}

// Ended reports whether FIN or RST has come.
func (s Stream) Ended() bool { return s.FIN || s.RST }

// Rest is the data that is not taken.
func (s Stream) Rest() string { return s.Data[s.Taken:] }

// stream is a Stream that grows. Its Data is empty.
type stream struct {
	Stream
	data strings.Builder
}

func (s *stream) note(f Frame, maxHeld int) {
	if s.At.IsZero() {
		s.At = f.At
	}
	body := f.Body
	if maxHeld > 0 {
		body = body[:min(len(body), maxHeld-s.data.Len())]
	}
	s.data.Write(body)
	if f.Type() == TypeWindow {
		s.Credit += f.Length()
	}
	if f.Flags()&(FIN|RST) != 0 && !s.Ended() {
		s.End = f.At
	}
	if f.Flags()&FIN != 0 && !s.FIN {
		s.FIN, s.FINType = true, f.Type()
	}
	s.RST = s.RST || f.Flags()&RST != 0
}

// Stream returns what has come on a substream that either side has opened.
func (p *Peer) Stream(id uint32) Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.streams[id]
	if s == nil {
		return Stream{}
	}
	now := s.Stream
	now.Data = s.data.String()
	return now
}

// Take takes bytes from the rest of a substream.
func (p *Peer) Take(id uint32, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.streams[id]; s != nil {
		s.Taken = min(s.Taken+n, s.data.Len())
	}
}

// Forget drops a substream. Frames for it that still come count for nothing.
func (p *Peer) Forget(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, id)
}
