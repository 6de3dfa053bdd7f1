package disguise

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Two keys with their node ids.
const (
	bob   = "d0e65ec518f168ba698f415981fee5d985344d6d1fe6bc013a47e5a37d80c16d"
	carol = "e0964dcb4c2d03383146fd73a8cf64791be217b3666c3a3bdf8c001c0e7a3675"
)

func idOf(t *testing.T, key string) string {
	t.Helper()
	k, err := identity.ParsePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k.NodeID().String()
}

// TestText: each form of an id or an address of one thing has one pseudonym, and what identifies nobody stays.
func TestText(t *testing.T) {
	d := New()
	d.Own(idOf(t, bob), bob)
	d.Peer("", carol)
	d.Replace("/root/data", "DATA")
	d.Name("topic", "a")
	d.Name("topic", "é!")
	id := idOf(t, carol)
	for _, c := range [][2]string{
		{bob, "this-node"},
		{"gamelan-" + bob[:16] + "/node/conns/" + id + "-17", "gamelan-this-node/node/conns/peer-1-17"},
		{strings.ToUpper(carol) + "::/ip4/203.0.113.7/tcp/18189", "peer-1::/ip4/address-1/tcp/18189"},
		{"from " + id[:4] + "…, " + carol[:8] + "… and " + carol[:7], "from peer-1, peer-1 and peer-1"},
		{"203.0.113.7:33260 and [2001:db8::7]:1 and /ip6/2001:DB8:0::7/tcp/1", "address-1:33260 and [address-2]:1 and /ip6/address-2/tcp/1"},
		{"::ffff:203.0.113.7", "address-1"},
		{"dial 2001:db8::7: no route; 2001:db8:1:2:3:4:5:7: text; [2001:db8::7]; at:2001:db8::7, 2001:db8::7::/x", "dial address-2: no route; address-3: text; [address-2]; at:address-2, address-2::/x"},
		{"::1: text, at 13:10:45: text", "::1: text, at 13:10:45: text"},
		{"10.0.0.7, 100.64.0.1, fe80::1 and 10.0.0.7", "private-address-1, private-address-2, private-address-3 and private-address-1"},
		{"/ip4/127.0.0.1/tcp/1, [::1]:1, 0.0.0.0, ::", "/ip4/127.0.0.1/tcp/1, [::1]:1, 0.0.0.0, ::"},
		{"/dns4/node.example.org/tcp/1 /dns/localhost/tcp/1", "/dns4/host-1/tcp/1 /dns/localhost/tcp/1"},
		{"/onion3/" + strings.Repeat("ab2z", 14) + ":18141, " + strings.Repeat("ab2z", 14) + ".onion", "/onion3/onion-1:18141, onion-1"},
		{"socks5://me:pass@proxy/x", "socks5://***@proxy/x"},
		{"at 2026-11-29T13:10:45.674600155Z, 13:10:45, 22104928256 bytes, +0x1d 0xc000123456", "at 2026-11-29T13:10:45.674600155Z, 13:10:45, 22104928256 bytes, +0x1d 0xc000123456"},
		{"/root/data/listen /home/alice/x.go:3", "DATA/listen /home/user/x.go:3"},
		{"/home/user and (*T).decodeRecord effaced", "/home/user and (*T).decodeRecord effaced"},
		{"0123456789abcdef 0123456789ABCDEF", "digits-1 digits-1"},
		{"a topic a, and al; é!é!", "topic-1 topic topic-1, and al; topic-2topic-2"},
		{"banned until 2026-11-29T14:25:53Z: he is rude", "banned until 2026-11-29T14:25:53Z: (left out)"},
		{"ended by us: banned: he is rude", "ended by us: banned: (left out)"},
		{"🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎", "emoji-1"},
		{"5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "text-1"},
	} {
		if got := d.Text(c[0]); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
	if a, b := d.Text("abcdef0123456789abcdef0123"), d.Text("abcdef0123456789abcdef0123"); a != "peer-2" || b != a {
		t.Errorf("an unknown node: got %q and %q, want peer-2", a, b)
	}
}

// TestShortForms: a short form has the pseudonym of the whole. One with which several ids begin tells nothing, too.
func TestShortForms(t *testing.T) {
	d := New()
	d.Peer("abcdef01"+strings.Repeat("0", 18), "")
	d.Peer("abcdef02"+strings.Repeat("0", 18), "")
	for text, want := range map[string]string{
		"abcdef02": "peer-2", "abcdef0": "digits-1", "abcdef0…": "digits-1", "ABCDEF0": "digits-1",
		"1234567 and 22104928256": "1234567 and 22104928256",
	} {
		if got := d.Text(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := d.Text("abcd…"); got != "digits-2" {
		t.Errorf("got %q, want digits-2", got)
	}
}

// TestSecret: a secret is found in each form, also in the middle of more that is in base64.
func TestSecret(t *testing.T) {
	for _, secret := range [][]byte{[]byte("correct horse"), {0, 1, 2, 3, 0xfe, 0xff, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}} {
		d := New()
		d.Secret(secret)
		texts := []string{hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), string(secret)}
		for before := range 5 {
			more := slices.Concat([]byte("abcdef")[:before], secret, []byte("xyz"))
			texts = append(texts, base64.StdEncoding.EncodeToString(more), base64.URLEncoding.EncodeToString(more))
		}
		for _, text := range texts {
			if !d.Finds([]byte("x " + text)) {
				t.Errorf("%q is not found", text)
			}
			if got := d.Text("x " + text); d.Finds([]byte(got)) || !strings.Contains(got, Hidden) {
				t.Errorf("%q: got %q", text, got)
			}
		}
	}
	d := New()
	d.Secret([]byte("node"))
	if got := d.Text("nodes"); got != "nodes" {
		t.Errorf("got %q: too short for a secret", got)
	}
}

// TestJSON: texts that people choose are left out, keys of maps are disguised, and the rest stays.
func TestJSON(t *testing.T) {
	d := New()
	d.Peer("", carol)
	got, err := d.JSON(map[string]any{
		"text": "hello", "value": map[string]any{"a": 1}, "stack_id": "0123456789abcdef", "n": int64(12345678901234567),
		carol: []string{carol}, "untaken": map[string]int{"salaries": 3}, "seed_names": map[string]any{"names": []string{"seeds.acme.example"}, "bad_records": 1}, "ok": true, "nothing": nil,
		"warnings": []any{codes.Program.Notice("my secret"), codes.Deaf.Notice("deaf on 203.0.113.7")},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"n":12345678901234567,"nothing":null,"ok":true,"peer-1":["peer-1"],"seed_names":{"bad_records":1,"names":["host-1"]},"stack_id":"0123456789abcdef","text":"(left out: 5 bytes)","untaken":{"topic-1":3},"value":"(left out)",` +
		`"warnings":[{"code":"program","severity":"degraded","what":"(left out: 9 bytes)"},{"code":"deaf","severity":"degraded","what":"deaf on address-1"}]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// TestHosts: a name of a machine that was met once has its pseudonym wherever it stands.
func TestHosts(t *testing.T) {
	d := New()
	d.Constant("the lookup failed")
	d.Host("proxy")
	d.Host("127.0.0.1")
	d.Host("node")
	for _, c := range [][2]string{
		{"dial /dns4/home.alice.example/tcp/1: name not resolved: lookup home.alice.example on 10.0.0.1:53: no such host", "dial /dns4/host-3/tcp/1: name not resolved: lookup host-3 on private-address-1:53: no such host"},
		{"Home.Alice.Example. and home.alice.example.corp", "host-3. and host-4"},
		{"lookup laptop on [2001:db8::1]:53: server misbehaving; laptop.lan", "lookup host-5 on [address-1]:53: server misbehaving; host-6"},
		{"dial tcp: lookup desk: no such host", "dial tcp: lookup host-7: no such host"},
		{"the lookup failed: node: lookup failed: x", "the lookup failed: node: lookup failed: x"},
		{"cannot dial mail.acme.corp:25, socks5://mail.acme.corp:1080", "cannot dial host-8:25, socks5://host-8:1080"},
		{"f.go:12 and gamelan.toml:3: bad; events.json", "f.go:12 and gamelan.toml:3: bad; events.json"},
		{"the proxy refuses; events.json at 127.0.0.1", "the host-1 refuses; events.json at 127.0.0.1"},
	} {
		if got := d.Text(c[0]); got != c[1] {
			t.Errorf("%q:\n got %q\nwant %q", c[0], got, c[1])
		}
	}
}

// TestOrdinaryWords: names and passwords that are words of each report leave it readable: keys keep the names of fields, and
// no key is lost.
func TestOrdinaryWords(t *testing.T) {
	type shape struct {
		State   string            `json:"state"`
		Network string            `json:"network"`
		Of      map[string]int    `json:"of"`
		Told    string            `json:"told"`
		Data    map[string]string `json:"data"`
	}
	d := New()
	d.Shape(reflect.TypeFor[[]*shape]())
	d.Constant("a report of gamelan")
	for _, name := range []string{"state", "tcp", "direct", "acme"} {
		d.Name("network", name)
	}
	for _, secret := range []string{"gamelan", "report", "networ", "hunter22"} {
		d.Secret([]byte(secret))
	}
	id := idOf(t, carol)
	d.Peer("", carol)
	got, err := d.JSON(shape{
		State: "direct", Network: "direct", Of: map[string]int{carol: 1, id: 2, "acme": 3, "hunter22": 4, "state": 5}, Told: "/ip4/127.0.0.1/tcp/1 of acme on gamelan by hunter22 report",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"data":null,"network":"network-3","of":{"***":4,"network-4":3,"peer-1":1,"peer-1 (2)":2,"state":5},"state":"direct","told":"/ip4/127.0.0.1/tcp/1 of network-4 on gamelan by *** report"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// TestWordsOfPrograms: a notice of a program keeps its code and its severity, whatever code that is, and so does an event about it.
func TestWordsOfPrograms(t *testing.T) {
	secret := "my secret"
	mine := models.Notice{Code: "orders_wait", Severity: models.Warning, What: secret, Step: secret, Args: map[string]string{"order": secret}}
	borrowed := mine
	borrowed.Code, borrowed.Program = codes.Deaf.Name, true
	d := New()
	got, err := d.JSON([]any{
		models.Health{Reasons: models.Notices{mine, borrowed}},
		models.Checked{Step: "health", What: secret, Notice: &mine},
		models.Diagnosis{What: secret, Cause: &borrowed, Also: models.Notices{mine}},
		models.Event{What: secret, Code: mine.Code},
		models.Event{What: secret, Code: codes.Deaf.Name, Data: map[string]string{"by": "program"}},
		"peer " + carol + " is not admitted by the program: " + secret + "\n" + secret, "banned until 2026-11-29T14:25:53Z: " + secret + "\n" + secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), secret) || !strings.Contains(string(b), `"step":"health"`) || strings.Count(string(b), `"code":"orders_wait"`) != 4 {
		t.Errorf("got %s", b)
	}
	d.TrustMarked()
	if got, err := d.JSON(models.Notices{borrowed, mine}); err != nil || strings.Count(fmt.Sprint(got), secret) != 3 {
		t.Errorf("of a program whose words are known: got %v and %v", got, err)
	}
}

// TestPanic: what the runtime says stays, and what code says does not.
func TestPanic(t *testing.T) {
	if got := Panic("runtime error: index out of range [3] with length 2"); !strings.HasPrefix(got, "runtime error") {
		t.Errorf("got %q", got)
	}
	if got := Panic("bad message: hello"); got != "(left out: 18 bytes)" {
		t.Errorf("got %q", got)
	}
}

// TestStack: arguments of functions are left out, and lines that are none of a stack.
func TestStack(t *testing.T) {
	got := Stack([]string{
		"goroutine 7 [running]:", "panic({0x1, 0x2})", "panic: my secret", "main.(*T).f({0x1122, 0x3344}, ...)", "\t/src/f.go:3 +0x1",
		"created by main.g in goroutine 1", "the value was my secret",
	})
	want := []string{"goroutine 7 [running]:", "panic(…)", "main.(*T).f(…)", "\t/src/f.go:3 +0x1", "created by main.g in goroutine 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
