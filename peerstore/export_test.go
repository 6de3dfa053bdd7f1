package peerstore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// endless is deterministic randomness for signatures.
type endless struct{ *rand.ChaCha8 }

func randomness(n int) io.Reader { return endless{rand.NewChaCha8(sha256.Sum256([]byte{byte(n)}))} }

// signed returns a peer as an identity exchange gives it.
func signed(t testing.TB, n int, addrs ...string) Peer {
	t.Helper()
	secret, err := identity.NewSecret(randomness(n))
	if err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	for _, a := range addrs {
		raw = append(raw, addr(a).Bytes())
	}
	c, err := identity.SignClaim(secret, identity.FeatureNode, raw, begin, randomness(n+100))
	if err != nil {
		t.Fatal(err)
	}
	return FromClaim(c, PeerConnection)
}

// exported returns a store with every kind of record, and its JSON.
func exported(t testing.TB) (*Store, string) {
	s := open(t, kv.Memory(), Options{})
	p := signed(t, 1, a1, a2)
	p.UserAgent, p.Protocols = `tari "6.2"`, []protocol.ID{"t/msg/0.1", "a\"b"}
	add(t, s, begin, p)
	s.Seen(begin, p.ID, addr(a2), 12500*time.Microsecond)
	s.DialTook(begin, p.ID, addr(a2), time.Second)
	s.DialFailed(begin, p.ID, addr(a1), "refused <&> ü")
	s.Ban(begin.Add(time.Second), signed(t, 2, a1).Key, begin.Add(time.Hour), "bad")
	s.BanNode(begin, identity.NodeID{1, 2, 3}, forever, "")
	seed, err := ParseSeed(signed(t, 3).Key.String() + "::" + a3)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, begin, seed)
	var b bytes.Buffer
	if n, err := WriteJSON(&b, s.View().All()); err != nil || n != 4 {
		t.Fatalf("write: got %d, %v, want 4 peers", n, err)
	}
	return s, b.String()
}

func TestImportOfAnExportIsTheSame(t *testing.T) {
	s, text := exported(t)
	peers, err := ReadJSON(strings.NewReader(text), begin, 4)
	if err != nil {
		t.Fatalf("read: got %v, want nil\n%s", err, text)
	}
	other := open(t, kv.Memory(), Options{})
	for _, p := range peers {
		if _, added, err := other.Import(begin, p); err != nil || !added {
			t.Errorf("import of %s: got %v, %v, want a new peer", p.ID, added, err)
		}
	}
	if got, want := dump(other), dump(s); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, p := range peers { // once more changes nothing
		if _, added, err := other.Import(begin, p); err != nil || added {
			t.Errorf("import of %s again: got %v, %v, want a known peer", p.ID, added, err)
		}
	}
	if got, want := dump(other), dump(s); !slices.Equal(got, want) {
		t.Errorf("after a second import: got %q, want %q", got, want)
	}
	if _, _, err := open(t, kv.Memory(), Options{Self: peers[0].ID}).Import(begin, peers[0]); !errors.Is(err, ErrSelf) {
		t.Errorf("import of ourselves: got %v, want ErrSelf", err)
	}
}

func TestImportRefuses(t *testing.T) {
	_, text := exported(t)
	rows := strings.Split(text, "\n")
	first := ""
	for _, r := range rows {
		if strings.Contains(r, "claim") {
			first = r
		}
	}
	line := slices.Index(rows, first) + 1
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(first, old) {
			t.Fatalf("got no %q in %s", old, first)
		}
		return strings.Replace(text, first, strings.Replace(first, old, new, 1), 1)
	}
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"empty":            {"", []string{"line 1:", "ends early", "whole file"}},
		"no json":          {"peers", []string{"line 1:", "JSON"}},
		"a list":           {"[]", []string{`is "["`, "object"}},
		"cut":              {text[:len(text)/2], []string{"ends early"}},
		"something after":  {text + "{}", []string{"something follows the end"}},
		"other format":     {strings.Replace(text, "gamelan-peers", "peers", 1), []string{"format", `"peers"`, "gamelan-peers"}},
		"newer version":    {strings.Replace(text, `"version":1,"peers"`, `"version":2,"peers"`, 1), []string{"version: is 2", "reads 1", "newer"}},
		"no version":       {strings.Replace(text, `"version":1,"peers"`, `"peers"`, 1), []string{"peers: stands before"}},
		"no peers":         {`{"format":"gamelan-peers","version":1}`, []string{"no list of peers"}},
		"unknown field":    {change(`"features"`, `"featuers"`), []string{"unknown field", "featuers"}},
		"other case":       {change(`"features"`, `"Features"`), []string{"unknown field"}},
		"twice":            {change(`"features":3`, `"features":3,"features":3`), []string{"twice"}},
		"wrong type":       {change(`"features":3`, `"features":"3"`), []string{"features", `"3"`, "from 0 to 3"}},
		"wrong number":     {change(`"features":3`, `"features":4`), []string{"features", "is 4"}},
		"fraction":         {change(`"features":3`, `"features":3.0`), []string{"features", "is 3.0"}},
		"bad key":          {change(`"public_key":"`, `"public_key":"zz`), []string{"public_key", "64"}},
		"other node":       {change(`"node_id":"`+signed(t, 1).ID.String(), `"node_id":"`+signed(t, 2).ID.String()), []string{"node_id", "belongs to node"}},
		"bad address":      {change(`/ip4/`, `/ip9/`), []string{"addresses[1].address", "ip9", "for instance /ip4/"}},
		"same address":     {change(a1, a2), []string{"addresses[2]", "again"}},
		"bad source":       {change(`peer connection`, `rumour`), []string{"addresses[1].source", `"rumour"`, "peer connection"}},
		"bad time":         {change(`"added_at":"2026`, `"added_at":"1926`), []string{"added_at", "1926", "1970"}},
		"no time":          {change(`"added_at":"2026`, `"added_at":"soon`), []string{"added_at", "for instance"}},
		"bad mean":         {change(`12.5ms`, `12.5`), []string{"addresses[1].latency.mean", "12.5", "for instance 12.5ms"}},
		"no samples":       {change(`,"samples":1`, ``), []string{"addresses[1].dial_time", "samples"}},
		"control text":     {change("refused", `\u0007`), []string{"last_failure", "control"}},
		"signature broken": {change(`"version":0`, `"version":1`), []string{"claim", "signature"}},
		"signature short":  {change(`"signature":"`, `"signature":"00`), []string{"claim.signature", "64"}},
		"claim in part":    {change(`"version":0,`, ``), []string{"claim.version", "missing"}},
		"not utf-8":        {change(`tari`, "\xff"), []string{"user_agent", "UTF-8"}},
		"too long":         {change(`tari`, strings.Repeat("x", 300)), []string{"user_agent", "at most 256"}},
		"endless":          {change(`tari`, strings.Repeat("x", 2*maxEntry)), []string{"too long"}},
		"too many":         {change(`"protocols":[`, `"protocols":[`+strings.Repeat(`"a",`, 64)), []string{"protocols[65]", "at most 64"}},
		"same peer":        {strings.Replace(text, "[\n", "[\n"+strings.TrimSuffix(first, ",")+",", 1), []string{"same peer as entry 1"}},
		"no key":           {change(`"public_key":"`+signed(t, 1).Key.String()+`",`, ``), []string{"public_key", "missing"}},
		"no one":           {`{"format":"gamelan-peers","version":1,"peers":[{}]}`, []string{"entry 1", "public_key nor node_id"}},
		"null":             {`{"format":"gamelan-peers","version":1,"peers":[null]}`, []string{"entry 1", "is null"}},
		"reason only":      {`{"format":"gamelan-peers","version":1,"peers":[{"public_key":"` + signed(t, 1).Key.String() + `","ban_reason":"x"}]}`, []string{"banned_until", "missing"}},
	} {
		peers, err := ReadJSON(strings.NewReader(c.text), begin, 100)
		var e *ImportError
		if !errors.As(err, &e) || !errors.Is(err, ErrBadImport) || peers != nil {
			t.Errorf("%s: got %d peers, %v, want an ImportError", name, len(peers), err)
			continue
		}
		if e.Remedy == "" || e.Line < 1 {
			t.Errorf("%s: got line %d, remedy %q, want both", name, e.Line, e.Remedy)
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %q, want it to say %q", name, err, w)
			}
		}
	}
	_, err := ReadJSON(strings.NewReader(change(`/ip4/`, `/ip9/`)), begin, 100)
	if want := fmt.Sprintf("line %d, entry %d (%s)", line, line-1, signed(t, 1).ID); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to say %q", err, want)
	}
	if _, err = ReadJSON(strings.NewReader(text), begin, 3); err == nil || !strings.Contains(err.Error(), "more than 3") {
		t.Errorf("beyond the limit: got %v, want an error that names it", err)
	}
	broken := errors.New("cable")
	if _, err = ReadJSON(io.MultiReader(strings.NewReader(text[:300]), failingReader{broken}), begin, 100); !errors.Is(err, broken) || errors.Is(err, ErrBadImport) {
		t.Errorf("reader that fails: got %v, want its error", err)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// TestExportOfUnprintable has bytes of a peer that JSON cannot hold.
func TestExportOfUnprintable(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	p := signed(t, 1, a1)
	p.UserAgent, p.Protocols = "\xff", []protocol.ID{"\xfe", "t/msg/0.1"}
	add(t, s, begin, p)
	var b bytes.Buffer
	if _, err := WriteJSON(&b, s.View().All()); err != nil {
		t.Fatal(err)
	}
	peers, err := ReadJSON(&b, begin, 1)
	if err != nil || peers[0].UserAgent != "" || !slices.Equal(peers[0].Protocols, []protocol.ID{"t/msg/0.1"}) {
		t.Errorf("got %+v, %v, want the rest of the peer", peers, err)
	}
	if _, err := WriteJSON(failingWriter{}, s.View().All()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v of a full disk, want its error", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzReadJSON takes any text, and what it takes it writes again as it was.
func FuzzReadJSON(f *testing.F) {
	_, text := exported(f)
	f.Add([]byte(text))
	f.Add([]byte(`{"format":"gamelan-peers","version":1,"peers":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		peers, err := ReadJSON(bytes.NewReader(text), begin, 100)
		if err != nil {
			if !errors.Is(err, ErrBadImport) {
				t.Fatalf("got %v, want an ImportError", err)
			}
			return
		}
		var b bytes.Buffer
		if _, err := WriteJSON(&b, slices.Values(peers)); err != nil {
			t.Fatal(err)
		}
		again, err := ReadJSON(&b, begin, 100)
		if err != nil || len(again) != len(peers) {
			t.Fatalf("got %d peers, %v, want %d", len(again), err, len(peers))
		}
		for i := range peers {
			a, b := appendRecord(nil, &peers[i]), appendRecord(nil, &again[i])
			if !bytes.Equal(a, b) {
				t.Fatalf("got %x, want %x", b, a)
			}
		}
	})
}
