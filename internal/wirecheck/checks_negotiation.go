package wirecheck

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What negotiation is made of: spec: comms 6.1.
const (
	flagOptimistic   = 1
	flagTerminate    = 2
	flagNotSupported = 4

	optimistic = flagOptimistic | flagTerminate // what openers send

	messagingID = "t/msg/0.1"
	unknownID   = "t/gamelan-interop/1"
)

var (
	refusal     = []byte{0, flagNotSupported}
	lastRefusal = []byte{0, flagNotSupported | flagTerminate}
)

// propose is a frame of negotiation.
func propose(flags byte, id string) []byte { return append([]byte{byte(len(id)), flags}, id...) }

func negotiationChecks() []Check {
	checks := []Check{
		{Name: "negotiate.accepted", Rules: "comms 71", Title: "a supported id is repeated with flags 00", run: negotiateAccepted},
		{Name: "negotiate.refused", Rules: "comms 74", Title: "five unknown ids: 00 04 four times, then 00 06 and the end", run: negotiateRefused},
		{Name: "negotiate.second", Rules: "comms 74", Title: "after 00 04 a supported id is accepted", run: negotiateSecond},
		{Name: "negotiate.flag-04", Rules: "comms 74", Title: "a supported id with flag 04 is accepted", run: negotiateFlag04},
		{Name: "negotiate.empty", Rules: "comms 74", Title: "an empty id is answered 00 04", run: negotiateEmpty},
		{Name: "negotiate.longest", Rules: "comms 79", Title: "an id of 255 bytes is answered 00 04", run: negotiateLongest},
		{Name: "negotiate.in-pieces", Rules: "comms 78", Title: "a proposal in frames of one byte is accepted", run: negotiateInPieces},
		{Name: "negotiate.optimistic", Rules: "comms 73", Title: "flags 03 with a supported id: no answer, no reset", run: negotiateOptimistic},
		{Name: "negotiate.flag-01", Rules: "comms 73", Title: "flags 01 with a supported id: the same", run: negotiateFlag01},
		{Name: "negotiate.optimistic-unknown", Rules: "comms 73", Title: "flags 03 with an unknown id: reset without an answer", run: negotiateOptimisticUnknown},
		{Name: "negotiate.terminate", Rules: "comms 75", Title: "00 02: the substream ends without an answer", run: negotiateTerminate},
		{Name: "negotiate.unfinished", Rules: "comms 77, 80", Title: "half a proposal holds up no other, and ends after 10 s", slow: true, run: negotiateUnfinished},
	}
	for _, flags := range []byte{0x08, 0x80, 0x09} {
		checks = append(checks, Check{
			Name: fmt.Sprintf("negotiate.flags-%02x", flags), Rules: "comms 76",
			Title: fmt.Sprintf("unknown flags %02x end the connection", flags),
			run:   func(p *probe) error { return negotiateUnknownFlags(p, flags) },
		})
	}
	for i := range checks {
		checks[i].needs = needsSession
	}
	return checks
}

// connectWith connects and names a protocol that the node takes, messaging if
// it can be that.
func (p *probe) connectWith() (*session, string, error) {
	s, err := p.connect()
	if err != nil {
		return nil, "", err
	}
	if len(s.said.protocols) == 0 {
		return nil, "", inapplicable("its identity lists no protocol")
	}
	if s.takes(messagingID) {
		return s, messagingID, nil
	}
	return s, string(s.said.protocols[0].value), nil
}

func (s *session) takes(id string) bool {
	return slices.ContainsFunc(s.said.protocols, func(f field) bool { return string(f.value) == id })
}

// negotiated opens substream 1 with a protocol that the node takes, and returns
// what was proposed and answered.
func (p *probe) negotiated() (*session, []byte, error) {
	s, id, err := p.connectWith()
	if err != nil {
		return nil, nil, err
	}
	want := propose(0, id)
	if err := s.open(1, want...); err != nil {
		return nil, nil, err
	}
	return s, want, s.answers(1, want)
}

func negotiateAccepted(p *probe) error {
	s, _, err := p.negotiated()
	if err != nil {
		return err
	}
	return s.goesOn(1)
}

func negotiateRefused(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(1); err != nil {
		return err
	}
	var want []byte
	for round := range 5 {
		if err := s.data(1, propose(0, fmt.Sprintf("%s%d", unknownID, round))...); err != nil {
			return err
		}
		if round == 4 {
			want = append(want, lastRefusal...)
		} else {
			want = append(want, refusal...)
		}
		if err := s.answers(1, want); err != nil {
			return err
		}
	}
	if err := s.ends(1, patience); err != nil {
		return err
	}
	return s.lives()
}

func negotiateSecond(p *probe) error {
	s, id, err := p.connectWith()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(0, unknownID)...); err != nil {
		return err
	}
	if err := s.answers(1, refusal); err != nil {
		return err
	}
	if err := s.data(1, propose(0, id)...); err != nil {
		return err
	}
	return s.answers(1, append(slices.Clone(refusal), propose(0, id)...))
}

func negotiateFlag04(p *probe) error {
	s, id, err := p.connectWith()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(flagNotSupported, id)...); err != nil {
		return err
	}
	return s.answers(1, propose(0, id))
}

func negotiateEmpty(p *probe) error { return negotiateRefusal(p, "") }

func negotiateLongest(p *probe) error { return negotiateRefusal(p, strings.Repeat("x", 255)) }

func negotiateRefusal(p *probe, id string) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(0, id)...); err != nil {
		return err
	}
	return s.answers(1, refusal)
}

func negotiateInPieces(p *probe) error {
	s, id, err := p.connectWith()
	if err != nil {
		return err
	}
	want := propose(0, id)
	if err := s.open(1); err != nil {
		return err
	}
	for _, b := range want {
		if err := s.data(1, b); err != nil {
			return err
		}
		s.Wait(10*time.Millisecond, func() bool { return false }) // so that it meets each piece alone
	}
	return s.answers(1, want)
}

func negotiateOptimistic(p *probe) error { return negotiateUnanswered(p, optimistic) }

func negotiateFlag01(p *probe) error { return negotiateUnanswered(p, flagOptimistic) }

func negotiateUnanswered(p *probe, flags byte) error {
	s, id, err := p.connectWith()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(flags, id)...); err != nil {
		return err
	}
	return s.stays(1)
}

func negotiateOptimisticUnknown(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(optimistic, unknownID)...); err != nil {
		return err
	}
	return s.endsSilently(1, patience)
}

// endsSilently expects the end of a substream, before which nothing comes on it.
func (s *session) endsSilently(id uint32, d time.Duration) error {
	if err := s.ends(id, d); err != nil {
		return err
	}
	if err := s.answers(id, nil); err != nil {
		return err
	}
	return s.lives()
}

func negotiateTerminate(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(flagTerminate, "")...); err != nil {
		return err
	}
	return s.endsSilently(1, patience)
}

func negotiateUnknownFlags(p *probe, flags byte) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(flags, unknownID)...); err != nil {
		return err
	}
	return s.closes()
}

func negotiateUnfinished(p *probe) error {
	s, id, err := p.connectWith()
	if err != nil {
		return err
	}
	if err := s.open(1, propose(0, id)[:3]...); err != nil {
		return err
	}
	began := time.Now()
	want := propose(0, id)
	if err := s.open(3, want...); err != nil {
		return err
	}
	if err := s.answers(3, want); err != nil {
		return err
	}
	const limit = 10 * time.Second
	if err := s.ends(1, time.Until(began.Add(limit+late))); err != nil {
		return err
	}
	return notEarly(began, limit)
}
