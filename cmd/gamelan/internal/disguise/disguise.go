// Package disguise takes what identifies people and machines, and what is secret, out of texts. The same
// thing has the same pseudonym everywhere, so that a reader can follow it.
package disguise

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Hidden stands for a secret.
const Hidden = "***"

// Disguise gives out pseudonyms: peer-1, address-1. They are numbered as things are met, and tell
// nothing about them. One goroutine uses it.
type Disguise struct {
	peers   map[string]string // pseudonyms by node id and by public key
	given   map[string]string // other pseudonyms, by kind and text
	counts  map[string]int    // by kind
	words   *strings.Replacer // nil: it must be made again
	plain   []string          // pairs for words
	chosen  []chosenName
	secrets []string // in all their forms
}

// chosenName is a name that people have chosen.
type chosenName struct {
	whole *regexp.Regexp
	by    string
}

// New returns a Disguise that knows nobody.
func New() *Disguise {
	return &Disguise{peers: make(map[string]string), given: make(map[string]string), counts: make(map[string]int)}
}

// Own gives the node itself the pseudonym this-node.
func (d *Disguise) Own(nodeID, publicKey string) { d.know("this-node", nodeID, publicKey) }

// Peer gives a peer a pseudonym, unless it has one. Either of its ids may be empty.
func (d *Disguise) Peer(nodeID, publicKey string) {
	if k, err := identity.ParsePublicKey(publicKey); err == nil {
		nodeID = k.NodeID().String()
	}
	name, ok := d.peers[nodeID]
	if !ok {
		name = d.number("peer")
	}
	d.know(name, nodeID, publicKey)
}

func (d *Disguise) know(name string, ids ...string) {
	for _, id := range ids {
		if id != "" {
			d.peers[strings.ToLower(id)] = name
		}
	}
}

// Replace has a text be replaced by another one wherever it stands, such as the path of a directory.
// Those given first go before others.
func (d *Disguise) Replace(text, by string) {
	if text != "" {
		d.plain, d.words = append(d.plain, text, by), nil
	}
}

// Word returns the pseudonym of a whole text, such as a name, of a kind.
func (d *Disguise) Word(kind, text string) string {
	name, ok := d.given[kind+" "+text]
	if !ok {
		name = d.number(kind)
		d.given[kind+" "+text] = name
	}
	return name
}

// Name has a name that people have chosen be replaced by its pseudonym wherever it stands as a word.
func (d *Disguise) Name(kind, name string) { d.Rename(name, d.Word(kind, name)) }

// Rename is Name with another name.
func (d *Disguise) Rename(name, by string) {
	if name == "" {
		return
	}
	whole := regexp.QuoteMeta(name)
	if isWord(name[0]) {
		whole = `\b` + whole
	}
	if isWord(name[len(name)-1]) {
		whole += `\b`
	}
	d.chosen = append(d.chosen, chosenName{regexp.MustCompile(whole), by})
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (d *Disguise) number(kind string) string {
	d.counts[kind]++
	return fmt.Sprintf("%s-%d", kind, d.counts[kind])
}

// leastSecret is the length from which on a secret is looked for: a shorter one would be found in words.
const leastSecret = 6

// Secret has a secret be hidden in all forms in which somebody may have written it.
func (d *Disguise) Secret(secret []byte) {
	if len(secret) < leastSecret {
		return
	}
	d.secrets = append(d.secrets, Forms(secret)...)
	slices.SortFunc(d.secrets, func(a, b string) int { return len(b) - len(a) })
	d.secrets = slices.Compact(d.secrets)
}

// Forms returns the forms in which a secret may stand in a text: as it is, in hexadecimal digits, and in
// base64, also as a part of more.
func Forms(secret []byte) []string {
	digits := hex.EncodeToString(secret)
	all := []string{string(secret), digits, strings.ToUpper(digits)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 { // bytes before it move its digits
			text := enc.EncodeToString(append(make([]byte, before), secret...))
			from := (before*8 + 5) / 6
			to := (before + len(secret)) * 8 / 6
			if part := text[from:to]; len(part) >= leastSecret {
				all = append(all, part)
			}
		}
	}
	return all
}

// Finds reports whether a secret stands in b, in any form.
func (d *Disguise) Finds(b []byte) bool {
	text := string(b)
	return slices.ContainsFunc(d.secrets, func(s string) bool { return strings.Contains(text, s) })
}

// Text returns a text without secrets, and with pseudonyms.
func (d *Disguise) Text(text string) string {
	for _, s := range d.secrets {
		text = strings.ReplaceAll(text, s, Hidden)
	}
	if d.words == nil {
		d.words = strings.NewReplacer(d.plain...)
	}
	text = d.words.Replace(text)
	for _, c := range d.chosen {
		text = c.whole.ReplaceAllLiteralString(text, c.by)
	}
	text = reasons.ReplaceAllString(text, "${1}(left out)")
	text = userOfURL.ReplaceAllString(text, "${1}"+Hidden+"@")
	text = homes.ReplaceAllString(text, "${1}user")
	text = names.ReplaceAllStringFunc(text, d.host)
	return tokens.ReplaceAllStringFunc(text, d.token)
}

var (
	userOfURL = regexp.MustCompile(`\b([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@"']+@`)
	reasons   = regexp.MustCompile(`(\b[Bb]anned\b(?:[^:]|:\d\d)*: ).+`) // what follows is what an operator has written
	homes     = regexp.MustCompile(`((?:^|[^\w])/(?:home|Users)/)[^/\s"':]+`)
	names     = regexp.MustCompile(`/dns(?:4|6|addr)?/[^/\s"',]+`)
	tokens    = regexp.MustCompile(`(?i)` + strings.Join([]string{
		`\b[a-z2-7]{56}(?:\.onion)?\b`,
		`\b[0-9a-f]{4,}…`,
		`\b[0-9a-f]{7,}\b`,
		`[0-9a-f:]*::?[0-9a-f:]*:\d{1,3}(?:\.\d{1,3}){3}\b`,
		`\b\d{1,3}(?:\.\d{1,3}){3}\b`,
		`[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}`,
		`:(?::[0-9a-f]{0,4}){1,7}`,
		`\b[a-z0-9]{40,}\b`,
		`[\p{So}\p{Sk}\x{200d}\x{fe0f}]{8,}`,
	}, "|"))
)

// host gives the name in an address a pseudonym.
func (d *Disguise) host(text string) string {
	i := strings.LastIndexByte(text, '/')
	if strings.EqualFold(text[i+1:], "localhost") {
		return text
	}
	return text[:i+1] + d.Word("host", strings.ToLower(text[i+1:]))
}

// leastID is the number of digits from which on unknown ones have a pseudonym. Fewer are taken for a number.
const leastID = 16

// token returns what stands for a part of a text that looks like an id or an address.
func (d *Disguise) token(text string) string {
	low := strings.ToLower(text)
	digits, cut := strings.CutSuffix(low, "…")
	switch {
	case strings.HasSuffix(low, ".onion"), len(low) == 56 && strings.Trim(low, hexDigits) != "":
		return d.Word("onion", strings.TrimSuffix(low, ".onion"))
	case strings.ContainsAny(low, ".:"):
		return d.address(text)
	case strings.Trim(digits, hexDigits) == "":
		return d.id(text, digits, cut)
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }):
		return d.Word("emoji", text)
	case strings.ContainsAny(text, "0123456789") && text != low && text != strings.ToUpper(text): // no name in code
		return d.Word("text", text)
	}
	return text
}

const hexDigits = "0123456789abcdef"

// Lengths of ids in digits.
const (
	nodeIDDigits = 2 * len(identity.NodeID{})
	keyDigits    = 2 * len(identity.PublicKey{})
)

// id returns what stands for digits, which may be the beginning of those of a peer.
func (d *Disguise) id(text, digits string, cut bool) string {
	if name, ok := d.peers[digits]; ok {
		return name
	}
	found, several := "", false
	for id, name := range d.peers {
		if !strings.HasPrefix(id, digits) {
			continue
		}
		if several = found != "" && found != name; several {
			break
		}
		found = name
	}
	switch {
	case several: // it would tell the beginning of their ids
		return d.Word("digits", digits)
	case found != "":
		return found
	case len(digits) == nodeIDDigits:
		d.Peer(digits, "")
		return d.peers[digits]
	case len(digits) == keyDigits:
		if _, err := identity.ParsePublicKey(digits); err == nil {
			d.Peer("", digits)
			return d.peers[digits]
		}
	}
	if cut || len(digits) >= leastID {
		return d.Word("digits", digits)
	}
	return text
}

// address returns what stands for an address of the Internet protocol. Those that mean the same on each
// machine stay.
func (d *Disguise) address(text string) string {
	for _, behind := range []string{"", "::", ":"} { // such as 10.0.0.1:: and 2001:db8::1:
		plain, ok := strings.CutSuffix(text, behind)
		ip, err := netip.ParseAddr(plain)
		if !ok || err != nil {
			continue
		}
		switch ip = ip.Unmap(); {
		case ip.IsLoopback(), ip.IsUnspecified():
			return text
		case ip.IsPrivate(), ip.IsLinkLocalUnicast(), shared.Contains(ip):
			return d.Word("private-address", ip.String()) + behind
		}
		return d.Word("address", ip.String()) + behind
	}
	return text
}

// shared are the addresses that providers use behind their routers.
var shared = netip.MustParsePrefix("100.64.0.0/10")
