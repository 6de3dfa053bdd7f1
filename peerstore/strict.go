package peerstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxEntry bounds the JSON of one peer, in bytes. The largest record that the store can
// hold is below it.
const maxEntry = 256 << 10

// strict reads JSON value by value and keeps track of the place. Package json alone
// accepts repeated fields, field names in another case, and bytes that are not UTF-8.
type strict struct {
	dec   *json.Decoder
	in    *lines
	entry int
	peer  string
	path  []string
}

func newStrict(r io.Reader) *strict {
	in := &lines{r: r}
	return &strict{dec: json.NewDecoder(in), in: in}
}

// fail returns err with the place of the value that was read last; field is added to the
// place.
func (s *strict) fail(field string, err error) error {
	if _, done := errors.AsType[*ImportError](err); done {
		return err
	}
	if cause := s.in.err; cause != nil && errors.Is(err, cause) {
		return fmt.Errorf("read peers: %w", err)
	}
	e := &ImportError{Line: s.in.line(s.dec.InputOffset()), Entry: s.entry, Peer: s.peer, Err: err}
	e.Field = strings.Join(s.path, ".")
	if field != "" {
		e.Field = strings.TrimPrefix(e.Field+"."+field, ".")
	}
	e.Field = strings.ReplaceAll(e.Field, ".[", "[")
	if f, ok := err.(*flaw); ok {
		e.Err, e.Remedy = f.err, f.remedy
	}
	return e
}

// at reads a part of the value; errors contain its name.
func (s *strict) at(name string, read func() error) error {
	if s.entry > 0 {
		s.path = append(s.path, name)
		defer func() { s.path = s.path[:len(s.path)-1] }()
		if err := read(); err != nil {
			return s.fail("", err)
		}
		return nil
	}
	if err := read(); err != nil {
		return s.fail(name, err)
	}
	return nil
}

// token returns the next token of the JSON.
func (s *strict) token() (json.Token, error) {
	t, err := s.dec.Token()
	return t, s.syntax(err)
}

func (s *strict) syntax(err error) error {
	switch {
	case err == nil:
		return nil
	case s.in.err != nil && errors.Is(err, s.in.err):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return bad("the text ends early").want("give the whole file")
	}
	if errors.Is(err, errTooLong) {
		return bad("%w", err).want("a peer has at most %d bytes", maxEntry)
	}
	return bad("%w", err).want("it must be JSON as it was exported")
}

func (s *strict) delim(want json.Delim, what string) error {
	t, err := s.token()
	if err != nil {
		return err
	}
	if t != want {
		return bad("is %s", describe(t)).want("write %s", what)
	}
	return nil
}

// object reads an object. fields has the functions that read each permitted field.
func (s *strict) object(fields map[string]func() error) error {
	if err := s.delim('{', "an object, { … }"); err != nil {
		return err
	}
	seen := make(map[string]bool, len(fields))
	for s.dec.More() {
		t, err := s.token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		read := fields[name]
		switch {
		case read == nil:
			return s.fail("", bad("has an unknown field %q", name).want("remove it, or import with the release that wrote it"))
		case seen[name]:
			return s.fail("", bad("has the field %q twice", name).want("remove one"))
		}
		seen[name] = true
		if err := s.at(name, read); err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

// list reads a list; it calls each for every value.
func (s *strict) list(each func(i int) error) error {
	if err := s.delim('[', "a list, [ … ]"); err != nil {
		return err
	}
	for i := 0; s.dec.More(); i++ {
		s.in.allow(s.dec.InputOffset())
		var err error
		if s.entry > 0 {
			err = s.at("["+strconv.Itoa(i+1)+"]", func() error { return each(i) })
		} else {
			err = each(i)
		}
		if err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

// end makes sure that nothing follows.
func (s *strict) end() error {
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			return bad("something follows the end").want("remove it")
		}
		return s.syntax(err)
	}
	return nil
}

// raw returns the text of one value.
func (s *strict) raw() (json.RawMessage, error) {
	var raw json.RawMessage
	if err := s.dec.Decode(&raw); err != nil {
		return nil, s.syntax(err)
	}
	if !utf8.Valid(raw) {
		return nil, bad("is not UTF-8").want("write text as UTF-8")
	}
	return raw, nil
}

// text reads a string of at most most bytes.
func (s *strict) text(most int) (text string, err error) {
	raw, err := s.raw()
	if err != nil {
		return "", err
	}
	if raw[0] != '"' {
		return "", bad("is %s", clip(raw)).want("write text in double quotes")
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", s.syntax(err)
	}
	if len(text) > most {
		return "", bad("has %d bytes", len(text)).want("write at most %d", most)
	}
	return text, nil
}

// number reads a whole number from least to most.
func (s *strict) number(least, most int64) (int64, error) {
	raw, err := s.raw()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < least || n > most {
		f := bad("is %s", clip(raw))
		if most == math.MaxInt64 {
			return 0, f.want("write a whole number of at least %d", least)
		}
		return 0, f.want("write a whole number from %d to %d", least, most)
	}
	return n, nil
}

func (s *strict) bool() (bool, error) {
	raw, err := s.raw()
	if err != nil {
		return false, err
	}
	if text := string(raw); text == "true" || text == "false" {
		return text == "true", nil
	}
	return false, bad("is %s", clip(raw)).want("write true or false")
}

func describe(t json.Token) string {
	if d, ok := t.(json.Delim); ok {
		return fmt.Sprintf("%q", d.String())
	}
	b, err := json.Marshal(t)
	if err != nil {
		return "something else"
	}
	return clip(b)
}

func clip(b []byte) string {
	if len(b) > 40 {
		return printable(string(b[:40])) + "…"
	}
	return printable(string(b))
}

// lines counts the lines of its input, and bounds the length of one value: an endless
// input must not fill the memory.
type lines struct {
	r     io.Reader
	read  int64
	limit int64
	ends  []int64 // offsets of line ends that line has not counted yet
	count int
	err   error // of r
}

var errTooLong = errors.New("is too long")

// allow lets the reader go on to maxEntry beyond the given offset.
func (l *lines) allow(from int64) {
	l.line(from)
	l.limit = from + maxEntry
}

func (l *lines) Read(p []byte) (int, error) {
	if l.limit == 0 {
		l.limit = maxEntry
	}
	if l.read >= l.limit {
		return 0, errTooLong
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.limit-l.read)])
	for i, c := range p[:n] {
		if c == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// line returns the number of the line that the offset lies in.
func (l *lines) line(offset int64) int {
	n := 0
	for n < len(l.ends) && l.ends[n] < offset {
		n++
	}
	l.count += n
	l.ends = l.ends[n:]
	return l.count + 1
}
