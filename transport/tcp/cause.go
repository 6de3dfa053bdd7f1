package tcp

import "errors"

// known is an error of the system for which package transport has a sentinel. Its text
// is that of the sentinel: the system's own text repeats the address and the cause.
type known struct{ ours, system error }

func (e *known) Error() string   { return e.ours.Error() }
func (e *known) Unwrap() []error { return []error{e.ours, e.system} }

// classify wraps an error of the system in its sentinel, if it has one.
func classify(err error) error {
	for _, c := range causes {
		if errors.Is(err, c.system) {
			return &known{c.ours, err}
		}
	}
	return err
}
