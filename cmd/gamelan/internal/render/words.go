package render

import (
	"strings"
)

// words are the flags of gamelan node for the fields of the library's
// configuration that its errors name.
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

// inFlags writes the names of flags for those of the library's fields.
func inFlags(text string) string { return words.Replace(text) }
