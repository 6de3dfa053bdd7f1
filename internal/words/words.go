// Package words writes errors for people.
package words

import "strings"

// Sentence returns an error on one line, without the prefix of its package. It returns "" if
// there is no error.
func Sentence(err error) string {
	if err == nil {
		return ""
	}
	return WithoutPackage(err.Error())
}

// packages are the prefixes of errors of this library.
var packages = []string{"gamelan: ", "actors: ", "dht: ", "saf: ", "peerstore: ", "transport: "}

// WithoutPackage returns a text on one line, without the prefixes of packages.
func WithoutPackage(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, p := range packages {
		text = strings.TrimPrefix(text, p)
	}
	return text
}
