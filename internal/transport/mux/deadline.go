package mux

import "time"

// SetReadDeadline bounds present and future reads; the zero time removes the bound. Read
// returns bytes that have arrived even after the deadline; a Read that would wait returns
// os.ErrDeadlineExceeded, and the substream stays usable. Do not use a deadline to detect a
// dead peer: an idle substream is fine. Use it for a negotiation, for a message that has
// begun, and for reading only the bytes that have arrived.
func (st *Stream) SetReadDeadline(t time.Time) error {
	st.in.setDeadline(t)
	return nil
}

// SetWriteDeadline bounds present and future writes; the zero time removes the bound. The
// session's WriteTimeout bounds a write that waits for the connection itself, not for the
// peer's window.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	st.out.setDeadline(t)
	return nil
}

// SetDeadline calls SetReadDeadline and SetWriteDeadline.
func (st *Stream) SetDeadline(t time.Time) error {
	st.in.setDeadline(t)
	st.out.setDeadline(t)
	return nil
}
