package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
)

var (
	// citedTests are tests of one package in docs/security.md: `TestA`, `TestB` (`package`).
	citedTests  = regexp.MustCompile("((?:`Test\\w+`(?:, )?)+) \\(`([\\w./-]+)`\\)")
	citedTest   = regexp.MustCompile("`(Test\\w+)`")
	citedScript = regexp.MustCompile("`([\\w-]+\\.txtar)`")
)

// TestArchSecurityCases reads the cases of the threat model. Each has an attack, a defence and
// tests, and these exist. So do the tests in its tables of decoders.
func TestArchSecurityCases(t *testing.T) {
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		if name == "Decoders" {
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "| ") {
					citesTests(t, "docs/security.md", line)
				}
			}
		}
		for _, c := range strings.Split(text, "\n### ")[1:] {
			cases++
			title, text, _ := strings.Cut(c, "\n")
			items := strings.Split(strings.TrimSpace(text), "\n- ")
			items[0] = strings.TrimPrefix(items[0], "- ")
			if len(items) != 3 || !strings.HasPrefix(items[0], "**Attack:** ") || !strings.HasPrefix(items[1], "**Defence:** ") || !strings.HasPrefix(items[2], "**Test:** ") {
				t.Errorf("docs/security.md: %q is no attack, defence and test", title)
				continue
			}
			citesTests(t, "docs/security.md", strings.Join(strings.Fields(items[2]), " "))
		}
	}
	if cases < 50 {
		t.Errorf("got %d cases, want the whole page read", cases)
	}
}

// citesTests finds every test and script that a line of a page names. The line must name one.
func citesTests(t *testing.T, page, line string) {
	t.Helper()
	cited := citedTest.FindAllStringSubmatch(line, -1)
	scripts := citedScript.FindAllStringSubmatch(line, -1)
	if len(cited)+len(scripts) == 0 {
		t.Errorf("a line of %s names no test: %.80s", page, line)
	}
	for _, s := range scripts {
		if _, err := os.Stat(filepath.Join("../cmd/gamelan/testdata/script", s[1])); err != nil {
			t.Errorf("%s names a script that is not there: %v", page, err)
		}
	}
	found := 0
	for _, group := range citedTests.FindAllStringSubmatch(line, -1) {
		source := testsOf(t, group[2])
		for _, name := range citedTest.FindAllStringSubmatch(group[1], -1) {
			found++
			if !strings.Contains(source, "\nfunc "+name[1]+"(") {
				t.Errorf("%s names %s, which is not in %s", page, name[1], group[2])
			}
		}
	}
	if found != len(cited) {
		t.Errorf("a test in %s has no package behind it: %.80s", page, line)
	}
}

// TestArchPromises finds every test that the table of promises names. The table has each state
// with each event, and a promise of a known kind; and the pages and the command say of an
// orderly stop what the table says.
func TestArchPromises(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(strings.NewReplacer("`", "", "//", "", "\" +\n\t\t\"", "").Replace(string(b))), " ")
	}
	page, err := os.ReadFile("../docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]bool)
	for _, state := range []string{"read", "kept", "handled"} {
		for _, event := range []string{"orderly Close", "kill -9", "panic of the handler", "PanicStop", "full inbox", "link cut"} {
			missing[state+" | "+event] = true
		}
	}
	missing["handled | end of the reader of gamelan listen"] = true // of the command alone
	promise := regexp.MustCompile(`(None lost|[Aa]t most .*[Cc]ounted (in the log|nowhere|as a panic)|[Ii]n doubt)`)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| state |") {
			continue
		}
		at := strings.TrimPrefix(cells[0], "| ") + " | " + strings.ReplaceAll(cells[1], "`", "")
		if len(cells) != 4 || !missing[at] {
			t.Fatalf("docs/promises.md has a row of an unknown or repeated cell: %.80s", line)
		}
		delete(missing, at)
		if !promise.MatchString(cells[2]) {
			t.Errorf("%s: got %q, want none lost, at most so much and where it is counted, or in doubt", at, cells[2])
		}
		citesTests(t, "docs/promises.md", line)
	}
	for at := range missing {
		t.Errorf("docs/promises.md has no promise for %s", at)
	}
	const said = "An orderly stop loses no confirmed message of a node with an inbox. A node without one can lose about 2 MiB " +
		"of each peer and protocol, and more if one message is larger than 1 MiB. Its log counts what is lost."
	for _, file := range []string{"README.md", "doc.go", "cmd/gamelan/send.go"} {
		if !strings.Contains(read(file), said) {
			t.Errorf("%s does not say %q", file, said)
		}
	}

	if credit := gamelan.DefaultConfig().PeerCredit; credit != 1<<20 {
		t.Errorf("got a peer credit of %d bytes, want the 1 MiB of docs/promises.md", credit)
	}
	if window := (mux.Config{}).WithDefaults().Window; window != 1<<20 {
		t.Errorf("got a window of %d bytes, want the 1 MiB of docs/promises.md", window)
	}
}

// testsOf is the source of the tests of a package, by its path below the module.
func testsOf(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
