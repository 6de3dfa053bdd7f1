package render

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// binaryShown is how many bytes of a body that is not text are written out.
const binaryShown = 32

// Form is the form of a message for people, or in a file.
type Form int

const (
	LineForm Form = iota // escaped, after the time and the sender
	RawForm              // unchanged, with a line feed
	BareForm             // unchanged
)

// Received writes one message that was received: as JSON, or in its form.
func Received(o *Output, w io.Writer, m *models.Message, form Form) error {
	if m.Lost > 0 {
		o.Note("gamelan: %s were not copied: other listeners had acknowledged them, and the inbox needed their room", inspect.Count(m.Lost, "message"))
	}
	if o.JSON {
		b, err := m.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	switch form {
	case RawForm:
		_, err := fmt.Fprintf(w, "%s\n", m.Body)
		return err
	case BareForm:
		_, err := w.Write(m.Body)
		return err
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s\n", timesText(m), originText(o, m), bodyText(m.Body))
	return err
}

// timesText returns the time of arrival, and that of sending if it is known.
func timesText(m *models.Message) string {
	if m.DHT == nil || m.DHT.SentAt.IsZero() {
		return at(m.At)
	}
	return at(m.At) + ", sent " + at(m.DHT.SentAt)
}

// originText returns the origin of a message. The connection proves the peer of a plain
// message. A signature proves the author of a message over the DHT; without one only the
// peer from which it came is known.
func originText(o *Output, m *models.Message) string {
	d := m.DHT
	if d == nil {
		text := o.who(m.Peer, m.From, shortID)
		if m.Topic != "" {
			text += ", topic " + inspect.Escape(m.Topic)
		}
		return text
	}
	var text string
	switch author := o.who(d.Origin, m.From, shortID); {
	case d.Origin == "":
		text = "unsigned, from " + o.Who(m.Peer)
	case d.Encrypted:
		text = author + ", encrypted"
	default:
		text = author + ", signed"
	}
	text += ", " + typeText(d.Type)
	if d.Tag != "" {
		text += ", tag " + d.Tag
	}
	if d.Stored {
		text += ", stored"
	}
	if d.Copies > 1 {
		text += ", copy " + inspect.Number(uint64(d.Copies))
	}
	return text
}

// typeText returns the type of a message over the DHT: text, or its number.
func typeText(t int32) string {
	if t == api.TextType {
		return "text"
	}
	return "type " + strconv.Itoa(int(t))
}

func bodyText(b []byte) string {
	if utf8.Valid(b) {
		return inspect.Escape(string(b))
	}
	more := ""
	if len(b) > binaryShown {
		more = "…"
	}
	return fmt.Sprintf("(%s) %s%s", inspect.Count(uint64(len(b)), "byte"), hex.EncodeToString(b[:min(len(b), binaryShown)]), more)
}
