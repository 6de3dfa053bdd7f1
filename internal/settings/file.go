package settings

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// entry is one key of a file: its value as TOML decoded it, and its line.
type entry struct {
	raw  any
	line int
}

// document is a file as a flat map of keys such as "mux.window". A section is in it only if
// it is empty.
type document map[string]entry

// readDocument reads a file. The problem has no file yet.
func (t *Table) readDocument(b []byte) (document, *Problem) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(b) > maxFile {
		return nil, &Problem{Line: 1, Message: "the file is too large", Expected: "at most " + formatSize(maxFile), Example: "the file that " + t.writer() + " writes", hides: true}
	}
	if p := t.encoding(b); p != nil {
		return nil, p
	}
	var values map[string]any
	if err := toml.Unmarshal(b, &values); err != nil {
		return nil, t.syntax(b, err)
	}
	lines := positions(b)
	doc := document{}
	for key, raw := range values {
		section, isTable := raw.(map[string]any)
		if !isTable {
			doc[key] = entry{raw, lineOf(lines, key)}
			continue
		}
		if _, clash := t.Find(key); clash || !t.isSection(key) {
			doc[key] = entry{raw, lineOf(lines, key)}
			continue
		}
		for name, raw := range section {
			doc[key+"."+name] = entry{raw, lineOf(lines, key+"."+name)}
		}
	}
	return doc, nil
}

// positions finds the line of every key, and of the sections.
func positions(b []byte) map[string]int {
	l := liner{b: b, line: 1, lines: map[string]int{}}
	var p unstable.Parser
	p.Reset(b)
	section := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			section = l.place("", e.Key())
		case unstable.KeyValue:
			l.entry(section, e)
		}
	}
	return l.lines
}

// liner finds the lines of keys, in the order of b.
type liner struct {
	b            []byte
	offset, line int // counted so far
	lines        map[string]int
}

// place appends the parts of a key to path and notes the line of each.
func (l *liner) place(path string, parts unstable.Iterator) string {
	for parts.Next() {
		n := parts.Node()
		path = strings.TrimPrefix(path+"."+string(n.Data), ".")
		if at := int(n.Raw.Offset); at > l.offset {
			l.line += bytes.Count(l.b[l.offset:at], []byte{'\n'})
			l.offset = at
		}
		if _, ok := l.lines[path]; !ok {
			l.lines[path] = l.line
		}
	}
	return path
}

// entry notes the line of a key with its value, and those inside the value.
func (l *liner) entry(section string, e *unstable.Node) {
	path := l.place(section, e.Key())
	if e.Value().Kind != unstable.InlineTable {
		return
	}
	for inner := e.Value().Children(); inner.Next(); {
		if n := inner.Node(); n.Kind == unstable.KeyValue {
			l.entry(path, n)
		}
	}
}

// lineOf returns the line of a key, or else of its section.
func lineOf(lines map[string]int, key string) int {
	for {
		if line, ok := lines[key]; ok {
			return line
		}
		cut := strings.LastIndexByte(key, '.')
		if cut < 0 {
			return 1
		}
		key = key[:cut]
	}
}

var (
	assignment = regexp.MustCompile(`^\s*([A-Za-z0-9_.-]+)\s*=`)
	heading    = regexp.MustCompile(`^\s*\[\s*([A-Za-z0-9_-]+)\s*\]`)
)

// syntax returns the problem of a file that is no valid TOML. If the line belongs to a
// setting, the problem has the example of the setting.
func (t *Table) syntax(b []byte, err error) *Problem {
	p := &Problem{
		Line: 1, Message: "this is not TOML: " + strings.TrimPrefix(secretLike.ReplaceAllString(err.Error(), "***"), "toml: "),
		Expected: "KEY = VALUE under a [SECTION], with text in quotes", Example: `window = "1MiB" under [mux]`, hides: true,
	}
	if len(t.Sections) == 0 {
		p.Expected, p.Example = "KEY = VALUE, with text in quotes", t.example()
	}
	d := (*toml.DecodeError)(nil)
	if !errors.As(err, &d) {
		return p
	}
	p.Line, _ = d.Position()
	section := ""
	for i, line := range strings.Split(string(b), "\n") {
		if i+1 == p.Line {
			if message, expected := lookalike(line); message != "" {
				p.Message, p.Expected = message, expected
				return p
			}
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1] + "."
		}
		if i+1 < p.Line {
			continue
		}
		if m := assignment.FindStringSubmatch(line); m != nil {
			if s, ok := t.Find(section + m[1]); ok {
				p.Key, p.Expected, p.Example = s.Key, s.Expected(), s.FileExample()
				if toml.Unmarshal([]byte(line), new(map[string]any)) == nil { // the fault is before it
					p.Expected = "each text and each list closed in the lines before, and each setting once"
				}
			}
		}
		break
	}
	return p
}

// encoding returns the problem of a file that is not in UTF-8, and nil for one that is.
func (t *Table) encoding(b []byte) *Problem {
	p := &Problem{Line: 1, Message: InUTF16, Expected: "UTF-8", Example: "what \"" + t.writer() + " FILE\" writes", hides: true}
	if UTF16(b) {
		return p
	}
	for line := range bytes.Lines(b) {
		if !utf8.Valid(line) {
			p.Message = "the line is not UTF-8, perhaps Latin-1 or Windows-1252"
			return p
		}
		p.Line++
	}
	return nil
}

// InUTF16 says of a file that it is in UTF-16.
const InUTF16 = "the file is UTF-16, as PowerShell's > writes it"

// UTF16 reports whether a file begins as one in UTF-16 does, and not as one in UTF-8.
func UTF16(b []byte) bool {
	return len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff || b[0] == 0 && b[1] != 0 || b[0] != 0 && b[1] == 0)
}

// lookalike returns what is wrong with the first character of a line that looks like one of
// TOML, or like nothing, and is another one. Within a text or a comment it is none.
func lookalike(line string) (message, expected string) {
	quoted, n := rune(0), 0
	for _, r := range line {
		n++
		const instead = "a blank or nothing in its place"
		switch {
		case quoted != 0:
			if r == quoted {
				quoted = 0
			}
		case r == '"' || r == '\'':
			quoted = r
		case r == '#':
			return "", ""
		case r == '\u00a0':
			return fmt.Sprintf("character %d of the line looks like a blank, and is a no-break space (%U)", n, r), instead
		case r > unicode.MaxASCII && unicode.IsSpace(r):
			return fmt.Sprintf("character %d of the line looks like a blank, and is another one (%U)", n, r), instead
		case unicode.Is(unicode.Cf, r):
			return fmt.Sprintf("character %d of the line cannot be seen (%U)", n, r), instead
		case r > unicode.MaxASCII && unicode.Is(unicode.Quotation_Mark, r):
			return fmt.Sprintf("character %d of the line is a typographic quotation mark (%U)", n, r), `a straight one, " or '`
		}
	}
	return "", ""
}
