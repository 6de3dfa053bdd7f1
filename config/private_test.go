package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const (
	aKey    = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
	aLine   = aKey + "::/ip4/203.0.113.7/tcp/18189"
	aSecret = "5ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7"
)

func made(t *testing.T, name string) (PrivateConfig, string) {
	t.Helper()
	p, err := NewNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+NetworkSuffix)
	if err := p.WriteNew(path); err != nil {
		t.Fatal(err)
	}
	return p, path
}

// TestNetworkFile writes, reads and changes a file, and replaces none.
func TestNetworkFile(t *testing.T) {
	p, path := made(t, "acme")
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
	if err := p.WriteNew(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: got %v, want that there is one", err)
	}
	got, err := ReadNetwork(path)
	if err != nil || got.Name != "acme" || !got.Secret.Equal(p.Secret) || got.Accept != nil || len(got.Seeds) != 0 {
		t.Fatalf("got %+v, %v, want what was written", got, err)
	}
	if other, _ := NewNetwork("acme"); other.Secret.Equal(p.Secret) {
		t.Error("two networks have one secret")
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	err = ChangeNetwork(path, func(n *PrivateConfig) error {
		other, err := NewNetwork("acme")
		n.Accept = other.Secret
		return errors.Join(err, n.AddSeed(aKey+"::/ip4/192.0.2.1/tcp/1"), n.AddSeed(aLine))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err = ReadNetwork(path)
	if err != nil || got.Accept == nil || got.Accept.Equal(got.Secret) || !slices.Equal(got.Seeds, []string{aLine}) {
		t.Errorf("got %+v, %v, want a second secret and the seed once, with the later address", got, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v, want the mode as it was", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	for _, change := range []func(n *PrivateConfig) error{
		func(n *PrivateConfig) error { return errors.New("no") },
		func(n *PrivateConfig) error { n.Secret = nil; return nil },
		func(n *PrivateConfig) error { n.Name = "../x"; return nil },
		func(n *PrivateConfig) error { n.Accept = n.Secret; return nil },
		func(n *PrivateConfig) error { n.Seeds = make([]string, maxNetworkSeeds+1); return nil },
		func(n *PrivateConfig) error { return n.AddSeed(aKey) },
	} {
		if err := ChangeNetwork(path, change); err == nil {
			t.Error("a bad change: got no error")
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("got %s after bad changes, want it as it was", after)
	}
	if !got.RemoveSeed(strings.ToUpper(aKey)) || got.RemoveSeed(aKey) || len(got.Seeds) != 0 {
		t.Errorf("got %v, want the seed removed once", got.Seeds)
	}
}

// TestRotate: each step in each state. A step that is taken twice, or left out, changes nothing: it would keep the
// secret that is to be given up.
func TestRotate(t *testing.T) {
	steps := []string{"begin", "switch", "end", "abandon", "now", "nonsense"}
	p, err := NewNetwork("acme")
	if err != nil {
		t.Fatal(err)
	}
	old := p.Secret
	after := func(steps ...string) PrivateConfig {
		q := p
		for _, s := range steps {
			if err := q.Rotate(s); err != nil {
				t.Fatalf("%q: got %v at %s", steps, err, s)
			}
		}
		return q
	}
	begun, switched, unknown := after("begin"), after("begin", "switch"), after("begin")
	unknown.Rotation = ""
	if !begun.Secret.Equal(old) || begun.Accept == nil || begun.Accept.Equal(old) || begun.Rotation != RotationBegun {
		t.Errorf("got %+v, want the old secret and a new one beside it", begun)
	}
	for name, c := range map[string]struct {
		from PrivateConfig
		next string
		ok   []string
	}{
		"none": {p, "begin", []string{"begin", "now"}}, "begun": {begun, "switch", []string{"switch", "abandon", "now"}},
		"switched": {switched, "end", []string{"end", "now"}}, "unknown": {unknown, "", []string{"now"}},
	} {
		for _, step := range steps {
			q := c.from
			err := q.Rotate(step)
			if slices.Contains(c.ok, step) {
				if err != nil || q.validate() != nil {
					t.Errorf("%s, %s: got %v, %v", name, step, err, q.validate())
				}
				continue
			}
			refused, ok := errors.AsType[*RotationError](err)
			if step == "nonsense" && ok {
				continue
			}
			if !ok || refused.Next != c.next || refused.Step != step || q.Secret != c.from.Secret || q.Accept != c.from.Accept || q.Rotation != c.from.Rotation {
				t.Errorf("%s, %s: got %v and %+v, want it refused, with the next step %q", name, step, err, q, c.next)
			}
		}
	}
	fresh := switched.Secret
	if !switched.Accept.Equal(old) || fresh.Equal(old) || switched.Rotation != RotationSwitched {
		t.Errorf("got %+v after the switch", switched)
	}
	ended := switched
	if err := ended.Rotate("end"); err != nil || !ended.Secret.Equal(fresh) || ended.Accept != nil || ended.Rotation != "" {
		t.Errorf("got %+v, %v at the end, want the new secret alone", ended, err)
	}
	if q := after("begin", "abandon"); !q.Secret.Equal(old) || q.Accept != nil || q.Rotation != "" {
		t.Errorf("got %+v, want all as it was", q)
	}
	now := switched
	now.Seeds = []string{aLine}
	if err := now.Rotate("now"); err != nil || now.Secret.Equal(old) || now.Secret.Equal(fresh) || now.Accept != nil || now.Rotation != "" || len(now.Seeds) != 1 {
		t.Errorf("got %+v, %v, want another secret alone, and the seeds", now, err)
	}
	for _, q := range []PrivateConfig{begun, switched, ended, unknown} {
		again, err := ParsePrivate("f", []byte(q.text()))
		if err != nil || again.Rotation != q.Rotation || !again.Secret.Equal(q.Secret) || !again.Accept.Equal(q.Accept) {
			t.Errorf("got %+v, %v from the file, want %+v", again, err, q)
		}
	}
	for _, bad := range []PrivateConfig{{Name: "acme", Secret: old, Rotation: RotationBegun}, {Name: "acme", Secret: old, Accept: fresh, Rotation: "x"}} {
		if bad.validate() == nil {
			t.Errorf("got no error for %+v", bad)
		}
	}
}

// TestChangesOfAFileAtTheSameTime: none is lost, and a node that reads the file meanwhile finds it as it has to
// be: whole, with the mode and the group that it had.
func TestChangesOfAFileAtTheSameTime(t *testing.T) {
	_, path := made(t, "acme")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(path, 0, 12345); err != nil {
				t.Fatal(err)
			}
		}
	}
	var writers, reader sync.WaitGroup
	stop := make(chan struct{})
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := ReadNetwork(path); err != nil {
				t.Errorf("a reader: got %v", err)
				return
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Error(err)
				return
			}
			_, gid, ok := datadir.OwnerOf(info)
			if runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 || ok && os.Geteuid() == 0 && gid != 12345 {
				t.Errorf("a reader: got mode %04o and group %d", info.Mode().Perm(), gid)
				return
			}
		}
	})
	const each = 10
	for i := range 4 {
		writers.Go(func() {
			for j := range each {
				var raw [64]byte
				raw[0], raw[1] = byte(i+1), byte(j+1)
				s, err := identity.NewSecret(bytes.NewReader(raw[:]))
				if err != nil {
					t.Error(err)
					return
				}
				if err := ChangeNetwork(path, func(n *PrivateConfig) error { return n.AddSeed(s.PublicKey().String() + "::/ip4/192.0.2.1/tcp/1") }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	reader.Wait()
	if p, err := ReadNetwork(path); err != nil || len(p.Seeds) != 4*each {
		t.Errorf("got %d seeds, %v, want all %d", len(p.Seeds), err, 4*each)
	}
}

// TestWhatIsWrongWithANetworkFile: each thing has its line, and no line shows a secret.
func TestWhatIsWrongWithANetworkFile(t *testing.T) {
	const form = "expected 64 hexadecimal digits in quotes"
	secret := fmt.Sprintf("secret = %q\n", aSecret)
	for name, c := range map[string]struct {
		text string
		want []string // each begins so
	}{
		"nothing":            {"", []string{"f:1: there is no name; expected"}},
		"no secret":          {"name = \"acme\"", []string{"f:1: there is no secret; " + form}},
		"no TOML":            {"name = \"acme\"\nsecret = " + aSecret, []string{"f:2: this is not TOML"}},
		"a name of another":  {"name = \"mainnet\"\n" + secret, []string{`f:1: name cannot be "mainnet": another network has it; use 1 to 32`}},
		"an odd name":        {"name = \"Acme\"\n" + secret, []string{`f:1: name cannot be "Acme": it does not begin with a letter; use`}},
		"a digit too few":    {"name = \"acme\"\nsecret = \"" + aSecret[:63] + "\"", []string{"f:2: secret cannot be \"***\": it has 63 digits; " + form}},
		"two digits too few": {"name = \"acme\"\nsecret = \"" + aSecret[:62] + "\"", []string{"f:2: secret cannot be \"***\": it has 62 digits; " + form}},
		"too long":           {"name = \"acme\"\nsecret = \"" + aSecret + "00\"", []string{"f:2: secret cannot be \"***\": it has 66 bytes; " + form}},
		"empty":              {"name = \"acme\"\nsecret = \"\"", []string{"f:2: secret cannot be \"***\": it is empty; " + form}},
		"zeros":              {"name = \"acme\"\nsecret = \"" + strings.Repeat("0", 64) + "\"", []string{"f:2: secret cannot be \"***\": it is not random"}},
		"a number":           {"name = \"acme\"\nsecret = 5", []string{"f:2: secret cannot be \"***\": it is a number; " + form}},
		"accept the same":    {"name = \"acme\"\n" + secret + "\naccept = \"" + strings.ToUpper(aSecret) + "\"", []string{"f:4: accept is the same as secret; expected another one, or none"}},
		"a bad accept":       {"name = \"acme\"\n" + secret + "accept = \"abc\"", []string{"f:3: accept cannot be \"***\": it has 3 digits"}},
		"a bad rotation":     {"name = \"acme\"\n" + secret + "rotation = \"x\"", []string{"f:3: rotation cannot be \"x\": it is neither begun nor switched; expected \"begun\" or"}},
		"rotation alone":     {"name = \"acme\"\n" + secret + "rotation = \"begun\"", []string{"f:3: there is no accept, so no change of the secret is under way; expected accept, or no rotation"}},
		"a bad seed":         {"name = \"acme\"\n" + secret + "seeds = [\"" + aLine + "\", \"10.0.0.1:1\"]", []string{"f:3: seeds cannot be a list of 2: entry 2, "}},
		"an unknown key":     {"name = \"acme\"\n" + secret + "sceret = \"" + aSecret + "\"", []string{`f:3: there is no setting "sceret", did you mean secret?; ` + form}},
		"another key":        {"name = \"acme\"\n" + secret + "frobnication = 1", []string{`f:3: there is no setting "frobnication"; expected one of name, secret, accept, rotation, seeds, for example name = "acme"`}},
		"a section":          {"name = \"acme\"\n" + secret + "[node]\nlisten = []", []string{`f:3: there is no section "node"; expected one of name, secret`}},
		"twice":              {"name = \"acme\"\n" + secret + secret, []string{"f:3: this is not TOML"}},
		"two at once":        {"name = 1\nsecret = \"abc\"", []string{"f:1: name cannot be 1", "f:2: secret cannot be"}},
		"UTF-16":             {"\xff\xfen\x00a\x00", []string{"f:1: the file is UTF-16"}},
		"another file":       {"[node]\nnetwork = \"localnet\"\n", []string{`f:1: there is no section "node"`}},
	} {
		_, err := ParsePrivate("f", []byte(c.text))
		problems, _ := errors.AsType[settings.Problems](err)
		if !errors.Is(err, ErrNetworkDamaged) || len(problems) != len(c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
			continue
		}
		for i, p := range problems {
			if !strings.HasPrefix(p.Error(), c.want[i]) {
				t.Errorf("%s: got %s, want it to begin with %s", name, p, c.want[i])
			}
		}
		if strings.Contains(strings.ToLower(fmt.Sprintf("%v %+v", err, problems)), "5ec7e7") {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

// TestNetworkFilesOfOthers: who can read the file can join, and who can change it has the node join another network.
func TestNetworkFilesOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the system has no such modes
	}
	_, path := made(t, "acme")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o660: false, 0o604: false, 0o620: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadNetwork(path); (err == nil) != ok || !ok && !errors.Is(err, ErrNetworkOpen) {
			t.Errorf("mode %04o: got %v, want it read: %v", mode, err, ok)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 54321, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadNetwork(path); !errors.Is(err, ErrNetworkOpen) {
			t.Errorf("of another user: got %v, want ErrNetworkOpen", err)
		}
	}
	if _, err := ReadNetwork(t.TempDir()); err == nil {
		t.Error("a folder: got no error")
	}
	if _, err := ReadNetwork(filepath.Join(t.TempDir(), "none.network")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got %v, want that there is none", err)
	}
	link := filepath.Join(t.TempDir(), "link.network")
	_, target := made(t, "beta")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := ChangeNetwork(link, func(n *PrivateConfig) error { return n.AddSeed(aLine) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("got %v, %v, want that the link stays one", info, err)
	}
	if p, err := ReadNetwork(target); err != nil || len(p.Seeds) != 1 {
		t.Errorf("got %+v, %v, want the change behind the link", p, err)
	}
}

// TestPrivateSettings: a private network in Config, by itself and with its neighbours.
//
// conforms: V 43
func TestPrivateSettings(t *testing.T) {
	p, path := made(t, "acme")
	p.Seeds = []string{aLine}
	for name, c := range map[string]Config{"private": {Private: &p}, "file": {Network: path}} {
		s, err := c.settle()
		if err != nil {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if s.Wire.NetworkName() != "acme" || !s.Wire.TestAddresses || s.Wire.WireByte != 0xB7 || s.Wire.Pattern != protocol.XXpsk0 || !s.Wire.Secret.Equal(p.Secret) {
			t.Errorf("%s: got %+v, want the profile of a private network", name, s.Wire)
		}
		if len(s.ListenOn) != 1 || s.ListenOn[0].String() != "/ip4/0.0.0.0/tcp/18189" || s.AnyPort {
			t.Errorf("%s: got %v, want port 18189 of all interfaces: it is a network of several machines", name, s.ListenOn)
		}
	}
	if s, err := (Config{Private: &p, Seeds: []string{strings.Replace(aLine, "18189", "1", 1)}}).settle(); err != nil || len(s.SeedPeers) != 2 {
		t.Errorf("got %v, %v, want seeds of both", s.SeedPeers, err)
	}
	for _, transport := range []string{TransportTor, TransportTCPWithTor, TransportSOCKS} {
		c := Config{Private: &p, Transport: transport}
		if transport == TransportSOCKS {
			c.SOCKS.Address = "/ip4/127.0.0.1/tcp/1080"
		}
		if s, err := c.settle(); err != nil || s.Wire.Private != "acme" {
			t.Errorf("%s: got %v, want it with every transport", transport, err)
		}
	}
	profile := protocol.Tari(protocol.LocalNet)
	short := p
	short.Secret = new(protocol.NetworkSecret)
	seeds := p
	seeds.Seeds = []string{"x"}
	for name, c := range map[string]struct {
		Config
		field string
	}{
		"two networks":    {Config{Private: &p, Network: "localnet"}, "Network"},
		"a profile":       {Config{Private: &p, Profile: &profile}, "Private"},
		"a release":       {Config{Private: &p, Release: "1.7"}, "Release"},
		"an empty secret": {Config{Private: &short}, "Private"},
		"no secret":       {Config{Private: &PrivateConfig{Name: "acme"}}, "Private"},
		"a bad seed":      {Config{Private: &seeds}, "Private"},
		"no file":         {Config{Network: path + ".network"}, "Network"},
		"another file":    {Config{Network: "private_test.go/x"}, "Network"},
		"a bad admission": {Config{Admission: "nobody"}, "Admission"},
	} {
		bad, ok := errors.AsType[*ConfigError](c.Validate())
		if !ok || bad.Field != c.field {
			t.Errorf("%s: got %v, want an error of %s", name, bad, c.field)
		}
	}
}

// TestIdentityOfAPrivateNetwork: an identity stays on the network that it was made for.
func TestIdentityOfAPrivateNetwork(t *testing.T) {
	p, _ := made(t, "acme")
	q, _ := made(t, "beta")
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Config{DataDir: dir, Private: &p}.Settle()
	if err != nil {
		t.Fatal(err)
	}
	id, err := LoadIdentity(dir)
	if err != nil || id.Network != protocol.PrivateNet || id.Private != "acme" || id.NetworkName() != "acme" || id.Secret.PublicKey() != s.Secret.PublicKey() {
		t.Errorf("got %+v, %v, want the identity of acme", id, err)
	}
	if again, err := (Config{DataDir: dir, Private: &p}).Settle(); err != nil || again.Secret.PublicKey() != s.Secret.PublicKey() {
		t.Errorf("again: got %v", err)
	}
	for name, c := range map[string]struct {
		Config
		want string
	}{
		"another one":    {Config{DataDir: dir, Private: &q}, "was made for acme, not for beta"},
		"a known one":    {Config{DataDir: dir, Network: "localnet"}, "was made for acme, not for localnet"},
		"none was named": {Config{DataDir: dir}, "was made for the private network acme; give the file of that network"},
	} {
		if _, err := c.Settle(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
	local := filepath.Join(t.TempDir(), "local")
	if _, err := (Config{DataDir: local}).Settle(); err != nil {
		t.Fatal(err)
	}
	if _, err := (Config{DataDir: local, Private: &p}).Settle(); err == nil || !strings.Contains(err.Error(), "was made for localnet, not for acme") {
		t.Errorf("got %v, want that it was made for localnet", err)
	}
}

// FuzzNetworkFile: a file is read as a whole or refused with lines, and never shows a secret; what is read
// can be written and read again as the same.
func FuzzNetworkFile(f *testing.F) {
	p, err := NewNetwork("acme")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(p.text()))
	f.Add([]byte("name = \"acme\"\nsecret = \"" + aSecret + "\"\nseeds = [\"" + aLine + "\"]\n"))
	f.Add([]byte("name = 'acme'\r\nsecret = '''" + aSecret + "'''\naccept = \"" + strings.Replace(aSecret, "5", "6", 1) + "\"\n"))
	f.Add([]byte("\ufeffname=\"a\"\n[secret]\nx=1\n"))
	f.Add([]byte("name = \"acme\"\nsecret = \"" + aSecret[:40] + "\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePrivate("f", b)
		if err != nil {
			problems, ok := errors.AsType[settings.Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("%q: got %v, want problems", b, err)
			}
			for _, x := range problems {
				if x.Line < 1 || x.Expected == "" || x.Example == "" || strings.ContainsAny(x.Error(), "\n\x00") {
					t.Errorf("%q: got %+v, want a line, what was expected and an example", b, x)
				}
			}
			return
		}
		if err := p.validate(); err != nil {
			t.Fatalf("%q: got %v, which no node can join", b, err)
		}
		again, err := ParsePrivate("f", []byte(p.text()))
		if err != nil || again.Name != p.Name || !again.Secret.Equal(p.Secret) || !again.Accept.Equal(p.Accept) || again.Rotation != p.Rotation || !slices.Equal(again.Seeds, p.Seeds) {
			t.Errorf("%q: got %+v, %v, want the same again", b, again, err)
		}
	})
}
