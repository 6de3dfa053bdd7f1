package wirecheck

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func sampleReport() Report {
	at := 25
	target := Target{Key: gamelantest.Secret(1).PublicKey(), Network: protocol.Esmeralda, Release: protocol.Release17}
	return NewReport("/ip4/127.0.0.1/tcp/1", target, []Result{
		{Name: "one.short", Rules: "comms 1", Title: "it does", Status: Pass},
		{Name: "one.longer-name", Rules: "comms 22, 33; V 5", Title: "it does more", Status: Fail, Expected: "0004", Got: "0005\x1b[31m", Where: "what it wrote", Offset: &at},
		{Name: "two.x", Rules: "V 7", Title: "it says", Status: Fail, Expected: "an end", Got: "none"},
		{Name: "two.y", Rules: "V 8", Title: "it may", Status: NotApplicable, Note: "it did not\n"},
	}, nil, 1500*time.Millisecond)
}

func TestReportText(t *testing.T) {
	want := `RESULT  RULE               CHECK            WHAT
pass    comms 1            one.short        it does
FAIL    comms 22, 33; V 5  one.longer-name  it does more
          expected  0004
          got       0005\x1b[31m
          differs   at byte 25 of what it wrote
FAIL    V 7                two.x            it says
          expected  an end
          got       none
n/a     V 8                two.y            it may (it did not\n)
4 checks in 1.5 s: 1 passed, 2 failed, 1 not applicable
`
	if got := sampleReport().Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportJSON(t *testing.T) {
	b, err := json.Marshal(sampleReport())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"network":"esmeralda","release":"1.7","wire_byte":"c9","passed":1,"failed":2,"not_applicable":1`,
		`{"check":"one.longer-name","rules":"comms 22, 33; V 5","title":"it does more","result":"fail","expected":"0004","got":"0005\u001b[31m","where":"what it wrote","offset":25,`,
		`"result":"n/a","note":"it did not\n"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("got %s, want %s in it", b, want)
		}
	}
}

func TestReportOK(t *testing.T) {
	pass := []Result{{Status: Pass}, {Status: NotApplicable}}
	if r := NewReport("", Target{}, pass, nil, 0); !r.OK() {
		t.Error("nothing failed: got not passed, want passed")
	}
	if r := NewReport("", Target{}, pass, errors.New("blocked"), 0); r.OK() {
		t.Error("blocked: got passed, want not passed")
	}
}

func TestCompare(t *testing.T) {
	long := make([]byte, 100)
	other := slices.Clone(long)
	other[70] = 1
	for _, c := range []struct {
		want, got          []byte
		at                 int
		wantText, gotText_ string
	}{
		{[]byte{1, 2}, []byte{1, 3}, 1, "0102 (2 bytes)", "0103 (2 bytes)"},
		{[]byte{1, 2}, []byte{1}, 1, "0102 (2 bytes)", "01 (1 byte)"},
		{nil, []byte{1}, 0, "nothing", "01 (1 byte)"},
		{long, other, 70, "…" + strings.Repeat("00", 40) + "… (100 bytes)", "…" + strings.Repeat("00", 16) + "01" + strings.Repeat("00", 23) + "… (100 bytes)"},
	} {
		if m, ok := errors.AsType[*mismatch](compare("here", c.want, c.got)); !ok {
			t.Errorf("%x and %x: got no difference, want one", c.want, c.got)
		} else if m.offset != c.at || m.want != c.wantText || m.got != c.gotText_ {
			t.Errorf("%x and %x: got %+v, want byte %d, %s and %s", c.want, c.got, m, c.at, c.wantText, c.gotText_)
		}
	}
	if err := compare("here", long, slices.Clone(long)); err != nil {
		t.Errorf("equal bytes: got %v, want nil", err)
	}
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		list string
		want []string
	}{
		{"noise.key", []string{"noise.key"}},
		{"mux.ping,noise.key", []string{"noise.key", "mux.ping"}},
		{"comms 143", []string{"mux.half-close", "mux.fin-form", "mux.fin-window"}},
		{"V 6", []string{"refused.dns-slash"}},
		{"V5, comms23", []string{"first-byte.silence", "identity.addresses", "taken.addresses-0"}},
	} {
		some, err := Select(Checks(), strings.Split(c.list, ","))
		var got []string
		for _, s := range some {
			got = append(got, s.Name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.list, got, err, c.want)
		}
	}
	for _, list := range []string{"", "noise.", "comms", "comms 999", "noise.key,nothing"} {
		_, err := Select(Checks(), strings.Split(list, ","))
		if u := (*UnknownError)(nil); !errors.As(err, &u) {
			t.Errorf("%q: got %v, want an UnknownError", list, err)
		}
	}
}

// TestCheckList: names are unique, and every rule that a check names stands in
// the checklists.
func TestCheckList(t *testing.T) {
	items := map[string]bool{}
	for area, file := range map[string]string{"comms": "comms.md", "dht": "dht.md", "V": "versions.md"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(string(b), -1) {
			items[area+m[1]] = true
		}
	}
	names := map[string]bool{}
	for _, c := range Checks() {
		if names[c.Name] {
			t.Errorf("%s: got the name twice, want it once", c.Name)
		}
		names[c.Name] = true
		if c.Title == "" || c.run == nil || len(c.Title) > 70 {
			t.Errorf("%s: got the title %q, want one of up to 70 bytes, and something to run", c.Name, c.Title)
		}
		for _, i := range c.items() {
			if !items[i] {
				t.Errorf("%s: got rule %s, want one of docs/conformance", c.Name, strconv.Quote(i))
			}
		}
	}
}

// FuzzParse: an identity frame of any bytes is parsed or refused at a byte of
// it, and no field leads out of it.
func FuzzParse(f *testing.F) {
	d := &double{secret: gamelantest.Secret(1)}
	whole := d.frame()
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0, 2, 0, 0x0a, 0xff})
	f.Add([]byte{0, 3, 0, 0x2a, 0x01, 0x80})
	f.Add([]byte{0, 9, 0, 0x09, 1, 2, 3, 4, 5, 6, 7})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < identityHeader {
			return
		}
		s, err := parse(frame)
		if m := (*mismatch)(nil); err != nil && (!errors.As(err, &m) || m.offset < identityHeader || m.offset > len(frame)) {
			t.Fatalf("got %v, want a mismatch inside the frame", err)
		}
		for _, f := range append(append(s.addresses, s.protocols...), s.agent, s.signature, s.scalar, s.nonce, s.updated) {
			if f.at < 0 || f.at+len(f.value) > len(frame) {
				t.Fatalf("got a field at %d of %d bytes, want it inside %d", f.at, len(f.value), len(frame))
			}
		}
		if err == nil {
			for _, look := range []func(*probe, *identityFields) error{lookMessage, lookProtocols, lookUserAgent, lookPrintable, lookAddresses, lookFeatures, lookSignature, lookDate} {
				_ = look(&probe{}, s) // must not panic
			}
		}
	})
}
