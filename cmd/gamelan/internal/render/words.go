package render

import (
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
	"PlainOnProfile", "--plain-on-profile",
	"Config.NoDHT", "--no-dht",
	"NoDHT", "--no-dht",
	"PlainID", "--node-plain-protocol",
)

// inFlags replaces the names of the library's fields by those of flags.
func inFlags(text string) string { return words.Replace(text) }
