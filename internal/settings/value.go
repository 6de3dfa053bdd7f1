package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// parse returns the value of the setting for a value decoded by TOML: a string, an int64, a
// bool, a []any or something else. The error has the form of words after "…: ".
func (r *Row) parse(raw any) (any, error) {
	switch r.Kind {
	case Count:
		n, ok := raw.(int64)
		if !ok {
			return nil, fmt.Errorf("it is %s", typeName(raw))
		}
		if n == 0 { // in the struct it would mean the default
			n = r.Zero
		}
		return n, r.within(n)
	case Switch:
		b, ok := raw.(bool)
		if !ok {
			return nil, fmt.Errorf("it is %s", typeName(raw))
		}
		return b, nil
	}
	if r.List() {
		return r.parseList(raw)
	}
	text, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("it is %s", typeName(raw))
	}
	switch r.Kind {
	case Size:
		n, err := parseSize(text)
		if err != nil {
			return nil, err
		}
		return n, r.within(n)
	case Duration:
		d, err := parseDuration(text)
		if err != nil {
			return nil, err
		}
		return d, r.within(int64(d))
	case Choice:
		return r.parseChoice(text)
	}
	return text, r.checkText(text)
}

func (r *Row) within(n int64) error {
	switch {
	case n < r.Least:
		return errors.New("it is too small")
	case n > r.Most:
		return errors.New("it is too large")
	}
	return nil
}

func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, errors.New("it has no unit")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("it is no number with a unit of h, m, s or ms")
	}
	return d, nil
}

func (r *Row) parseChoice(text string) (any, error) {
	if r.names(text) {
		return text, nil
	}
	text = strings.ToLower(text)
	if r.Parse != nil {
		if name, err := r.Parse(text); err == nil {
			return name, nil
		}
	}
	if !slices.Contains(r.Choices, text) {
		if near := nearest(text, r.Choices); near != "" {
			return nil, fmt.Errorf("there is no such choice, did you mean %q?", near)
		}
		return nil, errors.New("there is no such choice")
	}
	return text, nil
}

func (r *Row) checkText(text string) error {
	switch {
	case text == "":
		return errors.New("it is empty")
	case r.Most > 0 && int64(len(text)) > r.Most:
		return fmt.Errorf("it has %d bytes", len(text))
	case strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0:
		return errors.New("it holds a control character")
	case r.Kind == Text && strings.IndexFunc(text, func(r rune) bool { return r > 0x7e }) >= 0:
		return errors.New("it is not ASCII")
	case r.Valid != nil:
		return r.Valid(text)
	}
	return nil
}

func (r *Row) parseList(raw any) (any, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("it is %s", typeName(raw))
	}
	if int64(len(list)) > r.Most {
		return nil, fmt.Errorf("it has %d entries", len(list))
	}
	texts := make([]string, 0, len(list))
	for i, e := range list {
		if n, ok := e.(int64); ok && r.Kind == Types {
			if int64(int32(n)) != n {
				return nil, fmt.Errorf("entry %d has more than 32 bits", i+1)
			}
			if r.Refuse != nil {
				if err := r.Refuse(n); err != nil {
					return nil, err
				}
			}
			texts = append(texts, strconv.FormatInt(n, 10))
			continue
		}
		text, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("entry %d is %s", i+1, typeName(e))
		}
		if len(list) == 1 && slices.Contains(r.Names, text) {
			return []string{text}, nil
		}
		if slices.Contains(r.Names, text) {
			return nil, fmt.Errorf("%s stands alone or not at all; leave it out, or the other entries", quote(text))
		}
		if err := r.checkElement(text); err != nil {
			if r.Kind == Codes {
				return nil, err
			}
			return nil, &elementError{i + 1, len(list), quote(text), r.element(), r.advice(text)}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// elementError reports a wrong entry of a list.
type elementError struct {
	n, of                 int // the n-th, from 1
	text, element, advice string
}

func (e *elementError) Error() string {
	text := fmt.Sprintf("entry %d, %s, is no %s", e.n, e.text, e.element)
	if e.of == 1 {
		text = "it is no " + e.element
	}
	if e.advice != "" {
		text += ", " + e.advice
	}
	return text
}

// advice returns how to write an entry that is no valid address, or "" if that is not
// clear.
func (r *Row) advice(text string) string {
	_, addr, ok := strings.Cut(text, "::")
	switch {
	case r.Kind == Seeds && ok:
		text = addr
	case r.Kind == Seeds && strings.Contains(text, ":/"):
		return "two colons stand between the key and the address"
	case r.Kind == Seeds && !strings.Contains(text, "/"):
		return strings.TrimSuffix("the address is missing, "+r.Hint, ", ")
	case r.Kind != Addrs:
		return ""
	}
	return secretLike.ReplaceAllString(address.Advice(text), "***")
}

// errNoNumber reports a text in place of a number.
var errNoNumber = errors.New("it is no whole number")

func (r *Row) checkElement(text string) error {
	var err error
	switch r.Kind {
	case Seeds:
		_, err = peerstore.ParseSeed(text)
	case Networks:
		_, err = netip.ParsePrefix(text)
	case Ranges:
		_, err = protocol.ParseAddressRange(text)
	case Peers:
		_, err = identity.ParsePeer(text)
	case Types:
		err = errNoNumber
	case DNSNames:
		err = CheckName(text)
	case Codes:
		err = r.RefuseText(text)
	default:
		_, err = address.Parse(text)
	}
	return err
}

// CheckName returns an error if a text is no DNS name.
func CheckName(name string) error {
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, notInName) {
		return fmt.Errorf("%q is not a DNS name; write a name such as seeds.example.org", name)
	}
	return nil
}

func notInName(r rune) bool {
	return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func (r *Row) element() string {
	switch r.Kind {
	case Seeds:
		return "KEY::ADDRESS"
	case Networks:
		return "network such as 10.0.0.0/8"
	case Ranges:
		return "multiaddr, range of them or network"
	case Peers:
		return "public key"
	case Types:
		return "whole number without quotes"
	case DNSNames:
		return "DNS name"
	case Codes:
		return "code"
	}
	return "multiaddr"
}

// fromText returns the value that TOML would decode from the text of a variable or a flag.
// Commas separate the entries of a list in a variable.
func (r *Row) fromText(text string) any {
	switch r.Kind {
	case Count:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case Switch:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	if !r.List() {
		return text
	}
	var list []any
	for e := range strings.SplitSeq(text, ",") {
		if e = strings.TrimSpace(e); e != "" {
			list = append(list, r.entryFromText(e))
		}
	}
	return list
}

// entryFromText returns the value that TOML would decode from one entry of a list.
func (r *Row) entryFromText(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && r.Kind == Types {
		return n
	}
	return text
}

// typeName returns the name of the type of a value decoded by TOML.
func typeName(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	}
	return "a date or a time"
}

// Expected describes the possible values, in words after "expected".
func (r *Row) Expected() string {
	if r.Form != "" {
		return r.Form
	}
	switch r.Kind {
	case Path:
		return "a path in quotes, absolute in a file"
	case Choice:
		return "one of " + strings.Join(r.Choices, ", ")
	case Switch:
		return "true or false"
	case Count:
		return "a whole number " + r.Range()
	case Size:
		return "a size " + r.Range() + " with its unit B, KiB, MiB or GiB"
	case Duration:
		return "a duration " + r.Range() + " with its unit ms, s, m or h"
	case Text:
		return "text in quotes, " + r.Range()
	}
	return "a list of " + lists[r.Kind] + ", " + r.Range()
}

// lists are the entries of lists, in words.
var lists = map[Kind]string{
	Addrs: "multiaddrs", Seeds: "KEY::ADDRESS", Networks: "networks such as 10.0.0.0/8", Ranges: "multiaddrs, ranges and networks",
	Peers: "public keys", Types: "whole numbers", DNSNames: "DNS names", Codes: "codes of warnings",
}

// Range returns the allowed values in words, or "" if the kind already tells them.
func (r *Row) Range() string {
	switch r.Kind {
	case Count:
		return fmt.Sprintf("from %d to %d", r.Least, r.Most)
	case Size:
		return "from " + formatSize(r.Least) + " to " + formatSize(r.Most)
	case Duration:
		return "from " + formatDuration(time.Duration(r.Least)) + " to " + formatDuration(time.Duration(r.Most))
	case Choice:
		text := strings.Join(r.Choices, ", ")
		if r.IsFile != nil {
			text += ", or a path"
		}
		return text
	case Text:
		return fmt.Sprintf("at most %d bytes of printable ASCII", r.Most)
	case Path, Switch:
		return ""
	}
	return fmt.Sprintf("at most %d", r.Most)
}

// Unit returns the unit of the value, for the tables.
func (r *Row) Unit() string {
	switch r.Kind {
	case Size:
		return "bytes, written with B, KiB, MiB or GiB"
	case Duration:
		return "time, written with ms, s, m or h"
	}
	return ""
}

// put stores a value that parse has made.
func (r *Row) put(root, v any) {
	switch p := r.at(root).(type) {
	case *string:
		*p = v.(string)
	case *bool:
		*p = v.(bool) != r.Not
	case *int:
		*p = int(min(v.(int64), math.MaxInt))
	case *int64:
		*p = v.(int64)
	case *uint32:
		*p = uint32(min(v.(int64), math.MaxUint32))
	case *time.Duration:
		*p = v.(time.Duration)
	case *[]string:
		*p = v.([]string)
	case *[]int32:
		*p = nil
		for _, text := range v.([]string) {
			n, _ := strconv.ParseInt(text, 10, 32)
			*p = append(*p, int32(n))
		}
	case *slog.Level:
		_ = p.UnmarshalText([]byte(v.(string))) // one of Choices
	default:
		panic(fmt.Sprintf("settings: %s is stored in a %T", r.Key, p))
	}
}

// get returns the value in the form for JSON: a string, a number, a boolean or a list of
// strings or numbers.
func (r *Row) get(root any) any { return r.form(r.at(root)) }

// form returns the value at p in that form.
func (r *Row) form(p any) any {
	switch p := p.(type) {
	case *string:
		return *p
	case *bool:
		return *p != r.Not
	case *int:
		if r.Kind == Size {
			return formatSize(int64(*p))
		}
		return int64(*p)
	case *int64:
		return formatSize(*p)
	case *uint32:
		return formatSize(int64(*p))
	case *time.Duration:
		return formatDuration(*p)
	case *[]string:
		return append([]string{}, *p...)
	case *[]int32:
		return append([]int32{}, *p...)
	case *slog.Level:
		return strings.ToLower(p.String())
	default:
		panic(fmt.Sprintf("settings: %s is stored in a %T", r.Key, p))
	}
}

// formatDuration returns d without units that are zero: 1m, not 1m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// TOML returns a value from get in the form for a file.
func TOML(v any) string {
	switch v := v.(type) {
	case string:
		return quoteTOML(v)
	case []string:
		quoted := make([]string, len(v))
		for i, e := range v {
			quoted[i] = quoteTOML(e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case []int32:
		return strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
	}
	return fmt.Sprint(v)
}

// quoteTOML returns s as a basic string of TOML.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// checkPath refuses a relative path in a file: it is not clear to which directory it would
// be relative.
func (r *Row) checkPath(v any) error {
	if text, ok := v.(string); ok && (r.Kind == Path || r.names(text)) && !filepath.IsAbs(text) {
		return errors.New("it is relative")
	}
	return nil
}

// Masked returns the value of a setting as it may be shown: of a secret only its kind.
func (r *Row) Masked(v any) any {
	text, ok := v.(string)
	if r.Hidden {
		return "***"
	}
	if kind, _, secret := strings.Cut(text, "="); ok && r.Secret && secret {
		return kind + "=***"
	}
	return v
}
