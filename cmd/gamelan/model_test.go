package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// output runs a command line in this process.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, &app{in: strings.NewReader(""), Output: &render.Output{Out: &out, Err: &errs}}); code != failure.ExitOK {
		t.Fatalf("gamelan %s: got exit code %d, %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

func model(t *testing.T) []verb {
	t.Helper()
	_, k, err := newParser(&app{Output: &render.Output{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}})
	if err != nil {
		t.Fatal(err)
	}
	return verbs(k)
}

// Every verb and every flag is named in the help, in the manual and in the
// completion of every shell.
func TestEveryVerbIsNamedEverywhere(t *testing.T) {
	all := model(t)
	if len(all) < 20 {
		t.Fatalf("got %d verbs, want all of them", len(all))
	}
	help, man := output(t, "--help"), strings.ReplaceAll(output(t, "man"), `\-`, "-")
	shells := map[string]string{}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		shells[shell] = output(t, "completion", shell)
	}
	for _, v := range all[1:] {
		if v.node.Help == "" || !strings.HasSuffix(v.node.Help, ".") {
			t.Errorf("%s: got help %q, want a sentence", v.path, v.node.Help)
		}
		if len(v.node.Children) == 0 && !strings.Contains(help, "\n  "+strings.TrimPrefix(v.path, "gamelan ")) {
			t.Errorf("%s is not in the help", v.path)
		}
		if !strings.Contains(man, "\n.SS "+v.path) {
			t.Errorf("%s is not in the manual", v.path)
		}
		for shell, text := range shells {
			if !strings.Contains(text, `"`+v.path+`"`) {
				t.Errorf("%s is not in the completion of %s", v.path, shell)
			}
		}
		own := helpText(t, v)
		for _, f := range v.flags() {
			if f.Help == "" {
				t.Errorf("%s --%s has no help", v.path, f.Name)
			}
			if !strings.Contains(own, "--"+f.Name) && !strings.Contains(own, "--[no-]"+f.Name) {
				t.Errorf("%s --%s is not in the help of its verb", v.path, f.Name)
			}
			if !strings.Contains(man, "--"+f.Name) {
				t.Errorf("%s --%s is not in the manual", v.path, f.Name)
			}
			for shell, word := range map[string]string{"bash": "--" + f.Name, "zsh": "'--" + f.Name, "fish": "-l " + f.Name} {
				if !strings.Contains(shells[shell], word) {
					t.Errorf("%s --%s is not in the completion of %s", v.path, f.Name, shell)
				}
			}
		}
		for _, arg := range v.node.Positional {
			if arg.Help == "" {
				t.Errorf("%s %s has no help", v.path, arg.Name)
			}
		}
	}
}

func TestManual(t *testing.T) {
	dir := t.TempDir()
	output(t, "man", "--dir", dir)
	for name, page := range map[string]string{"gamelan.1": "gamelan", "gamelan.toml.5": "gamelan.toml"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != output(t, "man", page) {
			t.Errorf("%s is another page than that of gamelan man %s", name, page)
		}
		for line := range strings.Lines(string(b)) {
			request, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if strings.HasPrefix(line, ".") && !slices.Contains([]string{".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR"}, request) || strings.HasPrefix(line, "'") {
				t.Errorf("%s: got the line %q, want text or a request of a manual", name, line)
			}
		}
	}
	settings := output(t, "man", "gamelan.toml")
	for _, s := range daemonconfig.Settings {
		if !strings.Contains(settings, ".B "+s.Name()+" = ") || !strings.Contains(settings, s.Variable()) {
			t.Errorf("%s is not in the manual", s.Key)
		}
	}
}

// The values of flags are in the completions that cannot be asked here.
func TestCompletionOfValues(t *testing.T) {
	for shell, want := range map[string]string{
		"zsh":  "\"gamelan send --strategy\")\n\t\tlist=(direct closest direct-or-closest propagate broadcast flood random:5)\n\t\tcompadd -a list\n",
		"fish": " -r -a 'direct closest direct-or-closest propagate broadcast flood random:5'\n",
	} {
		if got := output(t, "completion", shell); !strings.Contains(got, want) {
			t.Errorf("%s: got no %q in it", shell, want)
		}
	}
}

// The completion is asked as bash asks it.
func TestBashCompletion(t *testing.T) {
	script := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(script, []byte(output(t, "completion", "bash")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words       []string
		want, never []string
	}{
		{[]string{""}, []string{"node", "peers", "config", "--json"}, []string{"add", "--listen"}},
		{[]string{"st"}, []string{"status"}, []string{"node"}},
		{[]string{"peers", ""}, []string{"list", "add", "forget", "--data-dir", "--failed"}, []string{"node"}},
		{[]string{"peers", "add", "--"}, []string{"--json"}, []string{"--failed", "add"}},
		{[]string{"--json", "node", "--mux"}, []string{"--mux-window"}, []string{"--listen"}},
		{[]string{"node", "--log-level", ""}, []string{"debug", "warn"}, []string{"--listen", "node"}},
		{[]string{"send", "--strategy", ""}, []string{"flood", "random:5"}, []string{"--strategy"}},
		{[]string{"node", "--listen", ""}, nil, []string{"--listen", "node"}},
		{[]string{"config", "explain", "mux."}, []string{"mux.window"}, []string{"log.level"}},
		{[]string{"completion", ""}, []string{"bash", "fish"}, []string{"node"}},
		{[]string{"node", "--data-dir", ""}, nil, []string{"--listen"}},
	} {
		line := `source "$0"; COMP_WORDS=(gamelan "$@"); COMP_CWORD=$#; _gamelan; printf '%s\n' "${COMPREPLY[@]}"`
		out, err := exec.Command("bash", append([]string{"-c", line, script}, c.words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := strings.Fields(string(out))
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("gamelan %q: got %q, want %s among them", c.words, got, w)
			}
		}
		for _, w := range c.never {
			if slices.Contains(got, w) {
				t.Errorf("gamelan %q: got %q, want no %s", c.words, got, w)
			}
		}
	}
}

// pageCommand matches a command line in a page.
var pageCommand = regexp.MustCompile("`(gamelan [a-z][^`]*)`")

// TestPagesNameVerbs: each command of the pages for trouble and operation is a verb with those flags.
func TestPagesNameVerbs(t *testing.T) {
	all, n := model(t), 0
	for _, page := range []string{"trouble.md", "operating.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageCommand.FindAllStringSubmatch(string(text), -1) {
			n++
			at := -1 // of the verb with the longest path
			for i, v := range all {
				if (m[1] == v.path || strings.HasPrefix(m[1], v.path+" ")) && (at < 0 || len(v.path) > len(all[at].path)) {
					at = i
				}
			}
			if at < 1 {
				t.Errorf("%s: got %q, want a verb", page, m[1])
				continue
			}
			for word := range strings.FieldsSeq(m[1]) {
				name, ok := strings.CutPrefix(word, "--")
				if name, _, _ = strings.Cut(name, "="); ok && !slices.ContainsFunc(all[at].every(all[0]), func(f *kong.Flag) bool { return f.Name == name }) {
					t.Errorf("%s: got %q, and %s has no flag --%s", page, m[1], all[at].path, name)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("got %d commands, want those of each code", n)
	}
}

// A command line is parsed with the verb that it names alone, and what that does not understand with all of them.
func TestParserOfOneVerb(t *testing.T) {
	env := func() *app { return &app{Output: &render.Output{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}} }
	_, whole, err := newParser(env())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range whole.Model.Children {
		_, k, err := newParser(env(), unnamed([]string{"--data-dir", "d", n.Name})...)
		if err != nil {
			t.Fatal(err)
		}
		if of := k.Model.Children; !ofAll(n.Name) && (len(of) != 1 || of[0].Name != n.Name) || ofAll(n.Name) && len(of) != len(whole.Model.Children) {
			t.Errorf("%s: got %d verbs", n.Name, len(of))
		}
	}
	for _, line := range []string{"--data-dir status", "statsu", "send --hlp", "status --listen 1", "peers statsu", "--data-dir node statsu"} {
		_, _, got := env().parse(strings.Fields(line))
		if _, want := whole.Parse(strings.Fields(line)); got == nil || want == nil || got.Error() != want.Error() {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
}
