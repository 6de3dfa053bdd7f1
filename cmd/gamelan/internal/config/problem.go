package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is what is wrong in one place, in words for its user: where, what,
// what was expected, and an example.
type Problem struct {
	File         string `json:"file,omitempty"` // of a file
	Line         int    `json:"line,omitempty"` // in it, from 1
	Variable     string `json:"variable,omitempty"`
	Flag         string `json:"flag,omitempty"`
	Key          string `json:"key,omitempty"`
	Message      string `json:"message"`
	Expected     string `json:"expected"`
	Example      string `json:"example"`
	hidesDataDir bool   // the data directory cannot be told because of it
}

// Where says where the problem stands; it is empty when a default does not
// work.
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

// secretLike are runs of digits that may be a secret key in the wrong place.
var secretLike = regexp.MustCompile(`[0-9A-Fa-f]{64,}`)

// quote makes a value fit to be shown: short, in quotes, on one line, and
// without anything that may be a key.
func quote(s string) string {
	s = secretLike.ReplaceAllString(s, "***")
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return strconv.Quote(s)
}

// show makes a value of the file fit to be shown.
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

// Problems are settings that cannot be used; as an error it has a line for each.
type Problems []*Problem

func (p Problems) Error() string {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errors.Join(errs...).Error()
}
