// Package script has what the scripts that test the machines of the key-value DHT have in
// common: a clock, and short names for ids and contacts.
//
// A name is one of:
//
//	A       letters: the id begins with these bytes, so that A is nearer to the id of
//	        zeros than B
//	3.7     the id has exactly 3 bits in common with the id of zeros, and is the 7th such
//	0       the id of zeros
//
// A contact is a name, and after @ its addresses, separated by commas, where it does not
// have the usual one: A@192.0.2.7 or A@192.0.2.7:4001,198.51.100.1. The usual address of a
// contact is in a network of its own.
package script

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Clock is the time of a script.
type Clock struct{ Begin, Now time.Time }

// NewClock returns a clock at the beginning of a script.
func NewClock() Clock {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	return Clock{begin, begin}
}

// Set moves the clock to a time after the beginning.
func (c *Clock) Set(t *testing.T, after string) { c.Now = c.Begin.Add(Duration(t, after)) }

// Since returns a time as the time after the beginning.
func (c *Clock) Since(at time.Time) string { return at.Sub(c.Begin).Round(time.Millisecond).String() }

// Duration returns the duration that text describes.
func Duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ID returns the id of a name.
func ID(t *testing.T, name string) (id overlay.ID) {
	t.Helper()
	if name == "0" {
		return id
	}
	bits, number, ok := strings.Cut(name, ".")
	if !ok {
		copy(id[:], name)
		return id
	}
	b, err1 := strconv.Atoi(bits)
	n, err2 := strconv.Atoi(number)
	if err1 != nil || err2 != nil || b < 0 || b > 200 {
		t.Fatalf("%q is no name", name)
	}
	id[b/8] = 0x80 >> (b % 8)
	binary.BigEndian.PutUint32(id[28:], uint32(n))
	return id
}

// Name returns the name of an id.
func Name(id overlay.ID) string {
	if id.IsZero() {
		return "0"
	}
	if n := binary.BigEndian.Uint32(id[28:]); n != 0 {
		return fmt.Sprintf("%d.%d", overlay.ID{}.CommonPrefix(id), n)
	}
	return strings.TrimRight(string(id[:]), "\x00")
}

// Names returns the names of contacts, separated by blanks, and "nobody" for none.
func Names(list []overlay.Contact) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = Name(c.ID)
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " ")
}

// Contact returns the contact that text describes.
func Contact(t *testing.T, text string) overlay.Contact {
	t.Helper()
	name, where, ok := strings.Cut(text, "@")
	c := overlay.Contact{ID: ID(t, name)}
	if !ok {
		where = fmt.Sprintf("30.%d.%d.1", c.ID[0], c.ID[1])
		if bits, number, ok := strings.Cut(name, "."); ok {
			n, _ := strconv.Atoi(number)
			where = fmt.Sprintf("%d.%s.%d.1", 31+n/256, bits, n%256)
		}
	}
	for at := range strings.SplitSeq(where, ",") {
		if strings.HasPrefix(at, "/") {
			c.Addresses = append(c.Addresses, address(t, at))
			continue
		}
		ip, port, ok := strings.Cut(at, ":")
		if !ok {
			port = "4000"
		}
		c.Addresses = append(c.Addresses, address(t, "/ip4/"+ip+"/udp/"+port))
	}
	return c
}

func address(t *testing.T, text string) overlay.Address {
	t.Helper()
	a, err := overlay.ParseAddress(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// Contacts returns several contacts. A range such as 3.1-3.20 stands for all in it.
func Contacts(t *testing.T, texts []string) (list []overlay.Contact) {
	t.Helper()
	for _, text := range texts {
		from, to, ok := strings.Cut(text, "-")
		if !ok {
			list = append(list, Contact(t, text))
			continue
		}
		bits, first, _ := strings.Cut(from, ".")
		_, last, _ := strings.Cut(to, ".")
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q is no range", text)
		}
		for n := a; n <= b; n++ {
			list = append(list, Contact(t, fmt.Sprintf("%s.%d", bits, n)))
		}
	}
	return list
}

// OrNothing returns text, and "nothing" if it is empty.
func OrNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
