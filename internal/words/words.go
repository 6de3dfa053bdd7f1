// Package words writes errors for people.
package words

import (
	"errors"
	"strings"
)

// Sentence returns an error on one line, without the prefix of its package. It returns "" if
// there is no error.
func Sentence(err error) string {
	if err == nil {
		return ""
	}
	return WithoutPackage(err.Error())
}

// Cause returns the innermost cause of an error, as Sentence does: without the words about what
// was being done.
func Cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return Sentence(err)
}

// packages are the prefixes of errors of this library.
var packages = []string{"gamelan: ", "actors: ", "peerstore: ", "transport: ", "kv: ", "dht: ", "netsync: ", "saf: ", "kad: ", "client: "}

// WithoutPackage returns a text on one line, without the prefixes of packages.
func WithoutPackage(text string) string {
	text = OneLine(text)
	for _, p := range packages {
		text = strings.TrimPrefix(text, p)
	}
	return text
}

// OneLine returns a text on one line.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
