package transport

import (
	"errors"
	"slices"
)

// known is an error of the system for which this package has a sentinel. Its text is that
// of the sentinel: the system's own text repeats the address and the cause.
type known struct{ ours, system error }

func (e *known) Error() string   { return e.ours.Error() }
func (e *known) Unwrap() []error { return []error{e.ours, e.system} }

// Known returns an error that reads as ours and wraps both. A transport uses it for an error
// of the system for which there is a better word.
func Known(ours, system error) error { return &known{ours, system} }

// Classify wraps an error of the system in its sentinel of this package, if it has one.
func Classify(err error) error {
	for _, c := range causes {
		if errors.Is(err, c.system) {
			return &known{c.ours, err}
		}
	}
	return err
}

// OutOfFiles reports whether an error says that this process, or this system, has no file
// descriptor left, so that no peer is at fault.
func OutOfFiles(err error) bool {
	return slices.ContainsFunc(outOfFiles, func(e error) bool { return errors.Is(err, e) })
}
