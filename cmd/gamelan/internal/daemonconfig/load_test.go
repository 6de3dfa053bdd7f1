package daemonconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

const (
	key  = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
	seed = key + "::/ip4/203.0.113.7/tcp/18189"
)

// load reads text as the file f.toml.
func load(t *testing.T, text string) *Loaded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadFile(path)
}

// problems are the texts of the problems, without the folder of the file.
func problems(l *Loaded) []string {
	var all []string
	for _, p := range l.Problems {
		all = append(all, strings.ReplaceAll(p.Error(), filepath.Dir(p.File)+"/", ""))
	}
	return all
}

func TestWhatIsWrongWithAFile(t *testing.T) {
	const mib = `expected a size from 256KiB to 16MiB with its unit B, KiB, MiB or GiB, for example window = "512KiB" under [mux]`
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing": {"", nil},
		"unknown key, spelt almost like one": {"[mux]\n\nwindw = \"1MiB\"", []string{
			`f.toml:3: there is no setting "mux.windw", did you mean mux.window?; ` + mib,
		}},
		"key above all sections": {`window = "1MiB"`, []string{
			`f.toml:1: there is no setting "window", did you mean mux.window?; ` + mib,
		}},
		"key in another section": {"[log]\nwindow = \"1MiB\"", []string{
			`f.toml:2: there is no setting "log.window", did you mean mux.window?; ` + mib,
		}},
		"a switch that its section does not have": {"[saf]\nenabled = false", []string{
			`f.toml:2: there is no setting "saf.enabled", did you mean saf.no_store?; expected true or false, for example no_store = true under [saf]`,
		}},
		"unknown key like none": {"[mux]\nfrobnication = 1", []string{
			`f.toml:2: there is no setting "mux.frobnication"; expected one that gamelan config init lists, for example level = "warn" under [log]`,
		}},
		"unknown section": {"[connection]\nwindow = \"1MiB\"", []string{
			`f.toml:1: there is no section "connection", did you mean [connections]?; expected one of ` + strings.Join(sectionNames(), ", ") + `, for example level = "warn" under [log]`,
		}},
		"section that is a value": {"mux = 3", []string{
			`f.toml:1: "mux" is a number; expected a section, for example [mux] on a line of its own`,
		}},
		"sections in a list": {"[[mux]]\nwindow = \"1MiB\"\n[[mux]]", []string{
			`f.toml:1: "mux" is a list; expected a section, for example [mux] on a line of its own`,
		}},
		"value that is a section": {"[data_dir]\nx = 1", []string{
			`f.toml:1: data_dir cannot be a section: it is a section; expected a path in quotes, absolute in a file, for example data_dir = "/var/lib/gamelan"`,
		}},
		"deeper than a section": {"[mux.window]\nx = 1", []string{
			`f.toml:1: mux.window cannot be a section: it is a section; ` + mib,
		}},
		"inline and dotted": {"log = { level = \"loud\" }\nmux.window = 5\n", []string{
			`f.toml:1: log.level cannot be "loud": there is no such choice; expected one of debug, info, warn, error, for example level = "warn" under [log]`,
			`f.toml:2: mux.window cannot be 5: it is a number; ` + mib,
		}},
		"unit": {"[mux]\nwindow = \"1\"\nwrite_timeout = \"90\"", []string{
			`f.toml:2: mux.window cannot be "1": it has no unit; ` + mib,
			`f.toml:3: mux.write_timeout cannot be "90": it has no unit; expected a duration from 1s to 1h with its unit ms, s, m or h, for example write_timeout = "2m" under [mux]`,
		}},
		"decimal unit": {"[mux]\nwindow = \"1 MB\"", []string{
			`f.toml:2: mux.window cannot be "1 MB": MB is not a unit here, MiB is; ` + mib,
		}},
		"range": {"[mux]\nwindow = \"255KiB\"\n[connections]\nmax_dials = 0\nmax_inbound = 100001", []string{
			`f.toml:2: mux.window cannot be "255KiB": it is too small; ` + mib,
			`f.toml:4: connections.max_dials cannot be 0: it is too small; expected a whole number from 1 to 1000, for example max_dials = 16 under [connections]`,
			`f.toml:5: connections.max_inbound cannot be 100001: it is too large; expected a whole number from 1 to 100000, for example max_inbound = 200 under [connections]`,
		}},
		"choice, spelt almost like one": {"[node]\nnetwork = \"esmerelda\"", []string{
			`f.toml:2: node.network cannot be "esmerelda": there is no such choice, did you mean "esmeralda"?; expected one of localnet, mainnet, stagenet, nextnet, igor, esmeralda, or the path of the file of a private network, for example network = "localnet" under [node]`,
		}},
		"address": {"[node]\nlisten = [\n  \"/ip4/127.0.0.1/tcp/1\",\n  \"127.0.0.1:1\",\n]", []string{
			`f.toml:2: node.listen cannot be a list of 2: entry 2, "127.0.0.1:1", is no multiaddr, write it as /ip4/127.0.0.1/tcp/1; expected a list of multiaddrs, at most 16, for example listen = ["/ip4/0.0.0.0/tcp/18189"] under [node]`,
		}},
		"relative path": {`data_dir = "data"`, []string{
			`f.toml:1: data_dir cannot be "data": it is relative; expected a path in quotes, absolute in a file, for example data_dir = "/var/lib/gamelan"`,
		}},
		"control character": {"[node]\nuser_agent = \"a\\nb\"", []string{
			`f.toml:2: node.user_agent cannot be "a\nb": it holds a control character; expected text in quotes, at most 50 bytes of printable ASCII, for example user_agent = "relay-3" under [node]`,
		}},
		"not TOML, at a setting": {"[mux]\nmax_streams = 5\nwindow = 1MiB\n", []string{
			`f.toml:3: this is not TOML: ` + `*` + `; ` + mib,
		}},
		"not TOML at all": {"[mux]\nwhat is this?\n", []string{
			`f.toml:2: this is not TOML: *; expected KEY = VALUE under a [SECTION], with text in quotes, for example window = "1MiB" under [mux]`,
		}},
		"UTF-16, as of PowerShell's >": {"\xff\xfe[\x00l\x00o\x00g\x00]\x00\r\x00\n\x00", []string{
			`f.toml:1: the file is UTF-16, as PowerShell's > writes it; expected UTF-8, for example what "gamelan config init FILE" writes`,
		}},
		"UTF-16, the other byte first": {"\xfe\xff\x00[\x00l\x00o\x00g\x00]\x00\n", []string{
			`f.toml:1: the file is UTF-16, as PowerShell's > writes it; expected UTF-8, for example what "gamelan config init FILE" writes`,
		}},
		"UTF-16 without a mark": {"[\x00l\x00o\x00g\x00]\x00\n\x00", []string{
			`f.toml:1: the file is UTF-16, as PowerShell's > writes it; expected UTF-8, for example what "gamelan config init FILE" writes`,
		}},
		"Latin-1": {"[node]\n# f\xfcr alle\nuser_agent = \"a\"\n", []string{
			`f.toml:2: the line is not UTF-8, perhaps Latin-1 or Windows-1252; expected UTF-8, for example what "gamelan config init FILE" writes`,
		}},
		"a no-break space": {"[mux]\nmax_streams = 5\nwindow\u00a0= \"1MiB\"\n", []string{
			`f.toml:3: character 7 of the line looks like a blank, and is a no-break space (U+00A0); expected a blank or nothing in its place, for example window = "1MiB" under [mux]`,
		}},
		"another space before a section": {"\u2003[mux]\n", []string{
			`f.toml:1: character 1 of the line looks like a blank, and is another one (U+2003); expected a blank or nothing in its place, for example window = "1MiB" under [mux]`,
		}},
		"a character that cannot be seen": {"[mux]\nwin\u200bdow = \"1MiB\"\n", []string{
			`f.toml:2: character 4 of the line cannot be seen (U+200B); expected a blank or nothing in its place, for example window = "1MiB" under [mux]`,
		}},
		"quotes of a word processor": {"[mux]\nwindow = \u201c1MiB\u201d\n", []string{
			`f.toml:2: character 10 of the line is a typographic quotation mark (U+201C); expected a straight one, " or ', for example window = "1MiB" under [mux]`,
		}},
		"a no-break space in a text is none": {"[mux]\nwindow = \"1\u00a0MiB\" x\n", []string{
			`f.toml:2: this is not TOML: *; ` + mib,
		}},
		"twice": {"[log]\nlevel = \"info\"\nlevel = \"warn\"", []string{
			`f.toml:3: this is not TOML: *; expected each text and each list closed in the lines before, and each setting once, for example level = "warn" under [log]`,
		}},
		"a list that is not closed": {"[node]\nseeds = [\"a\"\nnetwork = \"localnet\"\n", []string{
			`f.toml:3: this is not TOML: *; expected each text and each list closed in the lines before, and each setting once, for example network = "localnet" under [node]`,
		}},
		"two that do not go together": {"[limits]\npeer_credit = \"1MiB\"\nnode_credit = \"2MiB\"", []string{
			`f.toml:2: limits.peer_credit does not work with the other settings: 1048576 is above an eighth of limits.node_credit (f.toml:3) (2097152); lower it or raise limits.node_credit; expected a size from 1KiB to 1GiB with its unit B, KiB, MiB or GiB, for example peer_credit = "2MiB" under [limits]`,
		}},
		"streams that do not go together": {"[mux]\nmax_inbound = 200", []string{
			`f.toml:2: mux.max_inbound does not work with the other settings: 100 streams with 200 inbound; set 0 < mux.max_inbound < mux.max_streams <= 256; expected a whole number from 1 to 255, for example max_inbound = 48 under [mux]`,
		}},
		"three clashes at once": {"[limits]\npeer_credit = \"1MiB\"\nnode_credit = \"2MiB\"\n[mux]\nmax_inbound = 200\n[node]\nplain_on_profile = true", []string{
			`f.toml:7: node.plain_on_profile does not work with the other settings: the DHT has the protocol t/msg/0.1; set dht.enabled = false as well; *`,
			`f.toml:2: limits.peer_credit does not work with the other settings: *`,
			`f.toml:5: mux.max_inbound does not work with the other settings: *`,
		}},
		"a clash with a default": {"[limits]\nnode_credit = \"2MiB\"", []string{
			`f.toml:2: limits.peer_credit does not work with the other settings: *`,
		}},
		"closing twice over": {"[connections]\nkeep_closest = 50\n[discovery]\nminimise = true", []string{
			`f.toml:4: discovery.minimise does not work with the other settings: connections.keep_closest (f.toml:2) is set as well, and closes other connections; leave one of them out; *`,
		}},
		"sets below the floor": {"[connections]\nfloor = 12\n[dht]\nneighbours = 4\n[discovery]\nminimise = true", []string{
			`f.toml:6: discovery.minimise does not work with the other settings: dht.neighbours (f.toml:4) and discovery.random together are below connections.floor (f.toml:2) (12): connections would be made and closed again; raise them or lower connections.floor; *`,
		}},
		"sets that nobody connects to": {"[connections]\nfloor = 0\n[discovery]\nminimise = true", []string{
			`f.toml:4: discovery.minimise does not work with the other settings: with this connections.floor (f.toml:2) the node connects to nobody by itself, so it has no neighbours to keep; leave one of them out; *`,
		}},
		"no grace for stored messages": {"[saf]\ngrace = \"1m\"", []string{`f.toml:2: saf.grace cannot be "1m": *`}},
		"seeds of a DHT that is off": {"[dht]\nenabled = false\n[discovery]\nseed_names = [\"seeds.example.org\"]", []string{
			`f.toml:4: discovery.seed_names does not work with the other settings: a node with dht.enabled = false does not look for others; leave one of them out; *`,
		}},
		"neighbours of a DHT that is off": {"[dht]\nenabled = false\n[discovery]\nminimise = true", []string{
			`f.toml:4: discovery.minimise does not work with the other settings: a node with dht.enabled = false has no neighbours; leave one of them out; *`,
		}},
		"all at once": {"[log]\nlevel = 1\n[lgo]\n[node]\nclient = \"yes\"", []string{
			`f.toml:2: log.level cannot be 1: it is a number; *`,
			`f.toml:3: there is no section "lgo", did you mean [log]?; *`,
			`f.toml:5: node.client cannot be "yes": it is a string; expected true or false, for example client = true under [node]`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := problems(load(t, c.text))
			same := slices.EqualFunc(got, c.want, func(got, want string) bool {
				head, tail, anything := strings.Cut(want, "*")
				return got == want || anything && strings.HasPrefix(got, head) && strings.HasSuffix(got, tail)
			})
			if !same {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// wrong are values that no setting of the kind can have, as they stand in a
// file.
var wrong = map[settings.Kind][]string{
	settings.Text:     {"1", "true", "[]", `""`, "1979-05-27"},
	settings.Path:     {"1", "true", "[]", `""`, `"not/absolute"`},
	settings.Choice:   {"1", "true", "[]", `""`, `"nothing of this"`},
	settings.Switch:   {"1", `"true"`, "[]"},
	settings.Count:    {"1.5", `"1"`, "true", "[1]", "-1", "9223372036854775807"},
	settings.Size:     {"1048576", `"1048576"`, `"1MB"`, `"MiB"`, `""`, `"-1MiB"`, `"0B"`, `"8388608TiB"`, `"1.5MiB"`, `"1MiB 1KiB"`},
	settings.Duration: {"30", `"30"`, `"30 s"`, `"1d"`, `""`, `"-30s"`, `"1ns"`, `"10000h"`, "07:32:00"},
	settings.Addrs:    {"1", `"/ip4/127.0.0.1/tcp/1"`, "[1]", `["127.0.0.1:1"]`, `[""]`, `["/ip4/127.0.0.1/tcp/1", "nowhere"]`},
	settings.Networks: {"1", `"10.0.0.0/8"`, "[1]", `["10.0.0.0"]`, `["/ip4/127.0.0.1/tcp/1"]`},
	settings.Ranges:   {"1", `"10.0.0.0/8"`, "[1]", `["10.0.0.0"]`, `["/ip4/*.1.1.1/tcp/1"]`},
	settings.Types:    {"1", `"225"`, `["225"]`, `["x"]`, "[1.5]", "[2147483648]", "[1]", "[true]"},
	settings.DNSNames: {"1", `"seeds.example.org"`, "[1]", `[""]`, `["a b"]`, `["/dns4/x/tcp/1"]`, `["` + seed + `"]`},
	settings.Peers:    {"1", `"x"`, "[1]", `["x"]`, `["` + key[2:] + `"]`, `["` + seed + `"]`},
	settings.Seeds:    {"1", `"` + seed + `"`, "[1]", `["/ip4/127.0.0.1/tcp/1"]`, `["` + key + `"]`},
}

func TestEverySettingRefusesWhatItCannotBe(t *testing.T) {
	for _, s := range Settings {
		head := "\n"
		if s.Section() != "" {
			head = "[" + s.Section() + "]\n"
		}
		for _, value := range wrong[s.Kind] {
			if value == "-1" && s.Least < 0 {
				continue
			}
			l := load(t, head+s.Name()+" = "+value)
			if len(l.Problems) != 1 {
				t.Errorf("%s = %s: got %v, want one problem", s.Key, value, problems(l))
				continue
			}
			p := l.Problems[0]
			if p.Key != s.Key || p.Line != 2 || !strings.Contains(p.Message, s.Key) || p.Expected != s.Expected() || p.Example != s.FileExample() {
				t.Errorf("%s = %s: got %+v, want key, line 2, what was expected and the example", s.Key, value, p)
			}
			if l.Origin(s.Key).Kind != "default" {
				t.Errorf("%s = %s: got a value that is in force", s.Key, value)
			}
		}
		for _, misspelt := range []string{s.Name() + "x", s.Name()[1:], s.Name()[1:2] + s.Name()[:1] + s.Name()[2:]} {
			if _, ok := Table.Find(strings.TrimPrefix(s.Section()+"."+misspelt, ".")); ok || settings.Distance(misspelt, s.Name())*2 >= len(s.Key) {
				continue
			}
			l := load(t, head+misspelt+" = 1")
			if got := problems(l); len(got) != 1 || !strings.Contains(got[0], "f.toml:2: ") || !strings.Contains(got[0], "did you mean "+s.Key+"?") {
				t.Errorf("%s: got %q, want a question whether %s was meant", misspelt, got, s.Key)
			}
		}
	}
}

func TestEverySettingTakesItsExampleFromEverySource(t *testing.T) {
	for _, s := range Settings {
		head := ""
		if s.Section() != "" {
			head = "[" + s.Section() + "]\n"
		}
		name, text, _ := strings.Cut(s.VariableExample(), "=")
		document, environ := head+s.Name()+" = "+s.Example, []string{name + "=" + strings.Trim(text, "'")}
		flags := map[string][]string{s.Key: {s.BareExample()}}
		if s.Key == "proxy.address" { // which tcp, the default, would not use
			document, environ = document+"\n[node]\ntransport = \"tcp+tor\"", append(environ, "GAMELAN_NODE_TRANSPORT=tcp+tor")
			flags["node.transport"] = []string{"tcp+tor"}
		}
		if s.Key == "node.plain_on_profile" { // which is for nodes without the DHT
			document, environ = document+"\n[dht]\nenabled = false", append(environ, "GAMELAN_DHT_ENABLED=false")
			flags["dht.enabled"] = []string{"false"}
		}
		file := load(t, document)
		variable := Load(Sources{Environ: environ})
		flag := Load(Sources{Flags: flags})
		for _, l := range []*Loaded{file, variable, flag} {
			if len(l.Problems) != 0 {
				t.Errorf("%s: got %v, want no problem with its example", s.Key, problems(l))
			}
			want := s.Example
			if s.Secret {
				want = settings.TOML(s.Masked(s.BareExample()))
			}
			if got := l.Value(s); got.Text() != want || got.Origin.Kind == "default" {
				t.Errorf("%s: got %s from %s, want %s", s.Key, got.Text(), got.Origin, want)
			}
			if d := Load(Sources{}).Value(s).Text(); s.Key != "node.release" && s.Key != "node.network" && d == s.Example {
				t.Errorf("%s: the example %s is the default, want one that shows something", s.Key, d)
			}
		}
	}
}

func TestPrecedence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.toml")
	err := os.WriteFile(path, []byte("[mux]\nwindow = \"1MiB\"\nmax_streams = 90\n[log]\nlevel = \"info\"\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	l := Load(Sources{
		Files:   []string{path + ".none", path + "/under", path, path + ".other"},
		Environ: []string{"GAMELAN_MUX_WINDOW=2MiB", "GAMELAN_LOG_LEVEL=error", "GAMELAN_MUX_MAX_INBOUND=", "PATH=/bin"},
		Flags:   map[string][]string{"mux.window": {"4MiB"}, "node.seeds": {seed}},
	})
	if len(l.Problems) != 0 || l.File != path {
		t.Fatalf("got file %s, problems %v", l.File, problems(l))
	}
	var got []string
	for _, v := range l.Values() {
		if v.Origin.Kind != "default" {
			got = append(got, fmt.Sprintf("%s = %s (%s)", v.Key, v.Text(), strings.ReplaceAll(v.Origin.String(), path, "f")))
		}
	}
	want := []string{`node.seeds = ["` + seed + `"] (--peer)`, `mux.max_streams = 90 (f:3)`, `mux.window = "4MiB" (--mux-window)`, `log.level = "error" (GAMELAN_LOG_LEVEL)`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c := l.Config; c.Node.Mux.Window != 4<<20 || c.Node.Mux.MaxStreams != 90 || c.LogLevel != 8 || c.Drain != 30*time.Second || c.Node.KeepAlive != 0 {
		t.Errorf("got %+v", c)
	}
}

func TestWhatIsWrongWithVariablesAndFlags(t *testing.T) {
	l := Load(Sources{
		Environ: []string{
			"GAMELAN_MUX_WINDOW=lots", "GAMELAN_LOG_LEVL=info", "GAMELAN_NODE_PORT=tcp://10.0.0.1:1", "GAMELAN_LONG=1", "GAMELAN_NODE_CLIENT=maybe",
			"GAMELAN_CONNECTIONS_MAX_DIALS=many",
		},
		Flags: map[string][]string{"mux.max_streams": {"x"}, "node.listen": {"nonsense"}},
	})
	want := []string{
		`GAMELAN_CONNECTIONS_MAX_DIALS: connections.max_dials cannot be "many": it is a string; expected a whole number from 1 to 1000, for example GAMELAN_CONNECTIONS_MAX_DIALS=16`,
		`GAMELAN_LOG_LEVL: there is no such variable, did you mean GAMELAN_LOG_LEVEL?; expected one of debug, info, warn, error, for example GAMELAN_LOG_LEVEL=warn`,
		`GAMELAN_MUX_WINDOW: mux.window cannot be "lots": it is no whole number with a unit; expected a size from 256KiB to 16MiB with its unit B, KiB, MiB or GiB, for example GAMELAN_MUX_WINDOW=512KiB`,
		`GAMELAN_NODE_CLIENT: node.client cannot be "maybe": it is a string; expected true or false, for example GAMELAN_NODE_CLIENT=true`,
		`--listen: node.listen cannot be "nonsense": it is no multiaddr; expected a list of multiaddrs, at most 16, for example --listen /ip4/0.0.0.0/tcp/18189`,
		`--mux-max-streams: mux.max_streams cannot be "x": it is a string; expected a whole number from 2 to 256, for example --mux-max-streams 120`,
	}
	if got := problems(l); !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if note := []string{"GAMELAN_NODE_PORT is no variable of a setting and was passed over"}; !slices.Equal(l.Notes, note) {
		t.Errorf("got notes %q, want %q", l.Notes, note)
	}
}

func TestWhatANodeSaysOfItsConfig(t *testing.T) {
	l := load(t, "node.network = \"igor\"\n[mux]\nwindow = \"1MiB\"")
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("no"), ""},
		{fmt.Errorf("start: %w", &gamelan.ConfigError{Field: "Network", Err: errors.New("no such thing")}), "/f.toml:1: node.network does not work with the other settings: no such thing; expected one of"},
		{&gamelan.ConfigError{Field: "PublicAddresses", Err: errors.New("listen on ListenNowhere")}, `node.public_addresses does not work with the other settings: listen on "nowhere"; expected a list of multiaddrs, at most 5, for example public_addresses = ["/dns4/node.example.org/tcp/18189"] under [node]`},
		{&gamelan.ConfigError{Field: "Mux", Err: errors.New("x")}, "/f.toml:3: mux.window does not work"},
		{&gamelan.ConfigError{Field: "Profile", Err: errors.New("x")}, ""},
		{&gamelan.ConfigError{Field: "DHT.SendPace", Err: errors.New("x")}, "dht.send_pace does not work with the other settings: x; expected a whole number from 1 to"},
	} {
		got := ""
		if p := l.ProblemsOf(c.err); len(p) > 0 {
			got = p[0].Error()
		}
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

func TestWhatLeavesTheDataDirectoryInTheDark(t *testing.T) {
	for text, want := range map[string]int{
		"data_dir = 1":                               1,
		"data_dir = \"/x\"\n[mux]\nwindow = 1":       0,
		"data_dir = \"/x\"\nnonsense":                1,
		"data_dir = \"/x\"\n[mux]\nwindw = \"1MiB\"": 0,
	} {
		if _, _, unknown := DataDir(load(t, text)); len(unknown) != want {
			t.Errorf("%s: got %v, want %d problems", text, unknown, want)
		}
	}
	l := Load(Sources{Files: []string{"/nowhere/f.toml"}, Named: true, Environ: []string{"GAMELAN_DATA_DIR=/y"}})
	if dir, from, unknown := DataDir(l); dir != "/y" || from.String() != "GAMELAN_DATA_DIR" || len(unknown) != 0 {
		t.Errorf("got %s from %s, %v, want the directory of the variable in spite of the file", dir, from, unknown)
	}
	if len(l.Problems) != 1 || !strings.Contains(l.Problems[0].Error(), "/nowhere/f.toml: the file cannot be read: no such file or directory; expected") {
		t.Errorf("got %v, want the file that is missing", l.Problems)
	}
}

// A key that is pasted into the wrong place is not shown to anybody.
func TestSecretsAreNotShown(t *testing.T) {
	secret := strings.Repeat("5ec7e7", 11)[:64]
	for _, text := range []string{
		"secret_key = \"" + secret + "\"",
		"[node]\nsecret_key = \"" + secret + "\"",
		"[node]\nuser_agent = \"" + secret + "\"",
		"[node]\nnetwork = \"" + secret + "\"",
		"[node]\nlisten = [\"" + secret + "\"]",
		"[node]\nseeds = [\"" + secret + "\"]",
		"[mux]\nwindow = \"" + secret + "\"",
		"[mux]\nwindow = " + secret,
		"\"" + secret + "\" = 1",
		"[" + secret + "]\nx = 1",
		secret,
		"[log]\nlevel = \"info\"\n\"" + secret + "\" = 1\n\"" + secret + "\" = 2",
	} {
		l := load(t, text)
		if len(l.Problems) == 0 {
			t.Errorf("%s: got no problem", text)
		}
		shown := strings.Join(problems(l), "\n")
		for _, v := range l.Values() {
			shown += v.Text()
		}
		for _, p := range l.Problems {
			shown += fmt.Sprintf("%+v", *p)
		}
		if strings.Contains(strings.ToLower(shown), secret[:16]) {
			t.Errorf("%s: got it shown in %s", text, shown)
		}
	}
}

// TestNetworkFiles: node.network may name the file of a private network. What is wrong with that file has a
// line there, what is wrong with its path one here, and the secret is shown nowhere.
func TestNetworkFiles(t *testing.T) {
	digits := strings.Repeat("5ec7e7", 11)[:64]
	path := filepath.Join(t.TempDir(), "acme.network")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setting := fmt.Sprintf("[node]\nnetwork = %q\n", path)
	good := "name = \"acme\"\nsecret = \"" + digits + "\"\nseeds = [\"" + seed + "\"]\n"
	write(good)
	l := load(t, setting)
	if got := problems(l); len(got) > 0 {
		t.Errorf("got %q, want nothing wrong", got)
	}
	if n, private, err := Network(l); err != nil || n.String() != "private" || private != "acme" {
		t.Errorf("got %v, %s, %v, want acme", n, private, err)
	}
	network, _ := Table.Find("node.network")
	if got := l.Value(network).Text(); got != settings.TOML(path) {
		t.Errorf("got %s, want the path alone", got)
	}
	shown := ""
	for _, v := range l.Values() {
		shown += v.Text()
	}
	shown += fmt.Sprintf("%v %+v %#v", l.Config, l.Config, l.Config.Node.Private)
	write(strings.Replace(good, "secret", "sceret", 1))
	if got := problems(load(t, setting)); len(got) != 1 || !strings.HasPrefix(got[0], "acme.network:2: there is no setting \"sceret\", did you mean secret?") {
		t.Errorf("got %q, want the line of the network file", got)
	}
	write(strings.Replace(good, digits, digits[:60], 1) + "x = 1\n")
	bad := load(t, setting)
	if got := problems(bad); len(got) != 2 || !strings.HasPrefix(got[0], "acme.network:2: secret cannot be \"***\"") || !strings.HasPrefix(got[1], "acme.network:4: there is no setting \"x\"") {
		t.Errorf("got %q, want both lines", got)
	}
	for _, p := range bad.Problems {
		shown += fmt.Sprintf("%+v", *p)
	}
	if strings.Contains(shown, "5ec7") || strings.Contains(shown, "94 199") {
		t.Errorf("the secret is in %s", shown)
	}
	for text, want := range map[string]string{
		"[node]\nnetwork = \"/nowhere/acme.network\"": "f.toml:2: node.network cannot be \"/nowhere/acme.network\": open /nowhere/acme.network: no such file or directory; expected one of localnet, ",
		"[node]\nnetwork = \"acme.network\"":          "f.toml:2: node.network cannot be \"acme.network\": it is relative; expected one of ",
		"[node]\nnetwork = \"acme\"":                  "f.toml:2: node.network cannot be \"acme\": there is no such choice; expected one of ",
	} {
		if got := problems(load(t, text)); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %s", text, got, want)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := problems(load(t, setting)); runtime.GOOS != "windows" && (len(got) != 1 || !strings.Contains(got[0], "the network file is open to others; make it private with chmod 600")) {
		t.Errorf("got %q, want that others can read it", got)
	}
}

// A setting that holds a secret is shown without it, and a change of it is noticed.
func TestSecretSettings(t *testing.T) {
	for _, key := range []string{"tor.control_auth", "proxy.auth"} {
		s, _ := Table.Find(key)
		section, name, _ := strings.Cut(key, ".")
		word := map[string]string{"tor.control_auth": "password=", "proxy.auth": "username_password=me:"}[key]
		file := func(secret string) *Loaded { return load(t, fmt.Sprintf("[%s]\n%s = %q", section, name, word+secret)) }
		a, b := file("hunter2"), file("hunter3")
		if c := Changes(a, b); len(c) != 1 || strings.Contains(fmt.Sprint(c), "hunter") {
			t.Errorf("%s: got %v, want one change without the secret", key, c)
		}
		if got := a.Value(s).Text(); strings.Contains(got, "hunter") || !strings.Contains(got, "***") {
			t.Errorf("%s: got %s, want stars", key, got)
		}
		for _, wrong := range []string{strings.Repeat("hunter2", 100), "hunter2\u0001"} {
			l := file(wrong)
			if len(l.Problems) != 1 || strings.Contains(fmt.Sprintf("%+v", *l.Problems[0]), "hunter") {
				t.Errorf("%s: got %v, want one problem without the secret", key, problems(l))
			}
		}
	}
}

// TestEveryFieldHasASetting walks the fields of the command; package config walks those of a node.
func TestEveryFieldHasASetting(t *testing.T) {
	c := unread().Config
	at := map[uintptr]string{}
	for _, s := range Settings {
		p := reflect.ValueOf(s.At(&c)).Pointer()
		if at[p] != "" {
			t.Errorf("%s and %s are stored in the same place", at[p], s.Key)
		}
		at[p] = s.Key
	}
	var check func(v reflect.Value)
	check = func(v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			switch {
			case f.Kind() == reflect.Struct && name != "Node":
				check(f)
			case name != "Node" && at[f.Addr().Pointer()] == "":
				t.Errorf("%s.%s has no setting, want a row", v.Type(), name)
			}
		}
	}
	check(reflect.ValueOf(&c).Elem())
}

func TestSettingsAreWellFormed(t *testing.T) {
	flags := map[string]bool{}
	for _, s := range Settings {
		if s.Section() != "" && len(Table.Lookup("["+s.Section()+"]")) == 0 {
			t.Errorf("%s: section %q is not listed", s.Key, s.Section())
		}
		if flags[s.FlagName()] {
			t.Errorf("%s: flag %s is there twice", s.Key, s.FlagName())
		}
		flags[s.FlagName()] = true
		if !strings.HasSuffix(s.Doc, ".") || strings.Contains(s.Doc, "$") {
			t.Errorf("%s: got text %q, want sentences", s.Key, s.Doc)
		}
	}
}

func TestChanges(t *testing.T) {
	old := load(t, "[log]\nlevel = \"warn\"\n[mux]\nwindow = \"1MiB\"\n[daemon]\ndrain = \"1m\"")
	now := load(t, "[mux]\nwindow = \"2MiB\"\n[daemon]\ndrain = \"60s\"\n[node]\nseeds = [\""+seed+"\"]")
	var got []string
	for _, c := range Changes(old, now) {
		got = append(got, fmt.Sprintf("%s: %s to %s", c.Setting.Key, c.Old.Text(), c.New.Text()))
	}
	want := []string{`node.seeds: [] to ["` + seed + `"]`, `mux.window: "1MiB" to "2MiB"`, `log.level: "warn" to "info"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	level, _ := Table.Find("log.level")
	old.Take(now, level)
	if len(Changes(old, now)) != 2 || old.Config.LogLevel != now.Config.LogLevel || old.Origin("log.level").Kind != "default" {
		t.Errorf("got %+v after the level was taken over", Changes(old, now))
	}
}

// FuzzFile reads any file: it never panics, says a line for every problem, and
// what it accepts it writes in a form that it reads as the same.
func FuzzFile(f *testing.F) {
	f.Add([]byte(Table.File()))
	f.Add([]byte("[mux]\nwindow = \"1MiB\"\n[node]\nlisten = [\"/ip4/127.0.0.1/tcp/1\"]\nuser_agent = \"a\\\"b\\\\\"\n"))
	f.Add([]byte("log = { level = \"info\" }\nmux.window = 5\n[[node]]\n"))
	f.Add([]byte("\ufeff[log]\r\nlevel = 'info'\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := unread()
		l.ReadDocument("f", b)
		for _, p := range l.Problems {
			if p.Line < 1 || p.Expected == "" || p.Example == "" || strings.ContainsAny(p.Error(), "\n\x00") {
				t.Errorf("%q: got %+v, want a line, what was expected and an example", b, p)
			}
		}
		again := unread()
		var text strings.Builder
		for _, v := range l.Values() {
			if v.Origin.Kind == "file" {
				fmt.Fprintf(&text, "%s = %s\n", v.Key, v.Text())
			}
		}
		again.ReadDocument("f", []byte(text.String()))
		if c := Changes(l, again); len(again.Problems) != 0 || len(c) != 0 {
			t.Errorf("%q: got %v, %v from %q, want the same", b, again.Problems, c, text.String())
		}
	})
}

func TestNoFloor(t *testing.T) {
	for _, text := range []string{"0", "-1"} {
		if got := load(t, "[connections]\nfloor = "+text).Config.Node.Floor; got != gamelan.NoFloor {
			t.Errorf("floor = %s: got %d, want NoFloor", text, got)
		}
	}
}

func TestTheDHTOfANode(t *testing.T) {
	on := load(t, "[dht]\nsend_pace = 300\ntypes = [225, 1225, 225]").Config
	if n := on.ForNode(); n.DHT == nil || n.DHT.SendPace != 300 || n.NoDHT {
		t.Errorf("got %+v and no DHT %v, want the pace and the DHT", n.DHT, n.NoDHT)
	}
	if got := on.Types(); !slices.Equal(got, []int32{1225, 225}) {
		t.Errorf("got types %v, want each once, gamelan's own first", got)
	}
	off := load(t, "[dht]\nenabled = false\nsend_pace = 300").Config
	if n := off.ForNode(); n.DHT != nil || !n.NoDHT {
		t.Errorf("got %+v and no DHT %v, want none", n.DHT, n.NoDHT)
	}
	if got := off.Types(); len(got) != 1 {
		t.Errorf("got types %v, want the default", got)
	}
	if got := keysOf(Table.Lookup("dht")); len(got) < 5 || got[0] != "dht.enabled" {
		t.Errorf("dht: got %v, want the section from dht.enabled on", got)
	}
	if got := keysOf(Table.Lookup("--no-dht")); !slices.Equal(got, []string{"dht.enabled"}) {
		t.Errorf("--no-dht: got %v, want dht.enabled", got)
	}
}

func keysOf(all []*Setting) (keys []string) {
	for _, s := range all {
		keys = append(keys, s.Key)
	}
	return keys
}

// TestAdviceOnPeers says what is missing in a peer that is no KEY::ADDRESS.
func TestAdviceOnPeers(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		key:                              "the address is missing, as gamelan id --address prints it on the other node",
		key + ":/ip4/10.0.0.1/tcp/18189": "two colons stand between the key and the address",
		key + "::10.0.0.1:18189":         "/ip4/10.0.0.1/tcp/18189",
	} {
		l := Load(Sources{Flags: map[string][]string{"node.seeds": {text}}})
		if got := problems(l); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: got %q, want %q in it", text, got, want)
		}
	}
}

// sectionNames are the names of all sections.
func sectionNames() (names []string) {
	for _, s := range Table.Sections {
		names = append(names, s.Name)
	}
	return names
}
