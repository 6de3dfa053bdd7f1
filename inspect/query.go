package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// query reads the parameters of one request and remembers the first mistake.
type query struct {
	values url.Values
	err    *Error
}

// newQuery refuses parameters whose names are not in known.
func newQuery(r *http.Request, known ...string) *query {
	q := &query{}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		q.refuse("the query cannot be read", "write it as name=value&name=value, percent-encoded")
		return q
	}
	q.values = values
	for name := range values {
		if !slices.Contains(known, name) {
			hint := "this address takes no parameters"
			if len(known) > 0 {
				hint = "it may be one of " + strings.Join(known, ", ")
			}
			q.refuse(fmt.Sprintf("unknown parameter %q", name), hint)
		}
	}
	return q
}

func (q *query) refuse(message, hint string) {
	if q.err == nil {
		q.err = &Error{Code: CodeBadQuery, Message: message, Hint: hint}
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

// parsed reads a parameter with parse, which returns false for a mistake. It returns def if the
// parameter is absent.
func parsed[T any](q *query, name string, def T, hint string, parse func(string) (T, bool)) T {
	v := q.values.Get(name)
	if v == "" {
		return def
	}
	x, ok := parse(v)
	if !ok {
		q.refuse(fmt.Sprintf("%s cannot be %q", name, v), hint)
		return def
	}
	return x
}

// choice reads a parameter that must be one of allowed.
func (q *query) choice(name, def string, allowed ...string) string {
	return parsed(q, name, def, "it may be one of "+strings.Join(allowed, ", "), func(v string) (string, bool) { return v, slices.Contains(allowed, v) })
}

// number reads a parameter that must be a whole number of at least least.
func (q *query) number(name string, def, least int) int {
	return parsed(q, name, def, fmt.Sprintf("give a whole number, %d or more", least), func(v string) (int, bool) {
		n, err := strconv.Atoi(v)
		return n, err == nil && n >= least
	})
}

// duration reads a parameter that must be a positive duration. It returns 0 if the parameter
// is absent.
func (q *query) duration(name string) time.Duration {
	return parsed(q, name, 0, "give a positive duration, such as 30s", func(v string) (time.Duration, bool) {
		d, err := time.ParseDuration(v)
		return d, err == nil && d > 0
	})
}

// flag reads a parameter that is true or false.
func (q *query) flag(name string, def bool) bool {
	return parsed(q, name, def, "give true or false", func(v string) (bool, bool) {
		b, err := strconv.ParseBool(v)
		return b, err == nil
	})
}
