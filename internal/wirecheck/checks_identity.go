package wirecheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The limits of an identity message: spec: comms 7.4.
var limits = protocol.DefaultLimits()

func identityChecks() []Check {
	checks := []Check{
		{
			Name: "identity.unasked", Rules: "comms 44", Title: "it sends its frame without waiting for ours",
			run: identityUnasked,
		},
		{
			Name: "identity.header", Rules: "comms 45, 47", Title: "version 0, the length little-endian and at most 1024",
			run: identityHeaderRight,
		},
	}
	for _, c := range []struct {
		name, rules, title string
		look               func(p *probe, s *identityFields) error
	}{
		{"message", "comms 46, 49", "the body is a protobuf message with its five fields", lookMessage},
		{"protocols", "comms 50", "at most 20 protocols of 1 to 50 bytes", lookProtocols},
		{"user-agent", "comms 50", "a user agent of at most 50 bytes of UTF-8", lookUserAgent},
		{"printable", "V 7", "user agent and protocols are printable ASCII", lookPrintable},
		{"addresses", "comms 12, 15; V 5", "1 to 5 well-formed addresses", lookAddresses},
		{"features", "comms 51", "no unknown features", lookFeatures},
		{"signature", "comms 53, 55, 56", "signed by its key over the bytes as they came", lookSignature},
		{"date", "comms 54", "dated in 1970 or later, at most 24 h ahead", lookDate},
	} {
		checks = append(checks, Check{
			Name: "identity." + c.name, Rules: c.rules, Title: c.title, needs: needsKey,
			run: func(p *probe) error {
				_, s, err := p.listen()
				if err != nil {
					return err
				}
				return c.look(p, s)
			},
		})
	}
	for i := range checks {
		checks[i].needs = needsKey
	}
	return append(checks, Check{
		Name: "identity.joined", Rules: "comms 41, 42", Title: "message 3, identity and what follows in one segment", needs: needsSession,
		run: identityJoined,
	}, Check{
		Name: "identity.in-pieces", Rules: "comms 46", Title: "an identity frame in frames of one byte is taken", needs: needsSession,
		run: identityInPieces,
	}, Check{
		Name: "identity.silence", Rules: "comms 48", Title: "no identity frame for 10 s: closed", needs: needsKey,
		slow: true, run: identitySilence,
	})
}

// listen shakes hands and hears the node's frame, saying nothing.
func (p *probe) listen() ([]byte, *identityFields, error) {
	_, c, err := p.secure()
	if err != nil {
		return nil, nil, err
	}
	frame, err := hear(c, patience)
	if err != nil {
		return frame, nil, err
	}
	s, err := parse(frame)
	return frame, s, err
}

func identityUnasked(p *probe) error {
	_, c, err := p.secure()
	if err != nil {
		return err
	}
	_, err = hear(c, patience)
	return err
}

func identityHeaderRight(p *probe) error {
	w, c, err := p.secure()
	if err != nil {
		return err
	}
	const where = identityFrame
	got, ended := drainUntil(c, patience)
	if !ended {
		more, _ := drain(c, quiet)
		got = append(got, more...)
	}
	if len(got) < identityHeader {
		return differsAt(where, len(got), "an identity frame", "%s on a connection with %s in all", around(got, 0), count(len(w.Received()), "byte"))
	}
	n := int(binary.LittleEndian.Uint16(got[1:]))
	switch {
	case got[0] != 0:
		return differsAt(where, 0, "version 0", "%d in %s", got[0], around(got, 0))
	case n > limits.IdentityBody:
		return differsAt(where, 1, "a length of at most 1024, little-endian", "%d in %s", n, around(got, 0))
	case n != len(got)-identityHeader:
		return differsAt(where, 1, fmt.Sprintf("the length of the body, %d", len(got)-identityHeader), "%d in %s", n, around(got, 0))
	}
	return nil
}

func lookMessage(_ *probe, s *identityFields) error {
	// What was walked through is protobuf. Only signature and addresses are
	// never left out by their default.
	if s.signature.at == 0 {
		return differsAt(identityFrame, len(s.frame), "field 5, the signature", "a message without it")
	}
	return nil
}

func lookProtocols(_ *probe, s *identityFields) error {
	if n := len(s.protocols); n > limits.Protocols {
		return differsAt(identityFrame, s.protocols[limits.Protocols].at, "at most 20 protocols", "%d", n)
	}
	for _, f := range s.protocols {
		if n := len(f.value); n == 0 || n > limits.ProtocolID {
			return differsAt(identityFrame, f.at, "protocols of 1 to 50 bytes", "one of %d: %q", n, f.value)
		}
	}
	return nil
}

func lookUserAgent(_ *probe, s *identityFields) error {
	a := s.agent
	switch {
	case len(a.value) > limits.UserAgent:
		return differsAt(identityFrame, a.at, "a user agent of at most 50 bytes", "%d: %q", len(a.value), a.value)
	case !utf8.Valid(a.value):
		return differsAt(identityFrame, a.at, "a user agent in UTF-8", "%q", a.value)
	}
	return nil
}

func lookPrintable(_ *probe, s *identityFields) error {
	for _, f := range append(s.protocols, s.agent) {
		for i, b := range f.value {
			if b < 0x20 || b > 0x7e || b == ',' && f.at != s.agent.at {
				return differsAt(identityFrame, f.at+i, "printable ASCII, no comma in a protocol", "%q", f.value)
			}
		}
	}
	return nil
}

func lookAddresses(p *probe, s *identityFields) error {
	n := len(s.addresses)
	if n == 0 && s.features.n == 0 && p.Release == protocol.Release6 {
		p.note = "a client without addresses"
		return nil
	}
	if n == 0 {
		return differsAt(identityFrame, identityHeader, "1 to 5 addresses", "none")
	}
	if n > limits.Addresses {
		return differsAt(identityFrame, s.addresses[limits.Addresses].at, "1 to 5 addresses", "%d", n)
	}
	for _, f := range s.addresses {
		if err := address.CheckBytes(f.value); err != nil {
			return differsAt(identityFrame, f.at, "well-formed addresses", "%x: %v", f.value, err)
		}
	}
	return nil
}

func lookFeatures(_ *probe, s *identityFields) error {
	if f := s.features; f.n > uint64(identity.FeatureNode) {
		return differsAt(identityFrame, f.at, "features within 3", "%#x", f.n)
	}
	return nil
}

func lookSignature(p *probe, s *identityFields) error {
	c, err := s.claim(p.Key)
	if err != nil {
		return err
	}
	// The date has a check of its own.
	if err := c.VerifyWithin(time.Unix(c.Signature.UpdatedAt, 0), 0); err != nil && !errors.Is(err, identity.ErrClaimBeforeEpoch) {
		return differsAt(identityFrame, s.scalar.at, "a signature of "+p.Key.Short()+" over its claim", "%v", err)
	}
	return nil
}

func lookDate(_ *probe, s *identityFields) error {
	at := int64(s.updated.n)
	if limit := time.Now().Add(limits.ClaimSkew).Unix(); at < 0 || at > limit {
		return differsAt(identityFrame, max(s.updated.at, s.signature.at), fmt.Sprintf("a date from 0 to %d", limit), "%d", at)
	}
	return nil
}

func identityJoined(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	var held []byte
	writes := 0
	w.Edit(func(b []byte) []byte {
		writes++
		switch writes {
		case 2: // message 3 waits for the frame behind it
			held = append(held, b...)
			return nil
		case 3:
			return append(held, b...)
		}
		return b
	})
	c, err := p.shake(w)
	if err != nil {
		return err
	}
	const value = 0x10203040
	s, err := p.startAwaiting(c, []uint32{value}, rawpeer.AppendHeader(p.claim().Frame(), rawpeer.TypePing, rawpeer.SYN, 0, value))
	if err == nil {
		err = s.pong(value)
	}
	return after("one segment with all of it", err)
}

func identityInPieces(p *probe) error {
	_, c, err := p.secure()
	if err != nil {
		return err
	}
	frame := p.claim().Frame()
	pieces := make([][]byte, len(frame))
	for i := range frame {
		pieces[i] = frame[i : i+1]
	}
	s, err := p.start(c, pieces...)
	if err == nil {
		err = s.lives()
	}
	return after("an identity frame in pieces", err)
}

func identitySilence(p *probe) error {
	_, c, err := p.secure()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := hear(c, patience); err != nil {
		return err
	}
	const limit = 10 * time.Second
	got, ended := drain(c, limit+late)
	switch {
	case len(got) > 0:
		return differsAt("what it sent behind its identity frame", 0, "nothing", "%s", around(got, 0))
	case !ended:
		return differs("the end of the connection after "+limit.String(), "an open one after %v", limit+late)
	}
	return notEarly(began, limit)
}
