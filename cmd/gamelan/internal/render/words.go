package render

import (
	"regexp"
	"strings"
)

// words replaces the fields of the library's configuration in its errors by the flags of
// gamelan node.
var words = strings.NewReplacer(
	"without NoDHT (gamelan node: without --no-dht)", "without --no-dht",
	"without PlainOnProfile (gamelan node: without --plain-on-profile)", "without --plain-on-profile",
	"(Node.Send, or gamelan send PEER)", "with gamelan send PEER",
	"(Send, or gamelan send --to KEY)", "with gamelan send --to KEY",
	"a handler (WithHandler)", "a handler",
	"set Discover of the strategy to search for it", "search for it with gamelan discover KEY",
	"Selected.Peers has no usable peer", "none of the given peers can be used",
	"PlainOnProfile", "--plain-on-profile",
	"Config.NoDHT", "--no-dht",
	"NoDHT", "--no-dht",
	"PlainID", "--node-plain-protocol",
)

// inFlags replaces the names of the library's fields by those of flags, and says "dial" of a
// peer and its address once.
func inFlags(text string) string {
	return dialTwice.ReplaceAllString(words.Replace(text), "dial peer $1: $2")
}

// Plain returns the text of an error in the words of the command's user, without names of
// the library's Go API.
func Plain(text string) string { return inFlags(text) }

// dialTwice matches the error of a dial of a peer with that of its address.
var dialTwice = regexp.MustCompile(`dial peer (\S+): dial (/)`)
