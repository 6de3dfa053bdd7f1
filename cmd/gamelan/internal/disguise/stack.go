package disguise

import (
	"regexp"
	"strings"
)

// runtimeErrors are the beginnings of what the runtime says of a panic. It names types, lengths and indexes.
var runtimeErrors = []string{"runtime error: ", "interface conversion: ", "reflect: ", "send on closed channel", "close of closed channel", "close of nil channel", "assignment to entry in nil map"}

// Panic returns the value of a panic if it is the runtime's. Code that panics chooses any other one, which may
// be the text of a message.
func Panic(value string) string {
	for _, begin := range runtimeErrors {
		if strings.HasPrefix(value, begin) {
			return value
		}
	}
	return LeftOut(value)
}

// frame matches the lines of a stack: the goroutine, a function with its arguments, a place in a file.
var frame = regexp.MustCompile(`^goroutine \d+ |^created by |^\s*\S*/\S+:\d+|^[\w./*()\[\]·…%-]+\([\w{}.,… ?]*\)$`)

// Stack returns the lines of a stack without the arguments of functions, which are words of memory: those of
// a key are the key.
func Stack(lines []string) []string {
	all := make([]string, 0, len(lines))
	for _, line := range lines {
		if !frame.MatchString(line) {
			continue
		}
		if i := strings.LastIndexByte(line, '('); i > 0 && strings.HasSuffix(line, ")") {
			line = line[:i] + "(…)"
		}
		all = append(all, line)
	}
	return all
}
