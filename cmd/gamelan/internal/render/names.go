package render

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Name is a name of a peer.
type Name struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

// Names writes a table for people, one object a line for programs.
func Names(o *Output, all []Name) error {
	if o.JSON {
		return Each(o, all)
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

// shortID is the number of digits that are shown of a public key, and of a node id.
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

// key returns the public key of a peer, or "" if it is not known.
func (o *Output) key(id string) string {
	if o.Keys == nil || id == "" {
		return ""
	}
	return o.Keys(id)
}

// Who returns what a person calls a peer: its name, or the beginning of its public key. If
// that is not known, it is the beginning of the node id. With Verbose the node id follows:
// "bob (node id 0011223344556677)".
func (o *Output) Who(id string) string { return o.who(id, "", shortID) }

// whoLong is Who with the whole key, which may be "" if the output has not got it.
func (o *Output) whoLong(id, key string) string { return o.who(id, key, 2*identity.KeyLen) }

// whoIs is Who for the record of a peer.
func (o *Output) whoIs(p *models.Peer) string { return o.who(p.NodeID, p.PublicKey, shortID) }

// WhoKey is Who for the holder of a public key.
func (o *Output) WhoKey(key string) string {
	id := ""
	if k, err := identity.ParsePublicKey(key); err == nil {
		id = k.NodeID().String()
	}
	return o.who(id, key, shortID)
}

// who returns what a person calls a peer. key may be "". digits is how many of the key are
// shown, and of the node id.
func (o *Output) who(id, key string, digits int) string {
	who, node := o.name(id), id[:min(digits, len(id))]
	if who == "" {
		key = cmp.Or(key, o.key(id))
		who = key[:min(digits, len(key))]
	}
	switch {
	case who == "":
		return node
	case o.Verbose && id != "":
		return who + " (node id " + node + ")"
	}
	return who
}

// inCommand returns a word that every command takes for a peer: its first name, or the
// beginning of its public key. It is "" for a peer whose name and key are not known.
func (o *Output) inCommand(id string) string {
	if name, _, _ := strings.Cut(o.name(id), ", "); name != "" {
		return name
	}
	key := o.key(id)
	return key[:min(shortID, len(key))]
}

var (
	// nodeIDs matches node ids, whole or as they are shown. The beginning of a public key and
	// a tag look like the latter. What stands in quotes is what a person has typed.
	nodeIDs = regexp.MustCompile(`"?\b(?:[0-9a-f]{26}|[0-9a-f]{16})\b"?`)
	// peerIDs matches whole node ids, and public keys, each with a :: behind it.
	peerIDs = regexp.MustCompile(`\b(?:[0-9a-f]{26}|[0-9a-f]{64})\b(?:::)?`)
	// commandLine matches a command line in a sentence.
	commandLine = regexp.MustCompile(`gamelan (?:[a-z]+ )*[^\s,;:()"]*`)
)

// commandNamed puts the name or the beginning of the public key in place of each node id in
// a command line, and a name in place of a public key, also before an address: every command takes
// them.
func (o *Output) commandNamed(line string) string {
	return peerIDs.ReplaceAllStringFunc(line, func(word string) string {
		if len(word) == 2*identity.NodeIDLen {
			return cmp.Or(o.inCommand(word), word)
		}
		key, given := strings.CutSuffix(word, "::")
		k, err := identity.ParsePublicKey(key)
		if err != nil {
			return word
		}
		name, _, _ := strings.Cut(o.name(k.NodeID().String()), ", ")
		if name != "" && given {
			name += "::"
		}
		return cmp.Or(name, word)
	})
}

// Named puts the names of peers or the beginnings of their public keys in place of their node
// ids in a text that a node has written. What is no id of a known peer stays.
func (o *Output) Named(text string) string {
	var b strings.Builder
	for at := commandLine.FindStringIndex(text); at != nil; at = commandLine.FindStringIndex(text) {
		b.WriteString(o.sentenceNamed(text[:at[0]]) + o.commandNamed(text[at[0]:at[1]]))
		text = text[at[1]:]
	}
	return b.String() + o.sentenceNamed(text)
}

func (o *Output) sentenceNamed(text string) string {
	return nodeIDs.ReplaceAllStringFunc(text, func(word string) string {
		if word[0] == '"' {
			return word
		}
		if len(word) == shortID {
			word = cmp.Or(o.whole(word), word)
		}
		if o.name(word) == "" && o.key(word) == "" {
			return word
		}
		return o.Who(word)
	})
}

// whole returns the node id of the known peer whose id begins so, or "".
func (o *Output) whole(begin string) string {
	if o.Names != nil {
		for id := range o.Names() {
			if strings.HasPrefix(id, begin) {
				return id
			}
		}
	}
	k, err := identity.ParsePublicKey(o.key(begin))
	if err != nil {
		return ""
	}
	return k.NodeID().String()
}

// ActorNamed is Named for the path or the name of an actor. With Verbose it stays, because it
// stands so in the log.
func (o *Output) ActorNamed(path string) string {
	if o.Verbose {
		return path
	}
	return peerIDs.ReplaceAllStringFunc(path, func(id string) string { return cmp.Or(o.inCommand(id), id) })
}
