package inspect

import (
	"fmt"
	"iter"
	"strings"
)

// FindPeer looks for the peers that text stands for: a node id or a public key, or the
// beginning of one, in upper or lower case. peers yields node ids and public keys; a key
// may be "". The result is the index of the last that was found, -1 for none, and the ids
// of all.
func FindPeer(text string, peers iter.Seq2[string, string]) (last int, ids []string) {
	begin, i := strings.ToLower(text), 0
	last = -1
	for id, key := range peers {
		if begin != "" && (strings.HasPrefix(id, begin) || strings.HasPrefix(key, begin)) {
			last, ids = i, append(ids, id)
		}
		i++
	}
	return last, ids
}

// MinPrefix is how many digits of a node id or a public key are enough to look for it.
const MinPrefix = 4

// IsPrefix reports whether text may be the beginning of a node id or of a public key: at least
// [MinPrefix] hexadecimal digits, but no whole one.
func IsPrefix(text string) bool {
	return len(text) >= MinPrefix && len(text) < fullKey && len(text) != fullID && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// Ambiguous returns the error for the beginning of the ids or keys of several peers.
func Ambiguous(text string, ids []string) *Error {
	return &Error{Code: CodeBadQuery, Message: fmt.Sprintf("%s peers begin with %s: %s", Number(uint64(len(ids))), Escape(text), Candidates(ids)), Hint: "give more digits"}
}

// candidatesNamed is how many candidates an error for an ambiguous beginning names.
const candidatesNamed = 5

// Candidates lists what an ambiguous beginning may stand for, at most five of all.
func Candidates(all []string) string {
	text := strings.Join(all[:min(len(all), candidatesNamed)], ", ")
	if more := len(all) - candidatesNamed; more > 0 {
		text += " and " + Number(uint64(more)) + " more"
	}
	return text
}
