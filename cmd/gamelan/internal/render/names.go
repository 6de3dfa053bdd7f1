package render

import (
	"regexp"
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// Name is a name of a peer.
type Name struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

// Names writes a table for people, one object a line for programs.
func Names(o *Output, all []Name) error {
	if o.JSON {
		return printEach(o, all)
	}
	if len(all) == 0 {
		o.Note("no names; give one with \"%s\"", o.Command("peers name KEY bob"))
		return nil
	}
	rows := [][]string{{"NAME", "PUBLIC KEY"}}
	for _, n := range all {
		rows = append(rows, []string{n.Name, n.PublicKey})
	}
	return o.Table(rows)
}

// shortID is the number of digits of a node id that is shown short.
const shortID = 16

// NamesOf are the names of peers by their node ids.
type NamesOf map[string]string

// name returns the name of a peer, or "" if it has none.
func (o *Output) name(id string) string {
	if o.Names == nil {
		return ""
	}
	return o.Names()[id]
}

// withNames adds the names as the first column of a table, unless no row has one. id returns
// the node id of the peer in a row, counted from 0 without the heading.
func (o *Output) withNames(rows [][]string, id func(i int) string) [][]string {
	all, some := [][]string{append([]string{"NAME"}, rows[0]...)}, false
	for i, r := range rows[1:] {
		name := o.name(id(i))
		some = some || name != ""
		all = append(all, append([]string{orDash(name)}, r...))
	}
	if !some {
		return rows
	}
	return all
}

// Who returns the short id of a peer, after its name if it has one: "bob (0011223344556677)".
func (o *Output) Who(id string) string {
	if name := o.name(id); name != "" {
		return name + " (" + inspect.ShortName(id) + ")"
	}
	return inspect.ShortName(id)
}

// nameOrID returns the name of a peer, and the short id of one without.
func (o *Output) nameOrID(id string) string {
	if name := o.name(id); name != "" {
		return name
	}
	return inspect.ShortName(id)
}

// whoLong is Who with the whole id.
func (o *Output) whoLong(id string) string {
	if name := o.name(id); name != "" {
		return name + " (" + id + ")"
	}
	return id
}

// WhoKey returns the beginning of a public key, after the name of its holder if it has one.
func (o *Output) WhoKey(key string) string {
	short := key[:min(16, len(key))] + "…"
	if k, err := identity.ParsePublicKey(key); err == nil {
		if name := o.name(k.NodeID().String()); name != "" {
			return name + " (" + short + ")"
		}
	}
	return short
}

// commandNamed puts a name in place of each node id and public key that is an argument of a
// command line: every command takes names. Before an address no name can stand.
func (o *Output) commandNamed(line string) string {
	words := strings.Split(line, " ")
	for i, word := range words {
		var id string
		switch len(word) {
		case 2 * len(identity.NodeID{}):
			id = word
		case 2 * len(identity.PublicKey{}):
			if key, err := identity.ParsePublicKey(word); err == nil {
				id = key.NodeID().String()
			}
		}
		if id == "" {
			continue
		}
		if name, _, _ := strings.Cut(o.name(id), ", "); name != "" { // the first of several
			words[i] = name
		}
	}
	return strings.Join(words, " ")
}

// idWord matches a word that may be a node id. A command line of gamelan is one match.
var idWord = regexp.MustCompile(`gamelan (?:[a-z]+ )*[^\s,;:()"]*|[^\s,;:()"]+`)

// Named puts the names of peers before their ids in a sentence that a node has written, and
// in place of them in a command line there.
func (o *Output) Named(text string) string {
	if o.Names == nil {
		return text
	}
	return idWord.ReplaceAllStringFunc(text, func(word string) string {
		if strings.HasPrefix(word, "gamelan ") {
			return o.commandNamed(word)
		}
		if len(word) != shortID {
			return o.whoLong(word)
		}
		for id, name := range o.Names() {
			if strings.HasPrefix(id, word) {
				return name + " (" + word + ")"
			}
		}
		return word
	})
}
