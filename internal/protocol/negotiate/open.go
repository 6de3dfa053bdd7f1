package negotiate

import (
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Open proposes the ids one after the other and returns the first that the peer
// accepts.
//
// When the peer has refused all ids, Open tells it so and fails with
// [ErrUnsupported]. It fails with [ErrTerminated] when the peer gives up or closes its
// half instead of answering; when that follows a refused id, the error matches
// [ErrUnsupported] too. Callers should treat a reset in the same way, since it may
// overtake the answer. For unknown flags Open returns a [protocol.Violation] with
// [protocol.BanLong]. For an id that no frame can carry it returns
// [protocol.ErrBadID], before it writes anything.
func Open(rw io.ReadWriter, ids []protocol.ID) (protocol.ID, error) {
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return "", err
		}
	}
	for _, id := range ids {
		accepted, err := propose(rw, id)
		if err != nil {
			return "", err
		}
		if accepted {
			return id, nil
		}
	}
	// The peer may be gone already; the result is the same.
	_, _ = rw.Write(appendFrame(nil, flagTerminate, ""))
	return "", fmt.Errorf("%w: the peer takes none of %q", ErrUnsupported, ids)
}

func propose(rw io.ReadWriter, id protocol.ID) (accepted bool, err error) {
	if _, err := rw.Write(appendFrame(nil, 0, id)); err != nil {
		return false, fmt.Errorf("negotiate: propose %v: %w", id, err)
	}
	flags, answer, err := readFrame(rw)
	switch {
	case err == io.EOF:
		return false, fmt.Errorf("%w: propose %v: %w", ErrTerminated, id, err)
	case err != nil:
		return false, fmt.Errorf("negotiate: propose %v: %w", id, err)
	case flags&flagTerminate != 0 && flags&flagNotSupported != 0:
		return false, fmt.Errorf("%w: %w: %v", ErrTerminated, ErrUnsupported, id)
	case flags&flagTerminate != 0:
		return false, fmt.Errorf("%w: propose %v", ErrTerminated, id)
	}
	return flags&flagNotSupported == 0 && answer == id, nil
}

// AppendOptimistic appends the frame that names the protocol of a substream and asks
// for no answer. The caller can append its first message and write both at once. It
// fails with [protocol.ErrBadID].
func AppendOptimistic(dst []byte, id protocol.ID) ([]byte, error) {
	if err := checkID(id); err != nil {
		return dst, err
	}
	return appendFrame(dst, flagOptimistic|flagTerminate, id), nil
}

// OpenOptimistic writes the frame of [AppendOptimistic] in one write and does not
// wait. Use it for an id that the peer has announced; a peer that does not support
// the id resets the substream.
func OpenOptimistic(w io.Writer, id protocol.ID) error {
	return openWith(w, flagOptimistic|flagTerminate, id)
}

// OpenAsking is OpenOptimistic and asks for an acceptance, which the caller reads while it
// writes already: [Acceptance] has its bytes. Use it for a peer that is known to answer;
// to any other the frame means the same as that of OpenOptimistic.
func OpenAsking(w io.Writer, id protocol.ID) error { return openWith(w, flagOptimistic, id) }

func openWith(w io.Writer, flags byte, id protocol.ID) error {
	if err := checkID(id); err != nil {
		return err
	}
	if _, err := w.Write(appendFrame(nil, flags, id)); err != nil {
		return fmt.Errorf("negotiate: open %v: %w", id, err)
	}
	return nil
}

// Acceptance returns the frame by which a peer accepts the id, which must be one that a
// frame can carry.
func Acceptance(id protocol.ID) []byte { return appendFrame(nil, 0, id) }
