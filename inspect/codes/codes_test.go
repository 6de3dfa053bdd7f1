package codes

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

var update = flag.Bool("update", false, "write the table of docs/trouble.md")

const page, mark = "../../docs/trouble.md", "<!-- The table follows; go test ./inspect/codes -update writes it. -->\n"

// sections are the codes that have a section of docs/trouble.md: those with a threshold, and those
// that say what is to be done first.
var sections = []*Code{Offline, Alone, FewNodes, NotReached, SeedsSilent, DiskFull, InboxHigh, InDoubt, Restarting, ClockOff, OwnIdentity, PeerLost}

// TestPage: docs/trouble.md has a row for each code, which leads to the section of the code, if it has one.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| code | severity | what is wrong | what helps |\n|---|---|---|---|\n")
	for c := range All() {
		name := "`" + c.Name + "`"
		if slices.Contains(sections, c) {
			name = "[" + name + "](#" + c.Name + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, c.Severity, c.Meaning, Fill(c.Step, placeholders(c)))
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sections {
		if !strings.Contains(string(text), "\n### "+c.Name+"\n") {
			t.Errorf("docs/trouble.md has no section %s", c.Name)
		}
	}
	for heading := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(heading), "### ")
		if ok && !slices.Contains(sections, Named(name)) {
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
