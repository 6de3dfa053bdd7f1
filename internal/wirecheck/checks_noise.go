package wirecheck

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
)

func noiseChecks() []Check {
	return []Check{
		{
			Name: "noise.frames", Rules: "comms 33", Title: "message 1 of 0020 is answered by one frame of 0060",
			needs: needsAnswer, run: noiseFrames,
		},
		{
			Name: "noise.handshake", Rules: "comms 30, 31, 32", Title: "message 2 decrypts and carries no payload",
			needs: needsAnswer, run: noiseHandshake,
		},
		{
			Name: "noise.key", Rules: "comms 39", Title: "the static key is the one given",
			needs: needsHandshake, run: noiseKey,
		},
		{
			Name: "noise.zero-length", Rules: "comms 36", Title: "frames of length 0 are skipped",
			needs: needsSession, run: noiseZeroLength,
		},
		{
			Name: "noise.bad-ephemeral", Rules: "comms 30", Title: "an ephemeral key that is no point: closed",
			needs: needsAnswer, run: noiseBadEphemeral,
		},
		{
			Name: "noise.payload", Rules: "comms 32", Title: "a payload in message 1: no handshake",
			needs: needsKey, run: noisePayload,
		},
		{
			Name: "noise.damaged-message", Rules: "comms 37", Title: "a damaged message 3: closed, no identity sent",
			needs: needsKey, run: noiseDamagedMessage,
		},
		{
			Name: "noise.damaged-frame", Rules: "comms 37", Title: "a damaged transport frame ends the connection",
			needs: needsSession, run: noiseDamagedFrame,
		},
		{
			Name: "noise.longest-frame", Rules: "comms 34", Title: "a frame of 65519 bytes is taken",
			needs: needsSession, run: noiseLongestFrame,
		},
		{
			Name: "noise.own-frames", Rules: "comms 33, 35", Title: "its own transport frames are never empty",
			needs: needsSession, run: noiseOwnFrames,
		},
		{
			Name: "noise.silence-1", Rules: "comms 38", Title: "no message 1 for 6 s: closed with nothing sent",
			slow: true, needs: needsAnswer, run: noMessage1,
		},
		{
			Name: "noise.silence-3", Rules: "comms 38", Title: "no message 3 for 6 s: closed",
			slow: true, needs: needsKey, run: noMessage3,
		},
	}
}

// answer2 sends message 1 and returns what comes back.
func (p *probe) answer2(message []byte) (w *rawConn, got []byte, ended bool, err error) {
	if w, err = p.dial(); err != nil {
		return nil, nil, false, err
	}
	if err = w.send(append([]byte{p.wireByte()}, message...)...); err != nil {
		return nil, nil, false, err
	}
	for until := time.Now().Add(patience); len(got) < message2Len && !ended && time.Now().Before(until); {
		var more []byte
		more, ended = drain(w, quiet)
		got = append(got, more...)
	}
	return w, got, ended, nil
}

const message2 = "its answer to message 1"

// message2Len is how long message 2 is, with its header.
const message2Len = 2 + 96

func noiseFrames(p *probe) error {
	_, got, _, err := p.answer2(p.message1())
	if err != nil {
		return err
	}
	if err := compare(message2, []byte{0, 96}, got[:min(len(got), 2)]); err != nil {
		return err
	}
	if len(got) != message2Len {
		return differsAt(message2, min(len(got), message2Len), "98 bytes and no more before message 3", "%d", len(got))
	}
	return nil
}

func noiseHandshake(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	_, err = noise.Client(w, noise.Config{Static: p.secret, Prefix: []byte{p.wireByte()}, MessageTimeout: patience})
	h := (*noise.HandshakeError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, noise.ErrHandshake):
		// The first part of message 2 is in clear, the second is the static key.
		return differsAt(message2, 2+32, "a message 2 of Noise_XX_25519_ChaChaPoly_BLAKE2b over ristretto255", "one that does not decrypt: %s", around(w.Received(), 34))
	case errors.As(err, &h):
		return differs("a message 2 that decrypts", "%v", h.Err)
	}
	return &setupError{"noise", err}
}

func noiseKey(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	var key identity.PublicKey
	_, err = noise.Client(w, noise.Config{
		Static: p.secret, Prefix: []byte{p.wireByte()}, MessageTimeout: patience,
		Check: func(k identity.PublicKey) error { key = k; return nil },
	})
	if key.IsZero() {
		return &setupError{"noise", err}
	}
	return compare("its static key", p.Key[:], key[:])
}

func noiseZeroLength(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	c, err := p.shake(w, p.wireByte(), 0, 0)
	if err != nil {
		return after("a frame of length 0", err)
	}
	if err := w.send(0, 0, 0, 0); err != nil {
		return err
	}
	s, err := p.start(c, p.claim().Frame())
	if err == nil {
		err = w.send(0, 0)
	}
	if err == nil {
		err = s.lives()
	}
	return after("a frame of length 0", err)
}

func noiseBadEphemeral(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	message := append([]byte{p.wireByte(), 0, 32}, bytes.Repeat([]byte{0xff}, 32)...)
	if err := w.send(message...); err != nil {
		return err
	}
	return w.silentEnd(patience)
}

func noisePayload(p *probe) error {
	m := append(p.message1(), "more"...)
	m[1] += 4
	w, got, ended, err := p.answer2(m)
	if err != nil {
		return err
	}
	if len(got) > message2Len {
		return differsAt("what it sent", message2Len, "at most message 2", "%s", around(got, message2Len))
	}
	if !ended {
		_, ended = drain(w, 6*time.Second+late)
	}
	if !ended {
		return differs("the end of the handshake", "an open connection after the 6 s that a message may take")
	}
	return nil
}

func flipLast(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func noiseDamagedMessage(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	w.EditOne(1, flipLast)
	if _, err := p.shake(w); err != nil {
		return err
	}
	return w.silentEnd(patience)
}

func noiseDamagedFrame(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.lives(); err != nil {
		return err
	}
	s.wire.EditOne(0, flipLast)
	if _, err := s.Ping(); err != nil {
		return err
	}
	return s.closes()
}

// nobody is a substream that is never opened. Frames for it are ignored.
const nobody = 0x7fffffff

func noiseLongestFrame(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	const body = noise.MaxPlaintext - rawpeer.HeaderLen
	if err := s.Send(rawpeer.TypeData, 0, nobody, body, make([]byte, body)...); err != nil {
		return err
	}
	return s.lives()
}

func noiseOwnFrames(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	for range 3 {
		if err = s.lives(); err != nil {
			break // it may be such a frame that ended it
		}
	}
	if bad := emptyFrame(s.wire.Received(), message2Len); bad != nil {
		return bad
	}
	return err
}

// emptyFrame looks for a frame with nothing but a tag, or not even that.
func emptyFrame(all []byte, at int) error {
	for at+2 <= len(all) {
		n := int(binary.BigEndian.Uint16(all[at:]))
		if n > 0 && n <= 16 {
			return differsAt("its bytes on the wire", at, "frames with at least one byte of plaintext", "a frame of %s", count(n, "byte"))
		}
		at += 2 + n
	}
	return nil
}

func noMessage1(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	if err := w.send(p.wireByte()); err != nil {
		return err
	}
	return w.silentEndAfter(6 * time.Second)
}

func noMessage3(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	if err := w.send(append([]byte{p.wireByte()}, p.message1()...)...); err != nil {
		return err
	}
	began := time.Now()
	const want = "the connection closed after message 2"
	got, ended := drain(w, 6*time.Second+late)
	switch {
	case len(got) > message2Len:
		return differsAt("what it sent", message2Len, "nothing after message 2", "%s", around(got, message2Len))
	case !ended:
		return differs(want, "an open one after %v", 6*time.Second+late)
	}
	return notEarly(began, 6*time.Second)
}
