package codes

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

var update = flag.Bool("update", false, "write the table of docs/trouble.md")

const page, mark = "../../docs/trouble.md", "<!-- The table follows; go test ./inspect/codes -update writes it. -->\n"

// parts are those of the section of a code: how it is seen, the command, what it means, and what to do.
var parts = []string{"\n- **Symptom:** ", "\n- **Command:** ", "\n- **Meaning:** ", "\n- **Remedy:** "}

// TestPage: docs/trouble.md has a section for each code, with all its parts, and a row that leads there.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| code | severity | what is wrong | what helps |\n|---|---|---|---|\n")
	for c := range All() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", c.Name, c.Name, c.Severity, c.Meaning, Fill(c.Step, placeholders(c)))
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for c := range All() {
		_, section, _ := strings.Cut(string(text), "\n### "+c.Name+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n### ")
		for _, part := range parts {
			if _, words, _ := strings.Cut(section, part); words == "" {
				t.Errorf("docs/trouble.md has no section %s with %q", c.Name, strings.TrimSpace(part))
			}
		}
	}
	for heading := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(heading), "### ")
		if ok && Named(name) == nil {
			t.Errorf("docs/trouble.md has a section %q, and no such code", name)
		}
	}
	head, table, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatal("the page has no mark")
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != b.String() {
		t.Error("docs/trouble.md is not as the registry; run this test with -update")
	}
}

// placeholders write the arguments of a code as the page names them.
func placeholders(c *Code) map[string]string {
	all := make(map[string]string)
	for _, a := range c.Args {
		all[a] = strings.ToUpper(a)
	}
	return all
}

// TestCodes: each code is a sentence and a step, and its arguments are those of the step.
func TestCodes(t *testing.T) {
	names, n := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), 0
	for c := range All() {
		n++
		if !names.MatchString(c.Name) || Named(c.Name) != c {
			t.Errorf("%q is no name of a code", c.Name)
		}
		if !strings.HasSuffix(c.Meaning, ".") || strings.HasSuffix(c.Step, ".") {
			t.Errorf("%s: want a sentence that says what is wrong, and a step without its full stop", c.Name)
		}
		values := make([]string, len(c.Args))
		if got := c.Notice("x", values...); strings.Contains(got.Step, "{") || got.Severity != c.Severity {
			t.Errorf("%s: got %+v, want each argument of the step among those of the code", c.Name, got)
		}
	}
	if n < 30 {
		t.Errorf("got %d codes, want all", n)
	}
	if got := NotReached.Notice("nobody gets in", "18189"); got.String() != "nobody gets in; open TCP port 18189 in the firewall of this machine, or forward it in the router" || got.Args["port"] != "18189" {
		t.Errorf("got %+v, want the port in the step", got)
	}
	if Named("no such") != nil {
		t.Error("got a code of no such name")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was given twice without a panic")
		}
	}()
	code(Deaf.Name, models.Warning, "Twice.", "")
}

type failed struct{ error }

func (failed) Code() *Code { return ForeignPeer }

// TestOf: a code is found behind other errors.
func TestOf(t *testing.T) {
	if got := Of(fmt.Errorf("outer: %w", failed{errors.New("inner")})); got != ForeignPeer {
		t.Errorf("got %v, want %v", got, ForeignPeer)
	}
	if got := Of(errors.New("none")); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

// TestBecause: each cause of a failed dial has a sentence with the address, and a few words for a table.
func TestBecause(t *testing.T) {
	const who = "203.0.113.10:18189 (seed)"
	for c := range All() {
		if c.Severity != models.Failure || !strings.HasPrefix(c.Name, "dial_") && c != FilesGone {
			if got := c.Because(who, "it is full"); got != "it is full" || c.Brief() != "" {
				t.Errorf("%s: got %q and %q, want what the error says", c.Name, got, c.Brief())
			}
			continue
		}
		got := c.Because(who, "why")
		if strings.Contains(got, "{") || !strings.Contains(got, who) && !strings.Contains(got, "why") || c.Brief() == "" || len(c.Brief()) > 24 {
			t.Errorf("%s: got %q, in a table %q", c.Name, got, c.Brief())
		}
	}
	for want, got := range map[string]string{
		who + " refuses connections":                             DialRefused.Because(who, "x"),
		"no answer from " + who:                                  DialNoAnswer.Because(who, "x"),
		"no route to " + who:                                     DialNoRoute.Because(who, "connect: no route to host"),
		"another node answers at " + who:                         DialOtherKey.Because(who, ""),
		"another node answers at " + who + ", with the key 0a0b": DialOtherKey.Because(who, "with the key 0a0b"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
