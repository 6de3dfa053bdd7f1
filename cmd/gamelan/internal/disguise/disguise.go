// Package disguise takes what identifies people and machines, and what is secret, out of texts. The same
// thing has the same pseudonym everywhere, so that a reader can follow it.
package disguise

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path"
	"reflect"
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
	hosts   map[string]bool // names of machines that were met, in lower case
	secrets []string        // in all their forms

	// What every text of this kind has: no name and no password is known by it.
	constant []string
	ordinary map[string]bool // words
	fields   map[string]bool // of JSON

	trusts bool // see TrustMarked
}

// chosenName is a name that people have chosen.
type chosenName struct {
	name  string
	whole *regexp.Regexp
	by    string
}

// New returns a Disguise that knows nobody.
func New() *Disguise {
	d := &Disguise{
		peers: make(map[string]string), given: make(map[string]string), counts: make(map[string]int), hosts: make(map[string]bool),
		ordinary: make(map[string]bool), fields: make(map[string]bool),
	}
	d.common(everywhere)
	return d
}

// everywhere are words of addresses, states and pseudonyms.
const everywhere = `ip4 ip6 tcp udp dns dns4 dns6 dnsaddr onion onion3 socks5 memory localhost gamelan node seed peer
direct closest flood broadcast propagate random inbound outbound online offline degraded ready idle listed anyone
host address private digits topic network user emoji text this machine events data`

// TrustMarked shows notices that are marked as those of a program, if their code is of package inspect/codes: the program is one
// whose words are known.
func (d *Disguise) TrustMarked() { d.trusts = true }

// Constant tells of texts that do not depend on the node. A name that is a word of them is not replaced, and a secret
// that stands in them is not looked for: that the word is missing would tell what it is. Tell of them before secrets.
func (d *Disguise) Constant(texts ...string) {
	d.constant = append(d.constant, texts...)
	for _, text := range texts {
		d.common(text)
	}
}

func (d *Disguise) common(text string) {
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		d.ordinary[word] = true
	}
}

// Shape tells of the fields of a type that is written as JSON, and of all types in it. Their names are constant.
func (d *Disguise) Shape(of reflect.Type) { d.shape(of, make(map[reflect.Type]bool)) }

func (d *Disguise) shape(of reflect.Type, seen map[reflect.Type]bool) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Array || of.Kind() == reflect.Map {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || seen[of] {
		return
	}
	seen[of] = true
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if name == "" && !f.Anonymous {
			name = f.Name
		}
		if name != "" {
			d.fields[name] = true
			d.Constant(name)
		}
		d.shape(f.Type, seen)
	}
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

// Rename is Name with another name. An ordinary word is replaced only where nothing but a name can stand.
func (d *Disguise) Rename(name, by string) {
	if name == "" || slices.ContainsFunc(d.chosen, func(c chosenName) bool { return c.name == name }) {
		return
	}
	whole := regexp.QuoteMeta(name)
	if isWord(name[0]) {
		whole = `\b` + whole
	}
	if isWord(name[len(name)-1]) {
		whole += `\b`
	}
	d.chosen = append(d.chosen, chosenName{name, regexp.MustCompile(whole), by})
}

// named returns the pseudonym of a text that is a chosen name as a whole.
func (d *Disguise) named(text string) (by string, ok bool) {
	i := slices.IndexFunc(d.chosen, func(c chosenName) bool { return c.name == text })
	if i < 0 {
		return "", false
	}
	return d.chosen[i].by, true
}

// Host has the name of a machine be replaced wherever it stands, and returns its pseudonym. An address, and the
// name that means the same on each machine, stay.
func (d *Disguise) Host(name string) string {
	low := strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(low); err == nil || low == "localhost" || low == "" {
		return name
	}
	d.hosts[low] = true
	return d.Word("host", low)
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
	if len(secret) < leastSecret || slices.ContainsFunc(d.constant, func(text string) bool { return strings.Contains(text, string(secret)) }) {
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
	text = ofPeople.ReplaceAllString(text, "${1}(left out)")
	if strings.Contains(text, "://") {
		text = userOfURL.ReplaceAllString(text, "${1}"+Hidden+"@")
	}
	if strings.Contains(text, "/") {
		text = homes.ReplaceAllString(text, "${1}user")
		text = replaceGroups(dnsName, text, d.Host)
	}
	if strings.Contains(text, ":") {
		text = replaceGroups(lookedUp, text, func(name string) string {
			if d.ordinary[strings.ToLower(name)] { // a word, as in "lookup failed: "
				return name
			}
			return d.Host(name)
		})
		text = replaceGroups(withPort, text, func(name string) string {
			if slices.Contains(suffixes, path.Ext(name)) {
				return name
			}
			return d.Host(name)
		})
	}
	if len(d.hosts) > 0 {
		text = labels.ReplaceAllStringFunc(text, d.label)
	}
	text = replaceGroups(networks, text, func(name string) string {
		d.Name("network", name)
		return d.Word("network", name)
	})
	for _, c := range d.chosen {
		if !d.ordinary[strings.ToLower(c.name)] {
			text = c.whole.ReplaceAllLiteralString(text, c.by)
		}
	}
	return tokens.ReplaceAllStringFunc(text, d.token)
}

var (
	userOfURL = regexp.MustCompile(`\b([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@"']+@`)
	// ofPeople matches what comes before words that an operator has written, the reason of a ban, or a program, why
	// it does not admit a peer.
	ofPeople = regexp.MustCompile(`(?s)(\b[Bb]anned\b(?:[^:]|:\d\d)*: |\bnot admitted by the program: ).+`)
	homes    = regexp.MustCompile(`((?:^|[^\w])/(?:home|Users)/)[^/\s"':]+`)
	networks = regexp.MustCompile(`/gamelan/kad/\d+\.\d+\.\d+/([^/\s"',]+)|connections of the node, network (.+)`)
	labels   = regexp.MustCompile(`[\pL\pN_][\pL\pN_-]*(?:\.[\pL\pN_-]+)*`)
	// Names of machines: in an address, in an error of a resolver, before a port.
	dnsName  = regexp.MustCompile(`/dns(?:4|6|addr)?/([^/\s"',]+)`)
	lookedUp = regexp.MustCompile(`\blookup ([^\s:]+) on \S+: |\blookup ([^\s:]+\.[^\s:]*): |: lookup ([^\s:]+): `)
	withPort = regexp.MustCompile(`(?:^|[\s"'(=@,]|//)((?:[\pL\pN_-]+\.)+\pL[\pL\pN-]*):\d{1,5}\b`)
	suffixes = []string{".go", ".s", ".c", ".toml", ".json", ".conf", ".gamelan", ".onion"} // of files before the number of a line, and of onion services

	tokens = regexp.MustCompile(`(?i)` + strings.Join([]string{
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

// replaceGroups replaces the groups of each match in text.
func replaceGroups(in *regexp.Regexp, text string, by func(string) string) string {
	var b strings.Builder
	from := 0
	for _, m := range in.FindAllStringSubmatchIndex(text, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				b.WriteString(text[from:m[i]] + by(text[m[i]:m[i+1]]))
				from = m[i+1]
			}
		}
	}
	return b.String() + text[from:]
}

// label gives a name with dots a pseudonym if it is, or has in it, one of a known machine.
func (d *Disguise) label(text string) string {
	low := strings.ToLower(text)
	if d.hosts[low] && (strings.Contains(low, ".") || !d.ordinary[low]) {
		return d.Word("host", low)
	}
	parts := strings.Split(low, ".")
	for i := range parts {
		for j := i + 2; j <= len(parts); j++ {
			if d.hosts[strings.Join(parts[i:j], ".")] {
				return d.Word("host", low)
			}
		}
	}
	if len(parts) > 1 && len(parts[0]) > 3 && d.hosts[parts[0]] && !d.ordinary[parts[0]] { // in the domain of this machine
		return d.Word("host", low)
	}
	return text
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
