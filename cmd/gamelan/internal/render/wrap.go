package render

import (
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// sentenceIndent is how far the further lines of a sentence are indented.
const sentenceIndent = 2

// commandText matches a command line of gamelan in a text. It stays on one line, so that it
// can be copied.
var commandText = regexp.MustCompile(`"gamelan [^"]*"|: gamelan [^,;]*`)

// wrapped breaks the lines of text at spaces so that each has at most width characters; 0:
// there is no limit. Further lines begin with indent spaces. A command line and a word that
// are longer than a line stay whole.
func wrapped(text string, width, indent int) string {
	if width <= 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = wrapLine(line, width, indent)
	}
	return strings.Join(lines, "\n")
}

func wrapLine(line string, width, indent int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	whole := commandText.FindAllStringIndex(line, -1)
	inCommand := func(at int) bool {
		for _, w := range whole {
			if at > w[0]+1 && at < w[1] {
				return true
			}
		}
		return false
	}
	var b strings.Builder
	start, column := 0, 0 // of the word that follows, and of the end of the text before it
	first := true         // the line has no word yet beyond its indent
	for at := range len(line) + 1 {
		if at < len(line) && (line[at] != ' ' || at < indent || inCommand(at)) {
			continue
		}
		word := line[start:at]
		start = at
		size := utf8.RuneCountInString(word)
		if column+size > width && !first {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			word = strings.TrimLeft(word, " ")
			column, size = indent, utf8.RuneCountInString(word)
		}
		b.WriteString(word)
		column += size
		first = strings.TrimSpace(b.String()) == ""
	}
	return b.String()
}

// wrap breaks the lines of text for standard output.
func (o *Output) wrap(text string, indent int) string { return wrapped(text, o.columns(), indent) }

// Say writes a sentence to standard output.
func (o *Output) Say(sentence string) error { return o.sayTo(o.Out, sentence) }

// sayTo is Say through w, which buffers standard output.
func (o *Output) sayTo(w io.Writer, sentence string) error {
	_, err := io.WriteString(w, o.wrap(sentence, sentenceIndent)+"\n")
	return err
}

// Complain writes a sentence to standard error, also with --json.
func (o *Output) Complain(sentence string) {
	_, _ = io.WriteString(o.Err, wrapped(sentence, o.errColumns(), sentenceIndent)+"\n")
}
