// Package useragent recognises nodes of this library by their user agent.
package useragent

import "strings"

// Prefix begins the word in a user agent that stands for this library; its
// version follows.
const Prefix = "gamelan/"

// Ours reports whether a user agent is that of a node of this library: one of
// its words begins with Prefix. An application's own text may stand before it.
func Ours(agent string) bool {
	for word := range strings.FieldsSeq(agent) {
		if strings.HasPrefix(word, Prefix) {
			return true
		}
	}
	return false
}
