package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is an error in the settings, for the user: its place, what is wrong, what was
// expected, and an example.
type Problem struct {
	File     string `json:"file,omitempty"` // of a file
	Line     int    `json:"line,omitempty"` // in it, from 1
	Variable string `json:"variable,omitempty"`
	Flag     string `json:"flag,omitempty"`
	Key      string `json:"key,omitempty"`
	Message  string `json:"message"`
	Expected string `json:"expected"`
	Example  string `json:"example"`
	hides    bool   // because of it, no setting of its source is certain
}

// Where returns the place of the problem, or "" for a default.
func (p *Problem) Where() string {
	switch {
	case p.File != "" && p.Line > 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	case p.Variable != "":
		return p.Variable
	case p.Flag != "":
		return "--" + p.Flag
	}
	return p.File
}

func (p *Problem) Error() string {
	where := p.Where()
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s%s; expected %s, for example %s", where, p.Message, p.Expected, p.Example)
}

// secretLike finds digits that may be a secret key in the wrong place.
var secretLike = regexp.MustCompile(`[0-9A-Fa-f]{64,}`)

// quote returns a value in a form that can be shown: short, in quotes, on one line, and
// without anything that may be a key.
func quote(s string) string {
	s = secretLike.ReplaceAllString(s, "***")
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return strconv.Quote(s)
}

// show returns a value of the file in a form that can be shown.
func show(raw any) string {
	switch v := raw.(type) {
	case string:
		return quote(v)
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "a section"
	case []map[string]any:
		return "a list of sections"
	}
	return strings.Trim(quote(fmt.Sprint(raw)), `"`)
}

// Problems are the problems of the settings. As an error it has a line for each.
type Problems []*Problem

func (p Problems) Error() string {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errors.Join(errs...).Error()
}
