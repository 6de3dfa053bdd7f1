package wirecheck

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
)

func messagingChecks() []Check {
	checks := []Check{
		{Name: "messaging.accepted", Rules: "comms 81", Title: "t/msg/0.1 is accepted", run: messagingAccepted},
		{Name: "messaging.joined", Rules: "comms 78, 82", Title: "optimistic id and first message in one frame", run: messagingJoined},
		{Name: "messaging.sizes", Rules: "comms 82", Title: "frames of 0 B, 1 B and 1 KiB are taken", run: messagingSizes},
		{Name: "messaging.in-pieces", Rules: "comms 82", Title: "a frame in pieces of one byte is taken", run: messagingInPieces},
		{Name: "messaging.silent", Rules: "comms 83", Title: "the acceptor never writes", run: messagingSilent},
		{Name: "messaging.longest", Rules: "comms 82", Title: "the announcement of exactly 8 MiB is taken", run: messagingLongest},
		{Name: "messaging.too-long", Rules: "comms 82, 90", Title: "the announcement of 8 MiB and a byte ends the session", run: messagingTooLong},
		{Name: "messaging.second", Rules: "comms 84; V 14", Title: "of two substreams of a peer one goes on", run: messagingSecond},
		{Name: "messaging.after-end", Rules: "comms 84", Title: "after one has ended another is accepted", run: messagingAfterEnd},
		{Name: "messaging.large", Rules: "comms 64, 82", Title: "a message of 8 MiB arrives", large: true, run: messagingLarge},
	}
	for i := range checks {
		checks[i].needs = needsSession
	}
	return checks
}

// connectMessaging connects to a node that takes messages.
func (p *probe) connectMessaging() (*session, error) {
	s, err := p.connect()
	if err != nil {
		return nil, err
	}
	if !s.takes(messagingID) {
		return nil, inapplicable("its identity does not list " + messagingID)
	}
	return s, nil
}

// announced is the header of a message.
func announced(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// message is a whole one.
func message(body string) []byte { return append(announced(uint32(len(body))), body...) }

const maxMessage = 8 << 20

func messagingAccepted(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	want := propose(0, messagingID)
	if err := s.open(1, want...); err != nil {
		return err
	}
	if err := s.answers(1, want); err != nil {
		return err
	}
	return s.goesOn(1)
}

func messagingJoined(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, append(propose(optimistic, messagingID), message("hello")...)...); err != nil {
		return err
	}
	return s.stays(1)
}

func messagingSizes(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(optimistic, messagingID)...); err != nil {
		return err
	}
	for _, size := range []int{0, 1, 1 << 10} {
		if err := s.data(1, message(string(make([]byte, size)))...); err != nil {
			return err
		}
		if err := s.goesOn(1); err != nil {
			return after("a message of "+count(size, "byte"), err)
		}
	}
	return nil
}

func messagingInPieces(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(optimistic, messagingID)...); err != nil {
		return err
	}
	for _, b := range message("in pieces") {
		if err := s.data(1, b); err != nil {
			return err
		}
	}
	return s.goesOn(1)
}

func messagingSilent(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(optimistic, messagingID)...); err != nil {
		return err
	}
	for i := range 10 {
		if err := s.data(1, message(fmt.Sprint("message ", i))...); err != nil {
			return err
		}
	}
	if err := s.stays(1); err != nil {
		return err
	}
	if err := s.Send(rawpeer.TypeData, rawpeer.FIN, 1, 0); err != nil {
		return err
	}
	if err := s.ends(1, patience); err != nil {
		return err
	}
	return s.answers(1, nil)
}

func messagingLongest(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, append(propose(optimistic, messagingID), announced(maxMessage)...)...); err != nil {
		return err
	}
	return s.stays(1)
}

func messagingTooLong(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, append(propose(optimistic, messagingID), announced(maxMessage+1)...)...); err != nil {
		return err
	}
	if err := s.ends(1, patience); err != nil && s.Err() == nil {
		return err
	}
	p.note = "the substream ends, the connection stays"
	if s.Wait(2*quiet, func() bool { return s.Err() != nil }) {
		p.note = "the connection ends"
	}
	return s.wrong()
}

func messagingSecond(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	for _, id := range []uint32{1, 3} {
		if err := s.open(id, append(propose(optimistic, messagingID), message("first")...)...); err != nil {
			return err
		}
		if err := s.lives(); err != nil {
			return err
		}
	}
	var ended []uint32
	s.Wait(patience, func() bool {
		ended = slices.DeleteFunc([]uint32{1, 3}, func(id uint32) bool { return !s.Stream(id).Ended() })
		return len(ended) > 0
	})
	if err := s.lives(); err != nil {
		return err
	}
	first, second := s.Stream(1), s.Stream(3)
	switch {
	case first.Ended() && second.Ended():
		return differs("one substream that goes on", "the end of both, by %s and %s", how(first), how(second))
	case first.Ended():
		p.note = "the second takes over"
	case second.Ended():
		p.note = "the second is refused"
	default:
		return differs("the end of one of two substreams", "both open after %v", patience)
	}
	return nil
}

func messagingAfterEnd(p *probe) error {
	s, err := p.half(rawpeer.TypeData)
	if err != nil {
		return err
	}
	if err := s.ends(1, patience); err != nil {
		return err
	}
	if err := s.open(3, append(propose(optimistic, messagingID), message("again")...)...); err != nil {
		return err
	}
	return s.stays(3)
}

const (
	dataFrame   = 32 << 10  // the most that is sent in one frame
	startWindow = 256 << 10 // credit of a new substream: spec: comms 5.2
)

func messagingLarge(p *probe) error {
	s, err := p.connectMessaging()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(optimistic, messagingID)...); err != nil {
		return err
	}
	rest := append(announced(maxMessage), make([]byte, maxMessage)...)
	sent := len(propose(optimistic, messagingID))
	for len(rest) > 0 {
		room := func() int { return startWindow + int(s.Stream(1).Credit) - sent }
		if !s.Wait(patience, func() bool { return room() > 0 || s.Stream(1).Ended() }) || room() <= 0 {
			return differs("credit to go on", "none within %v, %s left, %s", patience, count(len(rest), "byte"), how(s.Stream(1)))
		}
		n := min(len(rest), dataFrame, room())
		if err := s.data(1, rest[:n]...); err != nil {
			return err
		}
		sent, rest = sent+n, rest[n:]
	}
	return s.stays(1)
}
