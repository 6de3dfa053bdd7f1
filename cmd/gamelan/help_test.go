package main

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// helpText returns the help of a verb.
func helpText(t *testing.T, v verb) string {
	t.Helper()
	text, known := helpTexts.Load(v.path)
	if !known {
		text = output(t, append(strings.Fields(v.path)[1:], "--help")...)
		helpTexts.Store(v.path, text)
	}
	return text.(string)
}

var helpTexts sync.Map // the help by the path of its verb: each costs a parser

// examplesIn returns the command lines below the last heading Examples of a help.
func examplesIn(help string) (lines []string) {
	_, text, _ := strings.Cut(help, "\nExamples:\n")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// The help of every verb ends with two or three examples, each with a remark, and no line of
// them is wider than a terminal.
func TestHelpEndsWithExamples(t *testing.T) {
	man := output(t, "man")
	for _, v := range model(t) {
		help := helpText(t, v)
		got := examplesIn(help)
		if n := strings.Count(help, "\nExamples:\n"); n != 1 || len(got) < 2 || len(got) > 3 {
			t.Errorf("%s: got %d headings and the examples %q, want 2 or 3 at the end of the help", v.path, n, got)
		}
		_, text, _ := strings.Cut(help, "\nExamples:\n")
		if remarks := strings.Count("\n"+text, "\n  # "); remarks != len(got) {
			t.Errorf("%s: got %d remarks for %d examples", v.path, remarks, len(got))
		}
		for _, line := range got {
			if len(line) > 76 {
				t.Errorf("%s: the example %q is too wide", v.path, line)
			}
			if !strings.Contains(man, roff(line)) {
				t.Errorf("%s: the manual has no example %q", v.path, line)
			}
		}
	}
}

// Every example is a command line of its verb: its words parse, and its settings are right.
func TestExamplesParse(t *testing.T) {
	for _, v := range model(t) {
		for _, line := range examplesIn(helpText(t, v)) {
			commands, err := commandsIn(line)
			if err != nil {
				t.Errorf("%s: %q: %s", v.path, line, err)
				continue
			}
			of := 0
			for _, words := range commands {
				selected, err := parsed(words)
				if err != nil {
					t.Errorf("%s: %q: %s", v.path, line, err)
				}
				if strings.HasPrefix(selected+" ", v.path+" ") {
					of++
				}
			}
			if of == 0 {
				t.Errorf("%s: %q is not an example of it", v.path, line)
			}
		}
	}
}

// parser returns the one parser of all lines, for which each one must be forgotten: Parse resets values, and not what was set.
var parser = sync.OnceValues(func() (*kong.Kong, error) {
	_, k, err := newParser(&app{Output: &render.Output{Out: io.Discard, Err: io.Discard}})
	return k, err
})

// parsed parses a command line of gamelan without running it, and returns its verb.
func parsed(words []string) (verb string, err error) {
	k, err := parser()
	if err != nil {
		return "", err
	}
	if len(words) == 1 {
		return "gamelan", nil
	}
	defer func() { // --help ends the parsing
		if _, ok := recover().(helpShown); ok {
			verb, err = "gamelan", nil
		}
	}()
	forget(k.Model.Node)
	c, err := k.Parse(withoutDashes(inOurWords(words[1:])))
	if err != nil {
		return "", err
	}
	switch x := c.Selected().Target.Addr().Interface().(type) {
	case *nodeCmd:
		err = rightSettings(x.Plugins)
	case *seedCmd:
		err = rightSettings(x.Plugins)
	case *configShowCmd:
		err = rightSettings(x.Plugins)
	}
	return c.Selected().FullPath(), err
}

// forget makes nothing be set below n.
func forget(n *kong.Node) {
	for _, f := range n.Flags {
		f.Set = false
	}
	for _, p := range n.Positional {
		p.Set = false
	}
	for _, c := range n.Children {
		forget(c)
	}
}

func rightSettings(p kong.Plugins) error {
	flags := settingFlags(p)
	for key, values := range flags {
		for i, v := range values {
			values[i] = strings.NewReplacer("KEY::ADDRESS", fakeKey+"::/ip4/192.0.2.7/tcp/18189").Replace(v)
		}
		flags[key] = values
	}
	if l := daemonconfig.Load(daemonconfig.Sources{Flags: flags}); len(l.Problems) > 0 {
		return daemonconfig.Problems(l.Problems)
	}
	return nil
}

// commandsIn returns the words of each command of gamelan in a line of a shell: in a pipe, one
// after another, or within $(…).
func commandsIn(line string) (all [][]string, err error) {
	for at := strings.Index(line, "$("); at >= 0; at = strings.Index(line, "$(") {
		end := strings.Index(line[at:], ")")
		if end < 0 {
			return nil, fmt.Errorf("no end of $(")
		}
		inner, err := commandsIn(line[at+2 : at+end])
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
		line = line[:at] + "KEY::ADDRESS" + line[at+end+1:]
	}
	var words []string
	end := func() {
		if len(words) > 0 && words[0] == "gamelan" {
			all = append(all, words)
		}
		words = nil
	}
	skip := false // the name of a file to or from which a command is led
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|<\(|&&|[|&>)]|[^\s'"|&>)]+`).FindAllString(line, -1) {
		switch {
		case w == "|" || w == "&&" || w == "&" || w == "<(" || w == ")":
			end()
		case w == ">":
			skip = true
		case skip:
			skip = false
		default:
			words = append(words, strings.Trim(w, `'"`))
		}
	}
	end()
	if len(all) == 0 {
		return nil, fmt.Errorf("no command of gamelan")
	}
	return all, nil
}

// A verb's own flags stand before those of all verbs.
func TestOwnFlagsStandFirst(t *testing.T) {
	all := model(t)
	for _, v := range all[1:] {
		help := helpText(t, v)
		global := strings.Index(help, "\nFlags of every command:\n")
		if global < 0 || strings.Index(help, "--data-dir=") < global {
			t.Errorf("%s: got the flags of all verbs without their heading, or before it", v.path)
			continue
		}
		for _, f := range v.flags() {
			name := regexp.MustCompile(`\n +(-., )?--(\[no-\])?` + regexp.QuoteMeta(f.Name) + `\b`)
			if at := name.FindStringIndex(help); at == nil || at[0] > global {
				t.Errorf("%s --%s stands behind the flags of all verbs, or not at all", v.path, f.Name)
			}
		}
	}
}

// Every flag and argument with a default shows it once, and so does every number and time.
func TestDefaultsAreShown(t *testing.T) {
	man := output(t, "man")
	for _, v := range model(t) {
		for _, f := range v.flags() {
			text := shown(f.Value)
			if n := strings.Count(strings.ToLower(text), "default"); n != 1 && (n > 1 || wantsDefault(f.Value)) {
				t.Errorf("%s --%s: got %d defaults in %q, want one", v.path, f.Name, n, text)
			}
			if f.HasDefault && !f.IsBool() && !strings.Contains(text, f.Default) {
				t.Errorf("%s --%s: got %q without the default %s", v.path, f.Name, text, f.Default)
			}
			if !strings.Contains(man, roff(text)) {
				t.Errorf("%s --%s: the manual has no %q", v.path, f.Name, text)
			}
		}
		for _, arg := range v.node.Positional {
			if arg.HasDefault && !strings.Contains(shown(arg), arg.Default) {
				t.Errorf("%s %s: got %q without the default %s", v.path, arg.Name, shown(arg), arg.Default)
			}
		}
	}
}

// wantsDefault reports whether a value is a number or a time: something holds without it.
func wantsDefault(v *kong.Value) bool {
	of := v.Target.Type()
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch of.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64, reflect.Float64:
		return true
	}
	return of == reflect.TypeFor[time.Duration]() || v.HasDefault && v.Default != "" && of.Kind() != reflect.Bool
}

// What stands above the flags of a verb can be read on a terminal: short sentences, and
// paragraphs of a few lines, in the manual as well.
func TestParagraphsOfTheHelp(t *testing.T) {
	const sentence, paragraph = 30, 75 // words at most
	man := output(t, "man")
	for _, v := range model(t) {
		for text := range strings.SplitSeq(v.node.Help+"\n\n"+v.node.Detail, "\n\n") {
			if text == "" {
				continue // no more than its line
			}
			if n := len(strings.Fields(text)); n > paragraph {
				t.Errorf("%s: got a paragraph of %d words, want at most %d: %.60s", v.path, n, paragraph, text)
			}
			for one := range strings.SplitSeq(text, ". ") {
				if n := len(strings.Fields(one)); n > sentence {
					t.Errorf("%s: got a sentence of %d words, want at most %d: %.60s", v.path, n, sentence, one)
				}
			}
			if v.path != "gamelan" && !strings.Contains(man, "\n"+roff(text)+"\n") {
				t.Errorf("%s: the manual has no paragraph %.60q", v.path, text)
			}
		}
		for _, f := range v.flags() {
			if takesValue(f) && strings.ToUpper(f.FormatPlaceHolder()) != f.FormatPlaceHolder() {
				t.Errorf("%s --%s: got the placeholder %s, want a word in capitals", v.path, f.Name, f.FormatPlaceHolder())
			}
			if f.Group != nil && !strings.HasPrefix(f.Group.Title, "Flags ") {
				t.Errorf("%s --%s: got the heading %q, want words", v.path, f.Name, f.Group.Title)
			}
		}
	}
}

// The help is that of kong apart from the order of its flags: nothing is lost.
func TestHelpOfKong(t *testing.T) {
	k, err := parser()
	if err != nil {
		t.Fatal(err)
	}
	global := len(k.Model.Flags)
	for range 2 { // printing changes nothing
		if _, err := parsed([]string{"gamelan", "send", "--help"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range k.Model.Flags[:global] {
		if f.Hidden {
			t.Errorf("--%s is hidden after a help", f.Name)
		}
		if got := helpText(t, model(t)[0]); !strings.Contains(got, "--"+f.Name) {
			t.Errorf("gamelan --help has no --%s", f.Name)
		}
	}
}

// The help and the manual use the words of a user: a seed is a node that others enter by, and
// nothing else has that name.
func TestWordsOfTheHelp(t *testing.T) {
	texts := map[string]string{"gamelan.toml(5)": output(t, "man", "gamelan.toml")}
	for _, v := range model(t) {
		texts[v.path] = strings.Join(strings.Fields(helpText(t, v)), " ")
		for _, f := range v.flags() {
			if f.Name == "seed" {
				t.Errorf("%s has a flag --seed, which names no node", v.path)
			}
		}
	}
	for where, text := range texts {
		for _, word := range []string{"store and forward", "id --seed", "id \\-\\-seed", "its seed", "same seed", "seed program", "below its floor"} {
			if strings.Contains(strings.ToLower(text), word) {
				t.Errorf("%s: got %q in it", where, word)
			}
		}
	}
}

// The commands of the help have six headings, and the first one has those that matter first.
func TestHelpHasGroups(t *testing.T) {
	help := helpText(t, model(t)[0])
	headings := regexp.MustCompile(`(?m)^([A-Z][a-z ]+):$`).FindAllStringSubmatch(help, -1)
	var got []string
	for _, h := range headings {
		if h[1] != "Examples" && h[1] != "Flags of every command" {
			got = append(got, h[1])
		}
	}
	if want := "To begin with, Peers and connections, Messages, The network, Inside a node, Settings and tools"; strings.Join(got, ", ") != want {
		t.Errorf("got the headings %s, want %s", strings.Join(got, ", "), want)
	}
	_, begin, _ := strings.Cut(help, "\nTo begin with:\n")
	begin, _, _ = strings.Cut(begin, "\n\n")
	var first []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+( [a-z]+)?)  +[A-Z]`).FindAllStringSubmatch(begin, -1) {
		first = append(first, m[1])
	}
	if want := "init, id, node, seed, status, doctor, health, send, listen, peers list"; strings.Join(first, ", ") != want {
		t.Errorf("got first %s, want %s", strings.Join(first, ", "), want)
	}
	if got := helpText(t, model(t)[0]); !strings.Contains(got, "\nPeers and connections:\n") { // the help of another verb puts groups aside for a moment
		t.Errorf("got\n%s", got)
	}
}
