package render

import (
	"io"
	"os"
	"regexp"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Terminal writes to a terminal. It escapes everything but text, line feeds and tabs, whatever
// verb writes it, so that no byte that a stranger chose controls the terminal. [Control] and
// [Styled] write what the program itself means for the terminal. Any goroutine may call its
// methods.
type Terminal struct {
	mu   sync.Mutex
	file *os.File
	rest []byte // the beginning of a character whose end has not come
}

// On returns an Output on two files, each of which may be a terminal.
func On(out, err *os.File) *Output {
	o := &Output{Out: out, Err: err}
	if o.OutTerminal = term.IsTerminal(int(out.Fd())); o.OutTerminal {
		o.Out = &Terminal{file: out}
	}
	if o.ErrTerminal = term.IsTerminal(int(err.Fd())); o.ErrTerminal {
		o.Err = &Terminal{file: err}
	}
	return o
}

// Flush writes what is left of a character without an end.
func (o *Output) Flush() {
	for _, w := range []io.Writer{o.Out, o.Err} {
		if t, ok := w.(*Terminal); ok {
			t.mu.Lock()
			_, _ = io.WriteString(t.file, inspect.Escape(string(t.rest)))
			t.rest = nil
			t.mu.Unlock()
		}
	}
}

// Write writes text, escaped.
func (t *Terminal) Write(b []byte) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := append(t.rest, b...)
	whole := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= i
			}
			break
		}
	}
	t.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(t.file, inLocale(shown(string(text[:whole])))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// inLocale returns text with characters that the locale has.
func inLocale(text string) string {
	if ASCII() {
		return asASCII.Replace(text)
	}
	return text
}

// shown escapes text of any number of lines for a terminal.
func shown(text string) string {
	clean, from := make([]byte, 0, len(text)), 0
	for i := range len(text) + 1 {
		if i < len(text) && text[i] != '\n' && text[i] != '\t' {
			continue
		}
		clean = append(clean, inspect.Escape(text[from:i])...)
		if i < len(text) {
			clean = append(clean, text[i])
		}
		from = i + 1
	}
	return string(clean)
}

// style matches the colours of inspect.Text.
var style = regexp.MustCompile(`\x1b\[[0-9]{1,2}m`)

// Control writes text of the program itself, in which nothing of a stranger is, with its
// control sequences.
func Control(w io.Writer, text string) error {
	if t, ok := w.(*Terminal); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		w = t.file
	}
	_, err := io.WriteString(w, text)
	return err
}

// Styled writes text with colours: they stay, and everything else is escaped.
func Styled(w io.Writer, text string) error {
	if _, ok := w.(*Terminal); !ok {
		_, err := io.WriteString(w, text)
		return err
	}
	clean, from := "", 0
	for _, at := range style.FindAllStringIndex(text, -1) {
		clean += shown(text[from:at[0]]) + text[at[0]:at[1]]
		from = at[1]
	}
	return Control(w, inLocale(clean+shown(text[from:])))
}
