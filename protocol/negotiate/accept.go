package negotiate

import (
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Accept answers the proposals of the peer that opened the substream and returns the
// id on which both agree. It answers at most rounds proposals, and at least one.
//
// It fails with [ErrUnsupported] when an optimistic opener names an unknown
// id, with [ErrTerminated] when the opener gives up or closes its half, and
// with [ErrTooManyRounds] after the last refusal. The caller then resets the
// substream; none of these is an offence. For unknown flags it returns a
// [protocol.Violation] with [protocol.BanLong].
func Accept(rw io.ReadWriter, rounds int, supported func(protocol.ID) bool) (protocol.ID, error) {
	for round := 1; ; round++ {
		flags, id, err := readFrame(rw)
		switch {
		case err == io.EOF:
			return "", fmt.Errorf("%w: %w", ErrTerminated, err)
		case err != nil:
			return "", fmt.Errorf("negotiate: accept: %w", err)
		case flags&flagOptimistic != 0:
			if !supported(id) {
				return "", fmt.Errorf("%w: %v", ErrUnsupported, id)
			}
			return id, nil
		case flags&flagTerminate != 0:
			return "", ErrTerminated
		case supported(id):
			if err := answer(rw, 0, id); err != nil {
				return "", err
			}
			return id, nil
		case round >= rounds:
			if err := answer(rw, flagNotSupported|flagTerminate, ""); err != nil {
				return "", err
			}
			return "", fmt.Errorf("%w: %d, the last was %v", ErrTooManyRounds, round, id)
		}
		if err := answer(rw, flagNotSupported, ""); err != nil {
			return "", err
		}
	}
}

func answer(w io.Writer, flags byte, id protocol.ID) error {
	if _, err := w.Write(appendFrame(nil, flags, id)); err != nil {
		return fmt.Errorf("negotiate: answer: %w", err)
	}
	return nil
}
