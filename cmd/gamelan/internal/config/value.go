package config

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

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// parse returns the value of the setting for a value decoded by TOML: a string, an int64, a
// bool, a []any or something else. The error has the form of words after "…: ".
func (s *Setting) parse(raw any) (any, error) {
	switch s.Kind {
	case Count:
		n, ok := raw.(int64)
		if !ok {
			return nil, fmt.Errorf("it is %s", typeName(raw))
		}
		if s.Key == "connections.floor" && n == 0 { // a Config.Floor of 0 would mean the default
			n = gamelan.NoFloor
		}
		return n, s.within(n)
	case Switch:
		b, ok := raw.(bool)
		if !ok {
			return nil, fmt.Errorf("it is %s", typeName(raw))
		}
		return b, nil
	case Addrs, Seeds, Networks, Ranges, Peers, Types, DNSNames:
		return s.parseList(raw)
	}
	text, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("it is %s", typeName(raw))
	}
	switch s.Kind {
	case Size:
		n, err := parseSize(text)
		if err != nil {
			return nil, err
		}
		return n, s.within(n)
	case Duration:
		d, err := parseDuration(text)
		if err != nil {
			return nil, err
		}
		return d, s.within(int64(d))
	case Choice:
		return s.parseChoice(text)
	}
	return text, s.checkText(text)
}

func (s *Setting) within(n int64) error {
	switch {
	case n < s.Least:
		return errors.New("it is too small")
	case n > s.Most:
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

func (s *Setting) parseChoice(text string) (any, error) {
	text = strings.ToLower(text)
	if s.Key == "node.network" {
		if n, err := protocol.ParseNetwork(text); err == nil {
			return n.String(), nil
		}
	}
	if !slices.Contains(s.Choices, text) {
		if near := nearest(text, s.Choices); near != "" {
			return nil, fmt.Errorf("there is no such choice, did you mean %q?", near)
		}
		return nil, errors.New("there is no such choice")
	}
	return text, nil
}

func (s *Setting) checkText(text string) error {
	switch {
	case text == "":
		return errors.New("it is empty")
	case s.Most > 0 && int64(len(text)) > s.Most:
		return fmt.Errorf("it has %d bytes", len(text))
	case strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0:
		return errors.New("it holds a control character")
	case s.Kind == Text && strings.IndexFunc(text, func(r rune) bool { return r > 0x7e }) >= 0:
		return errors.New("it is not ASCII")
	}
	return nil
}

func (s *Setting) parseList(raw any) (any, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("it is %s", typeName(raw))
	}
	if int64(len(list)) > s.Most {
		return nil, fmt.Errorf("it has %d entries", len(list))
	}
	texts := make([]string, 0, len(list))
	for i, e := range list {
		if n, ok := e.(int64); ok && s.Kind == Types {
			switch {
			case int64(int32(n)) != n:
				return nil, fmt.Errorf("entry %d has more than 32 bits", i+1)
			case n == int64(dht.TypePing):
				return nil, fmt.Errorf("type %d is that of pings, which the node answers itself", n)
			}
			texts = append(texts, strconv.FormatInt(n, 10))
			continue
		}
		text, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("entry %d is %s", i+1, typeName(e))
		}
		if len(list) == 1 && slices.Contains(s.Names, text) {
			return []string{text}, nil
		}
		if slices.Contains(s.Names, text) {
			return nil, fmt.Errorf("%s stands alone or not at all; leave it out, or the other entries", quote(text))
		}
		if err := s.checkElement(text); err != nil {
			return nil, &elementError{i + 1, len(list), quote(text), s.element(), s.advice(text)}
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
func (s *Setting) advice(text string) string {
	_, addr, ok := strings.Cut(text, "::")
	switch {
	case s.Kind == Seeds && ok:
		text = addr
	case s.Kind == Seeds && strings.Contains(text, ":/"):
		return "two colons stand between the key and the address"
	case s.Kind == Seeds && !strings.Contains(text, "/"):
		return "the address is missing, as gamelan id --address prints it on the other node"
	case s.Kind != Addrs:
		return ""
	}
	return secretLike.ReplaceAllString(address.Advice(text), "***")
}

// errNoNumber reports a text in place of a number.
var errNoNumber = errors.New("it is no whole number")

func (s *Setting) checkElement(text string) error {
	var err error
	switch s.Kind {
	case Seeds:
		_, err = peerstore.ParseSeed(text)
	case Networks:
		_, err = netip.ParsePrefix(text)
	case Ranges:
		_, err = address.ParseRange(text)
	case Peers:
		_, err = identity.ParsePeer(text)
	case Types:
		err = errNoNumber
	case DNSNames:
		err = gamelan.Config{Discovery: gamelan.DiscoveryConfig{SeedNames: []string{text}}}.Validate()
	default:
		_, err = address.Parse(text)
	}
	return err
}

func (s *Setting) element() string {
	switch s.Kind {
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
	}
	return "multiaddr"
}

// fromText returns the value that TOML would decode from the text of a variable or a flag.
// Commas separate the entries of a list in a variable.
func (s *Setting) fromText(text string) any {
	switch s.Kind {
	case Count:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case Switch:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case Addrs, Seeds, Networks, Ranges, Peers, Types, DNSNames:
		var list []any
		for e := range strings.SplitSeq(text, ",") {
			if e = strings.TrimSpace(e); e != "" {
				list = append(list, s.entryFromText(e))
			}
		}
		return list
	}
	return text
}

// entryFromText returns the value that TOML would decode from one entry of a list.
func (s *Setting) entryFromText(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && s.Kind == Types {
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

// expected describes the possible values, in words after "expected".
func (s *Setting) expected() string {
	switch s.Kind {
	case Path:
		return "a path in quotes, absolute in a file"
	case Choice:
		return "one of " + strings.Join(s.Choices, ", ")
	case Switch:
		return "true or false"
	case Count:
		return "a whole number " + s.Range()
	case Size:
		return "a size " + s.Range() + " with its unit B, KiB, MiB or GiB"
	case Duration:
		return "a duration " + s.Range() + " with its unit ms, s, m or h"
	case Addrs:
		return "a list of multiaddrs, " + s.Range()
	case Seeds:
		return "a list of KEY::ADDRESS, " + s.Range()
	case Networks:
		return "a list of networks such as 10.0.0.0/8, " + s.Range()
	case Ranges:
		return "a list of multiaddrs, ranges and networks, " + s.Range()
	case Peers:
		return "a list of public keys, " + s.Range()
	case Types:
		return "a list of whole numbers, " + s.Range()
	case DNSNames:
		return "a list of DNS names, " + s.Range()
	}
	return "text in quotes, " + s.Range()
}

// Range returns the allowed values in words, or "" if the kind already tells them.
func (s *Setting) Range() string {
	switch s.Kind {
	case Count:
		return fmt.Sprintf("from %d to %d", s.Least, s.Most)
	case Size:
		return "from " + formatSize(s.Least) + " to " + formatSize(s.Most)
	case Duration:
		return "from " + formatDuration(time.Duration(s.Least)) + " to " + formatDuration(time.Duration(s.Most))
	case Choice:
		return strings.Join(s.Choices, ", ")
	case Addrs, Seeds, Networks, Ranges, Peers, Types, DNSNames:
		return fmt.Sprintf("at most %d", s.Most)
	case Text:
		return fmt.Sprintf("at most %d bytes of printable ASCII", s.Most)
	}
	return ""
}

// Unit returns the unit of the value, for the tables.
func (s *Setting) Unit() string {
	switch s.Kind {
	case Size:
		return "bytes, written with B, KiB, MiB or GiB"
	case Duration:
		return "time, written with ms, s, m or h"
	}
	return ""
}

// put stores a value that parse has made.
func (s *Setting) put(c *Config, v any) {
	switch p := s.at(c).(type) {
	case *string:
		*p = v.(string)
	case *bool:
		*p = v.(bool)
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
	case *slog.Level:
		_ = p.UnmarshalText([]byte(v.(string))) // one of Choices
	default:
		panic(fmt.Sprintf("config: %s is stored in a %T", s.Key, p))
	}
}

// get returns the value in the form for JSON: a string, a number, a boolean or a list of
// strings or numbers.
func (s *Setting) get(c *Config) any {
	switch p := s.at(c).(type) {
	case *string:
		return *p
	case *bool:
		return *p
	case *int:
		if s.Kind == Size {
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
		if s.Kind == Types {
			return numbers(*p)
		}
		return append([]string{}, *p...)
	case *slog.Level:
		return strings.ToLower(p.String())
	default:
		panic(fmt.Sprintf("config: %s is stored in a %T", s.Key, p))
	}
}

// numbers returns the numbers of a list of digits.
func numbers(texts []string) []int64 {
	all := make([]int64, 0, len(texts))
	for _, t := range texts {
		if n, err := strconv.ParseInt(t, 10, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
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

// inTOML returns a value from get in the form for a file.
func inTOML(v any) string {
	switch v := v.(type) {
	case string:
		return quoteTOML(v)
	case []string:
		quoted := make([]string, len(v))
		for i, e := range v {
			quoted[i] = quoteTOML(e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case []int64:
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
func (s *Setting) checkPath(v any) error {
	if text, ok := v.(string); ok && s.Kind == Path && !filepath.IsAbs(text) {
		return errors.New("it is relative")
	}
	return nil
}
