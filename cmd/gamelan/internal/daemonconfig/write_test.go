package daemonconfig

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/settings"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func TestFileSaysTheDefaults(t *testing.T) {
	text := Table.File()
	if c := Changes(Load(Sources{}), load(t, text)); len(c) != 0 {
		t.Errorf("got %v, want a file that changes nothing", c)
	}
	var set strings.Builder
	for line := range strings.Lines(text) {
		if len(line) > settings.Width+1 && !strings.Contains(line, "::") {
			t.Errorf("got a line of %d characters, want at most %d: %s", len(line), settings.Width, line)
		}
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		set.WriteString(line)
	}
	// A proxy goes with some transports alone, and tcp, the default, is not one of them.
	proxied := strings.Replace(set.String(), `transport = "tcp"`, `transport = "tcp+tor"`, 1)
	cert, key := issued(t, "node.example.org", time.Now().Add(time.Hour))
	proxied = strings.NewReplacer("/etc/gamelan/inspect.crt", cert, "/etc/gamelan/inspect.key", key).Replace(proxied)
	l := load(t, proxied)
	if len(l.Problems) != 0 {
		t.Errorf("got %v, want no problem with any line", problems(l))
	}
	for _, s := range Settings {
		if l.Origin(s.Key).Kind != "file" {
			t.Errorf("%s is not in the file", s.Key)
		}
		if s.Dynamic == "" && s.Key != "node.transport" && l.Value(s).Text() != s.Default() {
			t.Errorf("%s: got %s in the file, want the default %s", s.Key, l.Value(s).Text(), s.Default())
		}
	}
}

func TestExplain(t *testing.T) {
	s, _ := Table.Find("mux.window")
	const want = `mux.window

Unread bytes that a substream holds before the peer must stop.

  type      size
  unit      bytes, written with B, KiB, MiB or GiB
  range     from 256KiB to 16MiB
  default   "1MiB"
  a change  takes a restart
  variable  GAMELAN_MUX_WINDOW=512KiB
  flag      --mux-window 512KiB
  file      window = "512KiB" under [mux]
`
	if got := s.Explain(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, s := range Settings {
		if text := s.Explain(); !strings.Contains(text, s.Variable()) || !strings.Contains(text, "--"+s.FlagName()) && !strings.Contains(text, "--no-"+s.FlagName()) {
			t.Errorf("%s: got\n%s", s.Key, text)
		}
	}
}

// TestGo names the fields for programs, and none for settings of the command.
func TestGo(t *testing.T) {
	got := make(map[string]string)
	for i := range Settings {
		got[Settings[i].Key] = Settings[i].Go
	}
	for key, want := range map[string]string{
		"data_dir": "Config.DataDir", "mux.window": "Config.Mux.Window", "node.network": "Config.Network", "dht.neighbours": "Config.DHT.Neighbours",
		"dht.no_forwarding": "Config.DHT.NoForwarding", "log.level": "", "dht.enabled": "", "inbox.max_bytes": "InboxConfig.MaxBytes",
	} {
		if f, ok := got[key]; !ok || f != want {
			t.Errorf("%s: got %q, %v, want %q", key, f, ok, want)
		}
	}
}

// The reference in docs/configuration.md is written by this test with -update.
func TestReference(t *testing.T) {
	const path, begin, end = "../../../../docs/configuration.md", "<!-- settings -->\n", "<!-- end of settings -->\n"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("got no marks in %s, want %q and %q", path, begin, end)
	}
	want := head + begin + "\n" + markdown(Table) + "\n" + end + tail
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the settings say; run go test ./cmd/gamelan/internal/daemonconfig -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// markdown returns the reference of all settings for docs/configuration.md.
func markdown(t *settings.Table) string {
	var b strings.Builder
	section := "-"
	for _, s := range t.Rows {
		if s.Section() != section {
			section = s.Section()
			if section == "" {
				b.WriteString("### Above all sections\n")
			} else {
				fmt.Fprintf(&b, "\n### [%s]\n\n%s\n", section, sectionDoc(t, section))
			}
		}
		fmt.Fprintf(&b, "\n**%s** · %s", s.Name(), s.Kind)
		if r := s.Range(); r != "" {
			fmt.Fprintf(&b, ", %s", r)
		}
		if s.Dynamic != "" {
			fmt.Fprintf(&b, " · default: %s", s.Dynamic)
		} else {
			fmt.Fprintf(&b, " · default `%s`", s.Default())
		}
		if s.Reload {
			b.WriteString(" · HUP")
		}
		if f := s.Go; f != "" {
			fmt.Fprintf(&b, " · Go: `%s`", f)
		}
		fmt.Fprintf(&b, "\n%s\n\n```\n%s = %s\n%s\n%s node %s\n```\n", s.Doc, s.Name(), s.Example, s.VariableExample(), t.Program, s.FlagExample())
	}
	return b.String()
}

func sectionDoc(t *settings.Table, name string) string {
	i := slices.IndexFunc(t.Sections, func(s settings.Section) bool { return s.Name == name })
	return t.Sections[i].Doc
}
