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
		q.err = &Error{CodeBadQuery, message, hint}
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

// choice reads a parameter that must be one of allowed. It returns def if the parameter
// is absent.
func (q *query) choice(name, def string, allowed ...string) string {
	v := q.values.Get(name)
	if v == "" {
		return def
	}
	if !slices.Contains(allowed, v) {
		q.refuse(fmt.Sprintf("%s cannot be %q", name, v), "it may be one of "+strings.Join(allowed, ", "))
		return def
	}
	return v
}

// number reads a parameter that must be a whole number of at least least.
func (q *query) number(name string, def, least int) int {
	v := q.values.Get(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		q.refuse(fmt.Sprintf("%s cannot be %q", name, v), fmt.Sprintf("give a whole number, %d or more", least))
		return def
	}
	return n
}

// duration reads a parameter that must be a positive duration. It returns 0 if the parameter
// is absent.
func (q *query) duration(name string) time.Duration {
	v := q.values.Get(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		q.refuse(fmt.Sprintf("%s cannot be %q", name, v), "give a positive duration, such as 30s")
	}
	return d
}

// flag reads a parameter that is true or false.
func (q *query) flag(name string, def bool) bool {
	v := q.values.Get(name)
	if v == "" {
		return def
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		q.refuse(fmt.Sprintf("%s cannot be %q", name, v), "give true or false")
		return def
	}
	return b
}
