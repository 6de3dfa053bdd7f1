package negotiate

import (
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Accept is [Choose] with the acceptance at once, to an opener that waits for one.
func Accept(rw io.ReadWriter, rounds int, supported func(protocol.ID) bool) (protocol.ID, error) {
	choice, err := Choose(rw, rounds, supported)
	if err == nil && choice.Waits {
		err = choice.Accept(rw)
	}
	if err != nil {
		return "", err
	}
	return choice.ID, nil
}

// Choice is the protocol of a substream that a peer has opened.
type Choice struct {
	ID      protocol.ID
	Waits   bool // the opener writes nothing before the acceptance; see [Open]
	Listens bool // the opener reads an acceptance, but does not wait for it; see [OpenAsking]
}

// Accept writes the acceptance. The caller may do so later than [Choose], for instance
// when the protocol's handler has taken the substream.
func (c Choice) Accept(w io.Writer) error { return answer(w, 0, c.ID) }

// Choose answers the proposals of the peer that opened the substream until one of them is
// supported. It does not answer that one: the caller calls [Choice.Accept] if the opener
// waits. Choose answers at most rounds proposals, and at least one.
//
// It fails with [ErrUnsupported] when an optimistic opener names an unknown
// id, with [ErrTerminated] when the opener gives up or closes its half, and
// with [ErrTooManyRounds] after the last refusal. The caller then resets the
// substream; none of these is an offence. For unknown flags it returns a
// [protocol.Violation] with [protocol.BanLong].
func Choose(rw io.ReadWriter, rounds int, supported func(protocol.ID) bool) (Choice, error) {
	for round := 1; ; round++ {
		flags, id, err := readFrame(rw)
		switch {
		case err == io.EOF:
			return Choice{}, fmt.Errorf("%w: %w", ErrTerminated, err)
		case err != nil:
			return Choice{}, fmt.Errorf("negotiate: accept: %w", err)
		case flags&flagOptimistic != 0:
			if !supported(id) {
				return Choice{}, fmt.Errorf("%w: %v", ErrUnsupported, id)
			}
			return Choice{ID: id, Listens: flags&flagTerminate == 0}, nil
		case flags&flagTerminate != 0:
			return Choice{}, ErrTerminated
		case supported(id):
			return Choice{ID: id, Waits: true}, nil
		case round >= rounds:
			if err := answer(rw, flagNotSupported|flagTerminate, ""); err != nil {
				return Choice{}, err
			}
			return Choice{}, fmt.Errorf("%w: %d, the last was %v", ErrTooManyRounds, round, id)
		}
		if err := answer(rw, flagNotSupported, ""); err != nil {
			return Choice{}, err
		}
	}
}

// Ready reports whether ahead, the first bytes of a substream, are a whole frame of an opener that
// waits for no answer: then Choose neither waits nor writes.
func Ready(ahead []byte) bool {
	return len(ahead) >= 2 && len(ahead) >= 2+int(ahead[0]) && ahead[1]&^knownFlags == 0 && ahead[1]&flagOptimistic != 0
}

func answer(w io.Writer, flags byte, id protocol.ID) error {
	if _, err := w.Write(appendFrame(nil, flags, id)); err != nil {
		return fmt.Errorf("negotiate: answer: %w", err)
	}
	return nil
}
