package tcp

import "errors"

// known is an error of the system that package transport has a name for. The
// name says it all: the system's own text repeats the address and the cause.
type known struct{ ours, system error }

func (e *known) Error() string   { return e.ours.Error() }
func (e *known) Unwrap() []error { return []error{e.ours, e.system} }

// classify gives an error of the system its name, where there is one.
func classify(err error) error {
	for _, c := range causes {
		if errors.Is(err, c.system) {
			return &known{c.ours, err}
		}
	}
	return err
}
