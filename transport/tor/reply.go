package tor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxReply is the most bytes of one reply or event.
const MaxReply = 1 << 20

// Codes of replies.
const (
	codeOK        = 250
	codeCollision = 550
	codeUnknownID = 552
	codeEvent     = 650
)

// Errors of reading replies. After one of them nothing more can be read.
var (
	// ErrReplyTooLong reports a reply of more than [MaxReply] bytes.
	ErrReplyTooLong = errors.New("tor: reply too long")
	// ErrReply reports bytes that are no reply of a control port.
	ErrReply = errors.New("tor: not a reply of a control port")
)

// Line is one line of a reply, with the data block below it.
type Line struct {
	Text string
	Data []string // lines of the data block, without the dots in front; nil when there is none
}

// Reply is a reply or, with code 650, an event.
type Reply struct {
	Code  int
	Lines []Line // at least one
}

// Async reports whether r is an event, which answers no command.
func (r Reply) Async() bool { return r.Code == codeEvent }

// OK reports whether r answers a command that was carried out.
func (r Reply) OK() bool { return r.Code >= 200 && r.Code < 300 }

// Value returns what follows "key=" in one of the lines, or the data block below it with
// line breaks.
func (r Reply) Value(key string) (value string, ok bool) {
	for _, l := range r.Lines {
		if rest, found := strings.CutPrefix(l.Text, key+"="); found {
			if l.Data != nil {
				rest = strings.Join(l.Data, "\n")
			}
			return rest, true
		}
	}
	return "", false
}

// Refusal is the error of a command that Tor has refused. What Tor says may repeat
// arguments, but never secret ones.
type Refusal struct {
	Code int
	Text string
}

// Error returns Tor's words: what can be printed of the first 200 bytes, since any program may
// listen on the control port.
func (e *Refusal) Error() string {
	return fmt.Sprintf("tor refuses: %d %s", e.Code, printable(e.Text[:min(len(e.Text), 200)]))
}

// printable puts a question mark for what cannot be printed, such as a control sequence: any
// program may have written it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// Err returns a *[Refusal], or nil if r is OK.
func (r Reply) Err() error {
	if r.OK() {
		return nil
	}
	return &Refusal{r.Code, r.Lines[len(r.Lines)-1].Text}
}

// Reader reads replies. Make one with [NewReader].
type Reader struct{ r *bufio.Reader }

// NewReader returns a reader of the replies in r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReader(r)} }

// Read returns the next reply or event. At the end of the bytes the error is io.EOF, inside
// a reply io.ErrUnexpectedEOF.
func (r *Reader) Read() (reply Reply, err error) {
	left := MaxReply
	for {
		text, err := r.line(&left)
		if err != nil {
			if err == io.EOF && len(reply.Lines) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Reply{}, err
		}
		code, separator, ok := head(text)
		if !ok || len(reply.Lines) > 0 && code != reply.Code {
			return Reply{}, fmt.Errorf("%w: a line that begins with %.8q", ErrReply, text)
		}
		reply.Code = code
		l := Line{Text: text[4:]}
		if separator == '+' {
			if l.Data, err = r.data(&left); err != nil {
				return Reply{}, err
			}
		}
		reply.Lines = append(reply.Lines, l)
		if separator == ' ' {
			return reply, nil
		}
	}
}

// head returns the first four characters of a line.
func head(text string) (code int, separator byte, ok bool) {
	if len(text) < 4 || text[0] < '1' || text[0] > '9' {
		return 0, 0, false
	}
	for _, d := range []byte(text[:3]) {
		if d < '0' || d > '9' {
			return 0, 0, false
		}
		code = 10*code + int(d-'0')
	}
	separator = text[3]
	return code, separator, separator == ' ' || separator == '-' || separator == '+'
}

// data reads a data block up to the line with a lone dot.
func (r *Reader) data(left *int) ([]string, error) {
	all := []string{}
	for {
		text, err := r.line(left)
		switch {
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case text == ".":
			return all, nil
		}
		all = append(all, strings.TrimPrefix(text, "."))
	}
}

// line reads up to a line feed, and cuts that and a carriage return off.
func (r *Reader) line(left *int) (string, error) {
	var b []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if *left -= len(part) + 1; *left < 0 { // an empty line of a data block costs memory as well
			return "", ErrReplyTooLong
		}
		b = append(b, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(b) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
		b = b[:len(b)-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
		return string(b), nil
	}
}

// fields divides a text at blanks, but for those between quotes, in which a backslash takes
// the next character as it is. Quotes that do not end take the rest.
func fields(text string) []string {
	var all []string
	var b strings.Builder
	inside, any := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			inside, any = !inside, true
		case c == '\\' && inside && i+1 < len(text):
			i++
			escape(&b, text, &i)
		case c == ' ' && !inside:
			if any {
				all = append(all, b.String())
				b.Reset()
			}
			any = false
		default:
			any = true
			b.WriteByte(c)
		}
	}
	if any {
		all = append(all, b.String())
	}
	return all
}

// escape writes the character for which the one at *i stands behind a backslash: C's
// escapes, and octal numbers of up to three digits.
func escape(b *strings.Builder, text string, i *int) {
	switch c := text[*i]; {
	case c == 'n':
		b.WriteByte('\n')
	case c == 'r':
		b.WriteByte('\r')
	case c == 't':
		b.WriteByte('\t')
	case c >= '0' && c <= '7':
		n, end := 0, min(*i+3, len(text))
		for ; *i < end && text[*i] >= '0' && text[*i] <= '7'; *i++ {
			n = 8*n + int(text[*i]-'0')
		}
		*i--
		b.WriteByte(byte(n))
	default:
		b.WriteByte(c)
	}
}
