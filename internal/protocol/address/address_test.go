package address_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

const (
	onion3 = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234"
	onion2 = "/onion/aaimaq4ygg2iegci:1234"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return a
}

func dns(code byte, name string) []byte {
	b := append([]byte{code, byte(len(name))}, name...)
	return append(b, 0x06, 0x47, 0x0d)
}

// conforms: comms 9, 10
func TestBinaryFormOfTheReference(t *testing.T) {
	b, err := os.ReadFile("../../../tests/vectors/comms/keys-addresses.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Bytes struct {
			Multiaddrs []struct{ Text, Bytes, Back string }
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if n := len(file.Bytes.Multiaddrs); n != 9 {
		t.Fatalf("got %d vectors, want 9", n)
	}
	for _, v := range file.Bytes.Multiaddrs {
		want := unhex(t, v.Bytes)
		if got := parse(t, v.Text).Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", v.Text, got, want)
		}
		a, err := address.FromBytes(want)
		if err != nil || a.String() != v.Back {
			t.Errorf("%x: got %v, %v, want %s", want, a, err, v.Back)
		}
		// Our own reading of the bytes agrees with the library's.
		if got, want := address.CheckBytes(want), address.Check(parse(t, v.Text)); (got == nil) != (want == nil) {
			t.Errorf("%s: got %v from the bytes and %v from the text", v.Text, got, want)
		}
	}
	if v := parse(t, onion3)[0].RawValue(); len(v) != 37 {
		t.Errorf("onion3: got %d bytes of value, want 37", len(v))
	}
}

// conforms: comms 12, 13, 14, V 4, 6
func TestStructure(t *testing.T) {
	const tcp = " 06470d"
	for _, c := range []struct {
		name, hex string
		want      error // nil, ErrMalformed (a ban) or ErrUnparsable (none)
	}{
		{"ip4", "04cb007107" + tcp, nil},
		{"ip6", "2920010db8000000000000000000000001" + tcp, nil},
		{"dns4", "360161" + tcp, nil},
		{"dns6", "370161" + tcp, nil},
		{"dnsaddr", "380161" + tcp, nil},
		{"memory", "8906 00000000000004d2", nil},
		{"onion3", "bd03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e d7e3 03 04d2", nil},

		// Of no use, but well formed: dropped by Usable.
		{"loopback", "047f000001 060001", nil},
		{"unspecified ip4", "0400000000" + tcp, nil},
		{"unspecified ip6", "29" + strings.Repeat("00", 16) + tcp, nil},
		{"private", "040a000001" + tcp, nil},
		{"link-local", "04a9fe0101" + tcp, nil},
		{"broadcast", "04ffffffff" + tcp, nil},
		{"no host name", "3601 5f" + tcp, nil},
		{"empty name", "3600" + tcp, nil},
		{"numeric name", "3607 312e322e332e34" + tcp, nil},

		{"empty", "", address.ErrMalformed},
		{"dns", "350161" + tcp, address.ErrMalformed},
		{"onion", "bc03 0010c0439831b4821848 04d2", address.ErrMalformed},
		{"onion port 0", "bc03 0010c0439831b4821848 0000", address.ErrMalformed},
		{"ip4 alone", "04cb007107", address.ErrMalformed},
		{"dns4 alone", "360161", address.ErrMalformed},
		{"port 0", "04cb007107 060000", address.ErrMalformed},
		{"dns4 port 0", "360161 060000", address.ErrMalformed},
		{"udp", "04cb007107 910247 0d", address.ErrMalformed},
		{"tcp first", "06470d", address.ErrMalformed},
		{"tcp twice", "04cb007107" + tcp + tcp, address.ErrMalformed},
		{"ip4 twice", "04cb007107 04cb007107" + tcp, address.ErrMalformed},
		{"ws after it", "04cb007107" + tcp + " dd03", address.ErrMalformed},
		{"p2p after it", "04cb007107" + tcp + " a503 22 1220" + strings.Repeat("11", 32), address.ErrMalformed},
		{"memory port 0", "8906 0000000000000000", address.ErrMalformed},
		{"after memory", "8906 0000000000000001" + tcp, address.ErrMalformed},
		{"onion3 port 0", "bd03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e d7e3 03 0000", address.ErrMalformed},
		{"onion3 checksum", "bd03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e d7e2 03 04d2", address.ErrMalformed},
		{"onion3 key", "bd03 acadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e d7e3 03 04d2", address.ErrMalformed},
		// The checksum is right for this version; the version is not.
		{"onion3 version 2", "bd03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e e492 02 04d2", address.ErrMalformed},
		{"after onion3", "bd03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139e d7e3 03 04d2" + tcp, address.ErrMalformed},
		{"slash in dns4", "3603 612f62" + tcp, address.ErrMalformed},
		{"slash in dns6", "3703 612f62" + tcp, address.ErrMalformed},
		{"slash in dnsaddr", "3801 2f" + tcp, address.ErrMalformed},
		{"unix", "9003 02 2f61", address.ErrMalformed},

		{"unknown code", "7f", address.ErrUnparsable},
		{"unknown code after it", "04cb007107" + tcp + " 7f", address.ErrUnparsable},
		{"short ip4", "04cb0071", address.ErrUnparsable},
		{"short port", "04cb007107 0647", address.ErrUnparsable},
		{"short onion3", "bd03adad", address.ErrUnparsable},
		{"short name", "3603 6162", address.ErrUnparsable},
		{"no length of a name", "36", address.ErrUnparsable},
		{"huge name", "36 ffffffff0f 61", address.ErrUnparsable},
		{"endless varint", "36 ffffffffffffffffffff", address.ErrUnparsable},
		{"long form of a code", "8400cb007107" + tcp, address.ErrUnparsable},
		{"cut code", "bd", address.ErrUnparsable},
		{"name that is not UTF-8", "3601 ff" + tcp, address.ErrUnparsable},
		{"bad p2p after it", "04cb007107" + tcp + " a503 02 1220", address.ErrUnparsable},
	} {
		b := unhex(t, c.hex)
		if err := address.CheckBytes(b); !errors.Is(err, c.want) || errors.Is(err, address.ErrUnparsable) != (c.want == address.ErrUnparsable) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err := address.Parses(b); errors.Is(err, address.ErrUnparsable) != (c.want == address.ErrUnparsable) {
			t.Errorf("%s parses: got %v, want %v", c.name, err, c.want)
		}
		a, err := address.FromBytes(b)
		if err != nil {
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s from bytes: got %v, want %v", c.name, err, c.want)
			}
			continue
		}
		if err := address.Check(a); !errors.Is(err, c.want) {
			t.Errorf("%s as an address: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := address.Check(nil); !errors.Is(err, address.ErrMalformed) {
		t.Errorf("no address: got %v, want ErrMalformed", err)
	}
}

// conforms: comms 13
func TestOnion3WithItsFirstCharacterChanged(t *testing.T) {
	if err := address.Check(parse(t, onion3)); err != nil {
		t.Error(err)
	}
	for _, c := range "abcdefghijklmnopqrstuwxyz234567" { // every one but v
		changed := "/onion3/" + string(c) + strings.TrimPrefix(onion3, "/onion3/v")
		if err := address.Check(parse(t, changed)); !errors.Is(err, address.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", changed, err)
		}
	}
}

func TestErrorsDoNotEchoAddresses(t *testing.T) {
	for _, name := range []string{"secret-name/x", "secret-name\xff"} {
		err := address.CheckBytes(dns(0x36, name))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error without it", name, err)
		}
		if _, err := address.FromBytes(dns(0x36, name)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q from bytes: got %v, want an error without it", name, err)
		}
	}
}

func TestParseText(t *testing.T) {
	for _, s := range []string{"", "/", "x", "ip4/1.2.3.4/tcp/1", "/ip4/1.2.3/tcp/1", "/ip4/1.2.3.4/tcp", "/ip4/1.2.3.4/tcp/65536", "/nope/1", "1.2.3.4:5"} {
		if a, err := address.Parse(s); !errors.Is(err, address.ErrUnparsable) {
			t.Errorf("%q: got %v, %v, want ErrUnparsable", s, a, err)
		}
	}
}

// conforms: V 3, 4
func TestExternal(t *testing.T) {
	for s, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "223.255.255.255": true,
		"0.0.0.0": false, "0.1.2.3": false, "1.0.0.0": true,
		"9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"100.63.255.255": true, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true,
		"126.255.255.255": true, "127.0.0.0": false, "127.255.255.255": false, "128.0.0.0": true,
		"169.253.255.255": true, "169.254.0.0": false, "169.254.255.255": false, "169.255.0.0": true,
		"172.15.255.255": true, "172.16.0.0": false, "172.31.255.255": false, "172.32.0.0": true,
		"192.0.1.255": true, "192.0.2.0": false, "192.0.2.255": false, "192.0.3.0": true,
		"192.88.98.255": true, "192.88.99.0": false, "192.88.99.255": false, "192.88.100.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"198.17.255.255": true, "198.18.0.0": false, "198.19.255.255": false, "198.20.0.0": true,
		"198.51.99.255": true, "198.51.100.0": false, "198.51.100.255": false, "198.51.101.0": true,
		"203.0.112.255": true, "203.0.113.0": false, "203.0.113.255": false, "203.0.114.0": true,
		"224.0.0.0": false, "239.255.255.255": false, "240.0.0.0": false, "255.255.255.254": false, "255.255.255.255": false,

		"2606:4700:4700::1111": true, "2a00::1": true,
		"::": false, "::1": false,
		"::ffff:8.8.8.8": true, "::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:203.0.113.1": false,
		"::8.8.8.8": true, "::10.0.0.1": false, "::192.168.1.1": false,
		"::1:0:0": true, // above both forms
		"100::":   false, "100::ffff:ffff:ffff:ffff": false, "100:0:0:1::": true,
		"2001::1": false, "2001:0:ffff::": false, "2001:1::": true,
		"2001:db7:ffff::": true, "2001:db8::": false, "2001:db8:ffff::1": false, "2001:db9::": true,
		"2001:ffff::": true, "2002::1": false, "2002:ffff::": false, "2003::": true,
		"fbff::": true, "fc00::": false, "fdff::1": false, "fe00::": true,
		"fe7f::": true, "fe80::1": false, "febf::1": false, "fec0::1": false, "feff::1": false,
		"ff00::": false, "ff02::1": false, "ffff::": false,
	} {
		kind := "/ip4/"
		if strings.Contains(s, ":") {
			kind = "/ip6/"
		}
		checkExternal(t, kind+s+"/tcp/1", want)
	}
	for name, want := range map[string]bool{
		"example.com": true, "seed.example.com": true, "locals.com": true, "notlocalhost": true,
		"mylan": true, "lan.example.com": true, "arpa": true, "example.arpa": true,
		"localhost": false, "a.localhost": false, "LOCALHOST": false,
		"local": false, "printer.local": false, "Printer.Local": false,
		"localdomain": false, "x.localdomain": false,
		"internal": false, "x.y.internal": false,
		"lan": false, "x.lan": false,
		"home.arpa": false, "x.home.arpa": false,
	} {
		for _, kind := range []string{"/dns4/", "/dns6/", "/dnsaddr/", "/dns/"} {
			checkExternal(t, kind+name+"/tcp/1", want)
		}
	}
	if address.External(parse(t, "/dns4/home.arpa./tcp/1")) {
		t.Error("home.arpa with its root: got external, want not")
	}
	checkExternal(t, onion3, true)
	checkExternal(t, onion2, false)
	checkExternal(t, "/memory/7", false)
	checkExternal(t, "/tcp/7", false)
	if address.External(nil) {
		t.Error("no address: got external, want not")
	}
}

func checkExternal(t *testing.T, s string, want bool) {
	t.Helper()
	a := parse(t, s)
	if got := address.External(a); got != want {
		t.Errorf("%s is external: got %v, want %v", s, got, want)
	}
	// With test addresses off, what is well formed is usable when external.
	if address.Check(a) == nil {
		if got := address.Usable(a, false); got != want {
			t.Errorf("%s is usable: got %v, want %v", s, got, want)
		}
		if !address.Usable(a, true) {
			t.Errorf("%s is usable with test addresses: got false, want true", s)
		}
	} else if address.Usable(a, true) {
		t.Errorf("%s is malformed: got usable, want not", s)
	}
}

// conforms: V 6
func TestHostNames(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	long253 := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
	for name, want := range map[string]bool{
		"example.com": true, "a": true, "a-b.c": true, "1a.b2": true, "127.example": true, "EXAMPLE.com": true,
		label63 + ".com": true, long253: true, "xn--bcher-kva.example": true, "a.x0": true,
		long253 + "b": false, label63 + "a.com": false,
		"a..b": false, ".a": false, "a.": false, ".": false,
		"a_b.com": false, "a b": false, "ü.com": false, "*.example.com": false, "a:1": false,
		"-a.com": false, "a-.com": false,
		"1.2.3.4": false, "127.1": false, "example.1": false, "12345": false, "a.0x7f": false, "0X7F": false, "a.0x": false,
		"name\x00": false, "name\n": false,
	} {
		b := dns(0x36, name)
		if len(name) > 127 { // the length takes two bytes
			b = append([]byte{0x36, byte(len(name)) | 0x80, byte(len(name) >> 7)}, b[2:]...)
		}
		if err := address.CheckBytes(b); err != nil {
			t.Errorf("%q: got %v, want accepted in a claim", name, err)
		}
		a, err := address.FromBytes(b)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		for _, test := range []bool{false, true} {
			if got := address.Usable(a, test); got != want {
				t.Errorf("%q is usable, test addresses %v: got %v, want %v", name, test, got, want)
			}
		}
	}
}

// conforms: comms 14, V 4, 6
func TestSelect(t *testing.T) {
	claimed := [][]byte{
		parse(t, "/ip4/127.0.0.1/tcp/1").Bytes(),
		parse(t, "/ip4/8.8.8.8/tcp/1").Bytes(),
		dns(0x36, "no_host"),
		{0x36, 0x00, 0x06, 0x00, 0x01}, // an empty name
		parse(t, onion3).Bytes(),
		parse(t, "/memory/5").Bytes(),
	}
	for test, want := range map[bool]string{
		false: "[/ip4/8.8.8.8/tcp/1 " + onion3 + "]",
		true:  "[/ip4/127.0.0.1/tcp/1 /ip4/8.8.8.8/tcp/1 " + onion3 + " /memory/5]",
	} {
		var got []string
		for _, a := range address.Select(claimed, test) {
			got = append(got, a.String())
		}
		if s := "[" + strings.Join(got, " ") + "]"; s != want {
			t.Errorf("test addresses %v: got %s, want %s", test, s, want)
		}
	}
}

// conforms: comms 15, V 3
func TestAdvertise(t *testing.T) {
	public, test := address.Policy{}, address.Policy{TestAddresses: true}
	outbound := address.Policy{OutboundOnly: true}
	const ok = "/ip4/8.8.8.8/tcp/1"
	for _, c := range []struct {
		name string
		p    address.Policy
		list string
		want bool
	}{
		{"one", public, ok, true},
		{"five", public, strings.Repeat(ok+" ", 5), true},
		{"six", public, strings.Repeat(ok+" ", 6), false},
		{"six of six", address.Policy{Max: 6}, strings.Repeat(ok+" ", 6), true},
		{"none", public, "", false},
		{"none, with test addresses", test, "", false},
		{"none, outbound only", outbound, "", false},
		{"onion3", public, onion3, true},
		{"name", public, "/dns4/example.com/tcp/1", true},
		{"loopback", public, "/ip4/127.0.0.1/tcp/1", false},
		{"loopback, with test addresses", test, "/ip4/127.0.0.1/tcp/1", true},
		{"memory", public, "/memory/1", false},
		{"memory, with test addresses", test, "/memory/1", true},
		{"private", public, "/ip4/192.168.1.2/tcp/1", false},
		{"one private, outbound only", outbound, "/ip4/192.168.1.2/tcp/1", true},
		{"172.16, outbound only", outbound, "/ip4/172.16.0.1/tcp/1", true},
		{"10, outbound only", outbound, "/ip4/10.9.8.7/tcp/1", true},
		{"two private, outbound only", outbound, "/ip4/192.168.1.2/tcp/1 /ip4/10.0.0.1/tcp/1", false},
		{"one private besides a public one", outbound, ok + " /ip4/10.0.0.1/tcp/1", false},
		{"loopback, outbound only", outbound, "/ip4/127.0.0.1/tcp/1", false},
		{"unique local, outbound only", outbound, "/ip6/fd00::1/tcp/1", false},
		{"malformed among good ones", public, ok + " /dns/example.com/tcp/1", false},
		{"dns", test, "/dns/example.com/tcp/1", false},
		{"port 0", test, "/ip4/8.8.8.8/tcp/0", false},
		{"p2p after it", test, ok + "/ws", false},
		{"unspecified", public, "/ip4/0.0.0.0/tcp/1", false},
		{"unspecified, with test addresses", test, "/ip4/0.0.0.0/tcp/1", false},
		{"unspecified ip6, with test addresses", test, "/ip6/::/tcp/1", false},
		{"unspecified, mapped", test, "/ip6/::ffff:0.0.0.0/tcp/1", false},
		{"no host name", test, "/dns4/a_b/tcp/1", false},
		{"only dns6", public, "/dns6/example.com/tcp/1", false},
		{"only dnsaddr and dns6", public, "/dnsaddr/example.com/tcp/1 /dns6/example.com/tcp/1", false},
		{"dns6 besides dns4", public, "/dns6/example.com/tcp/1 /dns4/example.com/tcp/1", true},
	} {
		var list []ma.Multiaddr
		for s := range strings.FieldsSeq(c.list) {
			list = append(list, parse(t, s))
		}
		err := c.p.Check(list)
		if (err == nil) != c.want || err != nil && !errors.Is(err, address.ErrNotAdvertised) {
			t.Errorf("%s: got %v, want accepted %v", c.name, err, c.want)
		}
	}
	if err := public.Check([]ma.Multiaddr{nil}); !errors.Is(err, address.ErrNotAdvertised) {
		t.Errorf("an empty address: got %v, want ErrNotAdvertised", err)
	}
}
