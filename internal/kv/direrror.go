package kv

import "fmt"

// DirError is an error of the store in a directory.
type DirError struct {
	Dir    string // as an absolute path
	Err    error  // one of the sentinels of this package
	Cause  error  // the underlying error; may be nil
	Remedy string // what to do
}

// Error names the directory, the problem and the remedy.
func (e *DirError) Error() string {
	s := fmt.Sprintf("%v: %s", e.Err, e.Dir)
	if e.Cause != nil {
		s += fmt.Sprintf(" (%v)", e.Cause)
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns the sentinel and the cause.
func (e *DirError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}
