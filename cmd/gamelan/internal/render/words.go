package render

import (
	"regexp"
	"strings"
)

// fieldWords replaces the fields of the library's configuration in its errors by the flags of
// gamelan node.
var fieldWords = strings.NewReplacer(
	"(Node.Send)", "with gamelan send PEER",
	"(DHT.Send)", "with gamelan send --to KEY",
	"a handler (WithHandler)", "a handler",
	"set Discover of the strategy to search for it", "search for it with gamelan discover KEY",
	"Selected.Peers has no usable peer", "none of the given peers can be used",
	"PlainOnProfile", "--plain-on-profile",
	"Config.NoDHT", "--no-dht",
	"NoDHT", "--no-dht",
	"PlainID", "--node-plain-protocol",
)

// Plain replaces the names of the library's fields in a text by those of flags, and says in
// plain words why a peer could not be reached.
func Plain(text string) string {
	text = fieldWords.Replace(text)
	for _, p := range dialWords {
		text = p.from.ReplaceAllString(text, p.to)
	}
	if n := strings.Count(text, notListening); n > 1 { // of several addresses
		text = strings.Replace(text, notListening, "", n-1)
	}
	return text
}

// notListening is the advice on an address at which no program listens.
const notListening = "; check that the peer is running and listens on this address, and that no firewall refuses it"

// dialWords are the errors of dials and what the user reads in their place, in order.
var dialWords = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`(?:dial failed: |no connection: )?dial peer ([^\s:]+): `), "no connection to $1: "},
	{regexp.MustCompile(`(?:actors: )?peer [0-9a-f]+ is banned until (.*); unban it first`), "this node has banned it until $1; lift the ban with gamelan unban"},
	{regexp.MustCompile(`\bdial (/[^\s:]\S*): `), "$1: "},
	{regexp.MustCompile(`\bat (/\S+): set-up`), "$1: set-up"},
	{regexp.MustCompile(`set-up(?: with [0-9a-f]+)? failed at [a-z ]+: `), "set-up failed: "},
	{regexp.MustCompile(`set-up failed: peer has another key: ([0-9a-f]{64}), want [0-9a-f]{64}`), "another node answers there, with the key $1"},
	{regexp.MustCompile(`set-up failed: [^;]*; this looks like another protocol: (the program that listens there may be no Gamelan or Tari node)`), "it speaks another protocol: $1"},
	{regexp.MustCompile(`name not resolved: [^;]*: no such host`), "name not resolved: no such host"},
}
