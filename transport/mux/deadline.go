package mux

import "time"

// SetReadDeadline bounds the reads under way and to come; the zero time removes
// the bound. What has arrived is read in any case; after the deadline a Read
// that would wait returns os.ErrDeadlineExceeded, and the substream lives on.
// An idle substream is alive: deadlines are for a negotiation, for a message
// that has begun, and for reading no more than what is there.
func (st *Stream) SetReadDeadline(t time.Time) error { return st.lib.SetReadDeadline(t) }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (st *Stream) SetDeadline(t time.Time) error {
	if err := st.SetReadDeadline(t); err != nil {
		return err
	}
	return st.SetWriteDeadline(t)
}
